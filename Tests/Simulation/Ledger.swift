import Model
import Raft
import RaftHost
import RaftLog

/// The state machine of a simulated group: it tells the checker everything, and keeps nothing.
///
/// Its state is the chain of the last applied entry, which stands for the whole log before it.
final class Ledger: StateMachine {
    let group: RaftGroupID
    let node: NodeID
    /// Whether this kind of group has snapshots, as the controllers' has.
    let hasSnapshots: Bool
    private unowned let checker: Checker
    private(set) var index: LogIndex = 0
    private(set) var chain: UInt64 = 0

    init(group: RaftGroupID, node: NodeID, hasSnapshots: Bool, checker: Checker) {
        self.group = group
        self.node = node
        self.hasSnapshots = hasSnapshots
        self.checker = checker
    }

    var wantsPayloadAtRecovery: Bool { false }

    func recover(_ row: EntryRow, _ bytes: [UInt8]) {
        checker.found(group, node, row)
        take(row)
    }

    func appended(_ row: EntryRow, _ payload: Payload) { checker.found(group, node, row) }

    func truncated(from index: LogIndex) { checker.truncated(group, node, from: index) }

    func apply(_ row: EntryRow, _ payload: Payload) {
        checker.requireStable(group, node, row)
        take(row)
    }

    private func take(_ row: EntryRow) {
        checker.require(
            row.index == index + 1 || index == 0,
            "\(node.short) of group \(group) applied \(row.index) after \(index)"
        )
        index = row.index
        chain = row.chain
        checker.applied(group, node, row)
    }

    func leadershipChanged(_ leadership: Leadership) {}

    func takeSnapshot() -> [UInt8]? {
        guard hasSnapshots else { return nil }
        return (0..<8).map { UInt8(truncatingIfNeeded: chain >> (8 * $0)) }
    }

    func restore(_ snapshot: [UInt8], index: LogIndex) {
        checker.require(snapshot.count == 8, "a snapshot of \(snapshot.count) bytes")
        self.index = index
        chain = snapshot.reversed().reduce(0) { $0 << 8 | UInt64($1) }
        checker.restored(group, node, index, chain)
    }
}

extension NodeID {
    /// The node in short: `2.1` is the first replica that was placed on host 2.
    var short: String { "\(owner).\(incarnation)" }
}
