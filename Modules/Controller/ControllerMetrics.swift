public import Telemetry

/// What a controller shows of itself; made once, counting takes no lock.
public struct ControllerMetrics: Sendable {
    let isLeader: GaugeMetric
    let reconcilerPending: GaugeMetric
    let pushes: CounterMetric
    let pushesFailed: CounterMetric

    /// Makes the metrics in a registry.
    public init(_ registry: MetricsRegistry = .process) {
        isLeader = registry.gauge(.controllerLeader)
        reconcilerPending = registry.gauge(.reconcilerPending)
        pushes = registry.counter(.metadataPushes, ["result": "ok"])
        pushesFailed = registry.counter(.metadataPushes, ["result": "error"])
    }
}
