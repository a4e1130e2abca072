public import CoreMetrics
import Synchronization

/// Counts of observations by bucket, with their sum; lock-free, from any thread.
///
/// - Shape: a duration histogram counts nanoseconds and is shown in seconds; a size histogram
///   counts and shows plain numbers.
/// - Invariant: one observation is two relaxed additions, so a reader may see a sum that is one
///   observation ahead of the counts. Nothing is ever lost.
public final class HistogramMetric: TimerHandler, RecorderHandler, Sendable {
    /// The number of finite upper bounds; one more bucket takes the rest.
    static let boundCount = 18
    /// 50 us to 30 s: an fdatasync of a good disk and a stuck call both fall inside.
    static let durationBounds: [UInt64] = [
        50_000, 100_000, 250_000, 500_000,
        1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000,
        100_000_000, 250_000_000, 500_000_000,
        1_000_000_000, 2_500_000_000, 5_000_000_000, 10_000_000_000, 30_000_000_000,
    ]
    /// 1 to 16 GiB in powers of four.
    static let sizeBounds: [UInt64] = (0..<boundCount).map { 1 << UInt64(2 * $0) }

    private let buckets: InlineArray<19, Atomic<UInt64>> = InlineArray { _ in Atomic<UInt64>(0) }
    private let sum = Atomic<UInt64>(0)
    let bounds: [UInt64]
    /// How many counted units make one shown unit; dividing keeps round decimals round.
    let divisor: Double

    init(_ kind: MetricName.Kind) {
        let isDuration = kind == .seconds
        bounds = isDuration ? Self.durationBounds : Self.sizeBounds
        divisor = isDuration ? 1e9 : 1
    }

    /// Counts one duration; negative ones count as zero.
    public func observe(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let (nanoseconds, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        recordNanoseconds(overflow ? .max : nanoseconds &+ attoseconds / 1_000_000_000)
    }

    /// Counts one size; negative ones count as zero.
    public func observe(_ size: Int) { count(UInt64(max(0, size))) }

    /// Counts the time that a body takes.
    public func time<T, E: Error>(_ body: () throws(E) -> T) throws(E) -> T {
        let start = ContinuousClock.now
        defer { observe(start.duration(to: .now)) }
        return try body()
    }

    /// Counts one duration, as CoreMetrics asks for it.
    public func recordNanoseconds(_ duration: Int64) { count(UInt64(max(0, duration))) }

    /// Counts one value, as CoreMetrics asks for it.
    public func record(_ value: Int64) { count(UInt64(max(0, value))) }

    /// Counts one value, as CoreMetrics asks for it; not-a-number counts as zero.
    public func record(_ value: Double) {
        count(value > 0 ? UInt64(min(value, 9e18)) : 0)
    }

    private func count(_ value: UInt64) {
        // Binary search: the first bound that is not below the value.
        var low = 0
        var high = bounds.count
        while low < high {
            let middle = (low + high) / 2
            if bounds[middle] < value { low = middle + 1 } else { high = middle }
        }
        buckets[low].wrappingAdd(1, ordering: .relaxed)
        sum.wrappingAdd(value, ordering: .relaxed)
    }

    /// What the histogram holds now, in the shown unit, buckets cumulated as Prometheus wants them.
    var snapshot: (cumulated: [(bound: Double, count: UInt64)], count: UInt64, sum: Double) {
        var rows: [(bound: Double, count: UInt64)] = []
        var running: UInt64 = 0
        for position in 0...Self.boundCount {
            running &+= buckets[position].load(ordering: .relaxed)
            let bound =
                position == Self.boundCount ? Double.infinity : Double(bounds[position]) / divisor
            rows.append((bound, running))
        }
        return (rows, running, Double(sum.load(ordering: .relaxed)) / divisor)
    }

    /// Observations so far.
    public var observations: UInt64 { snapshot.count }
}
