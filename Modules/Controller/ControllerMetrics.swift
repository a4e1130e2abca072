import Metadata
public import Telemetry

/// What a controller shows of itself; made once, counting takes no lock.
public struct ControllerMetrics: Sendable {
    let isLeader: GaugeMetric
    let brokersOnline: GaugeMetric
    let brokersOffline: GaugeMetric
    let topics: GaugeMetric
    let reassignments: GaugeMetric
    let reconcilerPending: GaugeMetric
    let pushes: CounterMetric
    let pushesFailed: CounterMetric

    /// Makes the metrics in a registry.
    public init(_ registry: MetricsRegistry = .process) {
        isLeader = registry.gauge(.controllerLeader)
        brokersOnline = registry.gauge(.brokers, ["state": "online"])
        brokersOffline = registry.gauge(.brokers, ["state": "offline"])
        topics = registry.gauge(.topics)
        reassignments = registry.gauge(.partitionsReassigning)
        reconcilerPending = registry.gauge(.reconcilerPending)
        pushes = registry.counter(.metadataPushes, ["result": "ok"])
        pushesFailed = registry.counter(.metadataPushes, ["result": "error"])
    }

    /// Shows what the metadata holds; on every controller, whoever leads.
    func show(_ metadata: ClusterMetadata) {
        let online = metadata.brokers.count { $0.isOnline }
        brokersOnline.set(online)
        brokersOffline.set(metadata.brokers.count - online)
        topics.set(metadata.topics.count)
        reassignments.set(metadata.reassignmentCount)
    }
}
