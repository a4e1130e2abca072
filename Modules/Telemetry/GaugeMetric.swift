public import CoreMetrics
import Synchronization

/// A number that rises and falls; lock-free, from any thread.
public final class GaugeMetric: MeterHandler, RecorderHandler, Sendable {
    /// The bit pattern of a Double: Atomic has no floating-point form.
    private let bits = Atomic<UInt64>(0)

    init() {}

    /// The value now.
    public var value: Double { Double(bitPattern: bits.load(ordering: .relaxed)) }

    /// Replaces the value.
    public func set(_ value: Double) { bits.store(value.bitPattern, ordering: .relaxed) }

    /// Replaces the value.
    public func set(_ value: Int64) { set(Double(value)) }

    /// Replaces the value.
    public func set(_ value: Int) { set(Double(value)) }

    /// Adds a positive or negative amount.
    public func add(_ amount: Double) {
        var old = bits.load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let (exchanged, original) = bits.weakCompareExchange(
                expected: old,
                desired: new,
                ordering: .relaxed
            )
            if exchanged { return }
            old = original
        }
    }

    /// Adds, as CoreMetrics asks for it.
    public func increment(by amount: Double) { add(amount) }

    /// Subtracts, as CoreMetrics asks for it.
    public func decrement(by amount: Double) { add(-amount) }

    /// Replaces the value: a CoreMetrics recorder without aggregation is a gauge.
    public func record(_ value: Int64) { set(value) }

    /// Replaces the value: a CoreMetrics recorder without aggregation is a gauge.
    public func record(_ value: Double) { set(value) }
}
