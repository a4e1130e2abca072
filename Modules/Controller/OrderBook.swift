import Metadata
import Model

/// Which orders are under way, and when those that failed may be tried again.
///
/// - Invariant: at most one order is under way for a replica.
struct OrderBook {
    /// The time before an order that failed once is tried again; doubled with each failure.
    static let delayMin = Duration.milliseconds(200)
    /// The longest time between two attempts.
    static let delayMax = Duration.seconds(10)

    private var underWay: Set<ReplicaReference> = []
    private var failures: [ReplicaReference: (count: Int, retryAt: Duration)] = [:]

    /// Whether an order for this replica may be given now.
    func mayBegin(_ replica: ReplicaReference, at now: Duration) -> Bool {
        if underWay.contains(replica) { return false }
        guard let failure = failures[replica] else { return true }
        return failure.retryAt <= now
    }

    /// Notes that an order is given.
    mutating func begin(_ replica: ReplicaReference) {
        let isNew = underWay.insert(replica).inserted
        precondition(isNew, "two orders for node \(replica.node) of group \(replica.group)")
    }

    /// Notes that an order was carried out and recorded.
    mutating func succeed(_ replica: ReplicaReference) {
        underWay.remove(replica)
        failures[replica] = nil
    }

    /// Notes that an order failed; it may be given again after a while.
    mutating func fail(_ replica: ReplicaReference, at now: Duration) {
        underWay.remove(replica)
        let count = (failures[replica]?.count ?? 0) + 1
        var delay = Self.delayMin
        for _ in 1..<min(count, 10) { delay = min(delay * 2, Self.delayMax) }
        failures[replica] = (count, now + delay)
    }

    /// Forgets a broker's failures: it has just come back.
    mutating func forgive(_ broker: BrokerID) {
        failures = failures.filter { $0.key.node.broker != broker }
    }

    /// Whether an order that failed may be given again by now.
    func hasDue(at now: Duration) -> Bool { failures.contains { $0.value.retryAt <= now } }

    /// How many orders are under way or wait to be given again.
    var openCount: Int { underWay.count + failures.keys.count { !underWay.contains($0) } }

    /// How many orders are under way.
    var underWayCount: Int { underWay.count }
}
