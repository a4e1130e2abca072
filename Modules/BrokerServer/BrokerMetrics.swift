import KafkaProtocol
public import Telemetry

/// The broker's metrics, made once; counting takes no lock.
public struct BrokerMetrics: Sendable {
    let producedBytes: CounterMetric
    let producedRecords: CounterMetric
    let produceDuplicates: CounterMetric
    let fetchedBytes: CounterMetric
    let fetchesWaiting: GaugeMetric
    let partitions: GaugeMetric
    let underReplicated: GaugeMetric
    let metadataVersion: GaugeMetric
    private let registry: MetricsRegistry
    /// By API key; the requests that were answered.
    private let requests: [CounterMetric?]

    /// Makes the broker's metrics in a registry.
    public init(_ registry: MetricsRegistry = .process) {
        self.registry = registry
        producedBytes = registry.counter(.producedBytes)
        producedRecords = registry.counter(.producedRecords)
        produceDuplicates = registry.counter(.produceDuplicates)
        fetchedBytes = registry.counter(.fetchedBytes)
        fetchesWaiting = registry.gauge(.fetchesWaiting)
        partitions = registry.gauge(.partitions)
        underReplicated = registry.gauge(.partitionsUnderReplicated)
        metadataVersion = registry.gauge(.metadataVersion)
        var requests: [CounterMetric?] = []
        for entry in KafkaRequests.all {
            let place = Int(entry.api.rawValue)
            while requests.count <= place { requests.append(nil) }
            requests[place] = registry.counter(
                .kafkaRequests, ["api": "\(entry.api)", "result": "ok"])
        }
        self.requests = requests
    }

    func requested(_ api: ApiKey) { requests[Int(api.rawValue)]?.add() }

    func produced(bytes: Int, records: Int) {
        producedBytes.add(bytes)
        producedRecords.add(records)
    }

    func fetched(bytes: Int) {
        if bytes > 0 { fetchedBytes.add(bytes) }
    }

    func closed(_ reason: KafkaCloseReason) {
        registry.counter(.kafkaConnectionsClosed, ["reason": reason.label]).add()
    }
}
