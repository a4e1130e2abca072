public import Model
public import Raft
public import RaftLog

/// What a Raft group's log means: the replicated state that a role keeps for one group.
///
/// - Thread: every call happens on the group's event loop, in log order.
/// - Invariant: `recover` calls come first, then `appended`, `truncated` and `apply`; an entry is
///   applied once, after it was appended, and never truncated afterwards.
public protocol StateMachine: AnyObject {
    /// Whether `recover` needs each entry's whole payload instead of the batch header alone.
    var wantsPayloadAtRecovery: Bool { get }

    /// Takes a committed entry that was found on disk at start.
    ///
    /// `bytes` holds the batch's header, or all of the payload if `wantsPayloadAtRecovery`.
    func recover(_ row: EntryRow, _ bytes: [UInt8])

    /// Learns of an entry that entered this replica's log and may still be cut off again.
    func appended(_ row: EntryRow, _ payload: Payload)

    /// Learns that the entries from `index` on were cut off the log.
    func truncated(from index: LogIndex)

    /// Takes a committed entry that is stable on this replica.
    func apply(_ row: EntryRow, _ payload: Payload)

    /// Learns of a change of role, term or leader, or that the leader is confirmed.
    func leadershipChanged(_ leadership: Leadership)

    /// Learns of the group's members: at the start, and whenever they have changed here.
    func configurationChanged(_ configuration: ConfState)

    /// The applied state as bytes, or nil if this kind of group keeps its whole log.
    func takeSnapshot() -> [UInt8]?

    /// Replaces the state by a snapshot that covers the log up to and including `index`.
    func restore(_ snapshot: [UInt8], index: LogIndex)
}

extension StateMachine {
    /// Nothing to do.
    public func configurationChanged(_ configuration: ConfState) {}
}

/// Who leads a group, as one of its replicas sees it.
public struct Leadership: Equatable, Sendable {
    /// This replica's role.
    public var role: RaftRole
    /// The current term.
    public var term: Term
    /// The leader of that term, or `.none` while unknown.
    public var leader: NodeID
    /// Whether this replica leads and an entry of its own term is committed.
    ///
    /// Only then does it know every offset that a former leader acknowledged.
    public var isConfirmed: Bool

    /// Whether this replica leads, confirmed or not.
    public var isLeader: Bool { role == .leader }

    /// The state of a replica that has just started.
    public static let unknown = Leadership(
        role: .follower,
        term: 0,
        leader: .none,
        isConfirmed: false
    )

    /// Describes a replica's view.
    public init(role: RaftRole, term: Term, leader: NodeID, isConfirmed: Bool) {
        self.role = role
        self.term = term
        self.leader = leader
        self.isConfirmed = isConfirmed
    }
}
