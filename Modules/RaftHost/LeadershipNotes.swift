import Model
import NIOCore
import Raft

/// Why leadership moves, as far as one replica can tell: for the journal, and nothing else.
///
/// The core decides without asking why; what tells the causes apart is noted here as it happens.
struct LeadershipNotes {
    /// Why a replica stands for election.
    enum Campaign: String {
        /// Nothing was heard of the leader for longer than an election timeout.
        case silent = "leader-silent"
        /// The streams of the leader's process have ended.
        case gone = "leader-gone"
        /// The leader has asked this replica to take over.
        case handover = "handover"
        /// No leader was known here, as after a start.
        case none = "no-leader"
    }

    /// Why a leader leads no longer.
    enum Loss: String {
        /// It has handed over itself.
        case handover = "handover"
        /// It did not hear from a majority.
        case quorum = "no-quorum"
        /// It is no member any more.
        case removed = "removed"
        /// Somebody else has begun a newer term, without having been asked to.
        case term = "newer-term"
    }

    /// The leader that this replica knew last; `.none` if it knew none since its start.
    private(set) var former = NodeID.none
    private var isGone = false
    private var isAsked = false
    private var handover: (to: NodeID, term: Term, until: NIODeadline)?
    /// A transfer that takes longer is given up by the core, which does not say so.
    private static let handoverMax = TimeAmount.seconds(5)

    /// Notes who leads now.
    mutating func follows(_ leader: NodeID) {
        guard leader != .none else { return }
        former = leader
        isGone = false
        isAsked = false
    }

    /// Notes that this replica leads no longer: whoever leads next, it is not to follow itself.
    mutating func stepsDown() { self = LeadershipNotes() }

    /// Notes that the leader's process is gone.
    mutating func leaderIsGone() { isGone = true }

    /// Notes that the leader wants this replica to take over.
    mutating func wasAskedToLead() { isAsked = true }

    /// Notes that this replica, leading, asks another one to take over.
    mutating func asks(_ successor: NodeID, in term: Term) {
        handover = (successor, term, .now() + Self.handoverMax)
    }

    /// Why this replica has stood for election and won.
    var campaign: Campaign {
        if isAsked { return .handover }
        if former == .none { return .none }
        return isGone ? .gone : .silent
    }

    /// Why this replica does not lead any more, and to whom it has handed over.
    func loss(
        of own: NodeID,
        from before: Leadership,
        to now: Leadership,
        members: ConfState
    ) -> (Loss, successor: NodeID?) {
        if let handover, handover.term == before.term, now.term > before.term,
            NIODeadline.now() < handover.until
        {
            return (.handover, handover.to)
        }
        if now.term > before.term { return (.term, now.leader == .none ? nil : now.leader) }
        return (members.voters.contains(own) ? .quorum : .removed, nil)
    }
}
