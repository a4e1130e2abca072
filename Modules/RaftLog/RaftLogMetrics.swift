public import Telemetry

/// What a data directory's log counts; made once, counting takes no lock.
public struct RaftLogMetrics: Sendable {
    let walBytes: CounterMetric
    let walFrames: CounterMetric
    let walFrameBytes: HistogramMetric
    let walSyncDuration: HistogramMetric
    let walQueueDepth: GaugeMetric
    let tailCacheBytes: GaugeMetric
    let coldReads: CounterMetric
    let segmentBytes: CounterMetric

    /// Makes the metrics in a registry.
    public init(_ registry: MetricsRegistry = .process) {
        walBytes = registry.counter(.walBytes)
        walFrames = registry.counter(.walFrames)
        walFrameBytes = registry.histogram(.walFrameBytes)
        walSyncDuration = registry.histogram(.walSyncDuration)
        walQueueDepth = registry.gauge(.walQueueDepth)
        tailCacheBytes = registry.gauge(.tailCacheBytes)
        coldReads = registry.counter(.coldReads)
        segmentBytes = registry.counter(.segmentBytes)
    }
}
