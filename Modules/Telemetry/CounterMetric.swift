public import CoreMetrics
import Synchronization

/// A number that only rises; one atomic addition per event, from any thread.
public final class CounterMetric: CounterHandler, Sendable {
    private let count = Atomic<UInt64>(0)

    init() {}

    /// Adds to the count; wraps after 2^64, which Prometheus reads as a restart.
    public func add(_ amount: Int = 1) {
        count.wrappingAdd(UInt64(truncatingIfNeeded: amount), ordering: .relaxed)
    }

    /// The count now.
    public var value: UInt64 { count.load(ordering: .relaxed) }

    /// Adds, as CoreMetrics asks for it.
    public func increment(by amount: Int64) { add(Int(amount)) }

    /// Sets the count back to zero.
    public func reset() { count.store(0, ordering: .relaxed) }
}
