import KafkaProtocol
import NIOCore
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
    let reassigning: GaugeMetric
    let metadataVersion: GaugeMetric
    let connections: GaugeMetric
    private let registry: MetricsRegistry
    /// By API key; the requests that were answered.
    private let requests: [CounterMetric?]
    /// By API key; from a request's arrival to its answer.
    private let durations: [HistogramMetric?]

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
        reassigning = registry.gauge(.partitionsReassigning)
        metadataVersion = registry.gauge(.metadataVersion)
        connections = registry.gauge(.connections, ["listener": "client"])
        var requests: [CounterMetric?] = []
        var durations: [HistogramMetric?] = []
        for entry in KafkaRequests.all {
            let place = Int(entry.api.rawValue)
            while requests.count <= place {
                requests.append(nil)
                durations.append(nil)
            }
            durations[place] = registry.histogram(.kafkaRequestDuration, ["api": "\(entry.api)"])
            requests[place] = registry.counter(
                .kafkaRequests,
                ["api": "\(entry.api)", "result": "ok"]
            )
        }
        self.requests = requests
        self.durations = durations
    }

    func requested(_ api: ApiKey) { requests[Int(api.rawValue)]?.add() }

    func answered(_ api: ApiKey, after duration: TimeAmount) {
        durations[Int(api.rawValue)]?.recordNanoseconds(duration.nanoseconds)
    }

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
