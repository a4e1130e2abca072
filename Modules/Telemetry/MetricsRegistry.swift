public import CoreMetrics
import Synchronization

/// All metrics of a process (or of a test), and their Prometheus text.
///
/// - Thread: any. Making a metric takes a lock: make it once and keep it. Counting takes none.
/// - Invariant: a family has at most ``seriesMax`` series. Further ones count into nowhere, and
///   `metric_series_dropped_total` says so: labels that a client can choose must not
///   fill the memory.
public final class MetricsRegistry: Sendable {
    /// The registry that daemons use.
    public static let process = MetricsRegistry()
    /// The largest number of label combinations of one family.
    public static let seriesMax = 2000

    enum Series: Sendable {
        case counter(CounterMetric)
        case gauge(GaugeMetric)
        case histogram(HistogramMetric)
        case read(@Sendable () -> Double)
    }

    struct Family: Sendable {
        let name: MetricName
        /// Rendered labels (`a="1",b="2"` or nothing) to series.
        var series: [String: Series] = [:]
    }

    private let families: Mutex<[String: Family]>
    private let dropped = CounterMetric()

    /// Makes an empty registry; daemons use ``process`` instead.
    public init() {
        families = Mutex([:])
        let dropped = dropped
        observe(.seriesDropped) { Double(dropped.value) }
    }

    /// The counter with these labels; the same object each time.
    public func counter(
        _ name: MetricName,
        _ labels: KeyValuePairs<String, String> = [:]
    ) -> CounterMetric {
        let made = CounterMetric()
        if case .counter(let kept) = keep(name, labels.map { ($0, $1) }, .counter(made)) {
            return kept
        }
        return made
    }

    /// The gauge with these labels; the same object each time.
    public func gauge(
        _ name: MetricName,
        _ labels: KeyValuePairs<String, String> = [:]
    ) -> GaugeMetric {
        let made = GaugeMetric()
        if case .gauge(let kept) = keep(name, labels.map { ($0, $1) }, .gauge(made)) { return kept }
        return made
    }

    /// The histogram with these labels; the same object each time.
    public func histogram(
        _ name: MetricName,
        _ labels: KeyValuePairs<String, String> = [:]
    ) -> HistogramMetric {
        let made = HistogramMetric(name.kind)
        if case .histogram(let kept) = keep(name, labels.map { ($0, $1) }, .histogram(made)) {
            return kept
        }
        return made
    }

    /// Shows a counter or gauge whose value is read at each scrape; a later call replaces it.
    ///
    /// - Thread: `read` runs on the thread that makes the text, outside the registry's lock.
    public func observe(
        _ name: MetricName,
        _ labels: KeyValuePairs<String, String> = [:],
        read: @escaping @Sendable () -> Double
    ) {
        _ = keep(name, labels.map { ($0, $1) }, .read(read), replacing: true)
    }

    /// Takes a family's series away, for instance the gauge of a peer that has left.
    public func remove(_ name: MetricName, _ labels: KeyValuePairs<String, String> = [:]) {
        let key = PrometheusText.labels(labels.map { ($0, $1) })
        families.withLock { $0[name.text]?.series[key] = nil }
    }

    /// The value of a counter or gauge, nil when there is no such series.
    public func value(
        _ name: MetricName,
        _ labels: KeyValuePairs<String, String> = [:]
    ) -> Double? {
        let key = PrometheusText.labels(labels.map { ($0, $1) })
        let series = families.withLock { $0[name.text]?.series[key] }
        return switch series {
        case .counter(let counter): Double(counter.value)
        case .gauge(let gauge): gauge.value
        case .read(let read): read()
        case .histogram(let histogram): Double(histogram.observations)
        case nil: nil
        }
    }

    /// All families, as Prometheus reads them (text format 0.0.4).
    public func prometheusText() -> String {
        let copy = families.withLock { $0 }
        var text = PrometheusText()
        for name in MetricName.all {
            if let family = copy[name.text] { text.append(family) }
        }
        let listed = Set(MetricName.all.map(\.text))
        for (name, family) in copy.sorted(by: { $0.key < $1.key }) where !listed.contains(name) {
            text.append(family)
        }
        return text.text
    }

    /// All gauges as samples such as `wal_queue_depth 3`, without asking anybody.
    ///
    /// For a process of which a part stands still. What is read at each scrape is left out.
    public func gaugeSamples() -> [String] {
        let copy = families.withLock { $0 }
        var text = PrometheusText()
        for name in MetricName.all {
            for (labels, series) in (copy[name.text]?.series ?? [:]).sorted(by: { $0.key < $1.key })
            {
                guard case .gauge(let gauge) = series else { continue }
                text.sample(name.text, labels, PrometheusText.number(gauge.value))
            }
        }
        return text.text.split(separator: "\n").map(String.init)
    }

    /// Puts a series in, or gives the one that is there.
    func keep(
        _ name: MetricName,
        _ labels: [(String, String)],
        _ made: Series,
        replacing: Bool = false
    ) -> Series {
        let key = PrometheusText.labels(labels)
        return families.withLock { families in
            var family = families[name.text] ?? Family(name: name)
            if !replacing, let kept = family.series[key] { return kept }
            guard family.series[key] != nil || family.series.count < Self.seriesMax else {
                dropped.add()
                return made
            }
            family.series[key] = made
            families[name.text] = family
            return made
        }
    }
}

// What swift-metrics calls, so that packages which count with it appear in the same text.
extension MetricsRegistry: MetricsFactory {
    /// Makes this registry the process's backend of swift-metrics; call once.
    public func install() { MetricsSystem.bootstrap(self) }

    private func listed(_ label: String, _ kind: MetricName.Kind) -> MetricName {
        let text = PrometheusText.name(label)
        return MetricName.all.first { $0.text == text } ?? MetricName(text, kind, "")
    }

    /// The counter with this name.
    public func makeCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any CounterHandler {
        let made = CounterMetric()
        let kept = keep(listed(label, .counter), dimensions, .counter(made))
        if case .counter(let counter) = kept { return counter }
        return made
    }

    /// The gauge or size histogram with this name.
    public func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        if aggregate {
            let made = HistogramMetric(.sizes)
            let kept = keep(listed(label, .sizes), dimensions, .histogram(made))
            if case .histogram(let histogram) = kept { return histogram }
            return made
        }
        let made = GaugeMetric()
        let kept = keep(listed(label, .gauge), dimensions, .gauge(made))
        if case .gauge(let gauge) = kept { return gauge }
        return made
    }

    /// The gauge with this name.
    public func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        let made = GaugeMetric()
        let kept = keep(listed(label, .gauge), dimensions, .gauge(made))
        if case .gauge(let gauge) = kept { return gauge }
        return made
    }

    /// The duration histogram with this name.
    public func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        let made = HistogramMetric(.seconds)
        let kept = keep(listed(label, .seconds), dimensions, .histogram(made))
        if case .histogram(let histogram) = kept { return histogram }
        return made
    }

    /// Does nothing: a counter that is gone would read as a restart.
    public func destroyCounter(_ handler: any CounterHandler) {}
    /// Does nothing, see ``destroyCounter(_:)``.
    public func destroyRecorder(_ handler: any RecorderHandler) {}
    /// Does nothing, see ``destroyCounter(_:)``.
    public func destroyMeter(_ handler: any MeterHandler) {}
    /// Does nothing, see ``destroyCounter(_:)``.
    public func destroyTimer(_ handler: any TimerHandler) {}
}
