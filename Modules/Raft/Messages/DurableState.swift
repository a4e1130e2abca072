import Model

/// What a replica must remember besides its log.
///
/// - Invariant: none of the three ever goes back, except the vote when the term rises.
/// - Source: Raft thesis, figure 3.1; the commit index is kept for a quicker start only.
public struct HardState: Equatable, Sendable {
    /// The latest term seen.
    public var term: Term
    /// Who got this replica's vote in that term, or none.
    public var vote: NodeID
    /// The highest index known to be committed.
    public var commit: LogIndex

    /// Joins the three.
    public init(term: Term = 0, vote: NodeID = .none, commit: LogIndex = 0) {
        self.term = term
        self.vote = vote
        self.commit = commit
    }

    /// Whether nothing was ever remembered.
    public var isEmpty: Bool { self == HardState() }
}

/// What a replica does in its term.
public enum RaftRole: UInt8, Sendable {
    /// Accepts a leader's entries, or waits for a leader.
    case follower
    /// Asks for votes.
    case candidate
    /// Appends proposals and replicates them.
    case leader
    /// Asks whether asking for votes could succeed, without disturbing the term.
    case preCandidate
}

/// What need not be remembered: who leads, and what this replica does.
public struct SoftState: Equatable, Sendable {
    /// The leader of the term, or none if unknown.
    public var leader: NodeID
    /// This replica's role.
    public var role: RaftRole

    /// Joins the two.
    public init(leader: NodeID, role: RaftRole) {
        self.leader = leader
        self.role = role
    }
}

/// The members of a group as they are stored in snapshots.
///
/// - Invariant: each list is sorted and names a node once.
public struct ConfState: Equatable, Sendable {
    /// Who votes; in a joint configuration the incoming half.
    public var voters: [NodeID]
    /// The outgoing half of a joint configuration; empty otherwise.
    public var votersOutgoing: [NodeID]
    /// Who receives entries without voting.
    public var learners: [NodeID]
    /// Outgoing voters that become learners when the joint configuration is left.
    public var learnersNext: [NodeID]
    /// Whether the joint configuration is left without being asked to.
    public var autoLeave: Bool

    /// Joins the lists, which are sorted here.
    public init(
        voters: [NodeID] = [],
        votersOutgoing: [NodeID] = [],
        learners: [NodeID] = [],
        learnersNext: [NodeID] = [],
        autoLeave: Bool = false
    ) {
        self.voters = voters.sorted()
        self.votersOutgoing = votersOutgoing.sorted()
        self.learners = learners.sorted()
        self.learnersNext = learnersNext.sorted()
        self.autoLeave = autoLeave
    }
}

/// Which state a snapshot holds.
public struct SnapshotMetadata: Equatable, Sendable {
    /// The last entry that the snapshot includes.
    public var index: LogIndex
    /// That entry's term.
    public var term: Term
    /// The members after that entry.
    public var confState: ConfState

    /// Joins the three.
    public init(index: LogIndex = 0, term: Term = 0, confState: ConfState = ConfState()) {
        self.index = index
        self.term = term
        self.confState = confState
    }
}

/// A state that stands for a prefix of the log.
public struct Snapshot: Equatable, Sendable {
    /// Which state it is.
    public var metadata: SnapshotMetadata
    /// The state's bytes, opaque to consensus.
    public var data: Payload

    /// Joins the two.
    public init(metadata: SnapshotMetadata = SnapshotMetadata(), data: Payload = .empty) {
        self.metadata = metadata
        self.data = data
    }

    /// Whether it stands for no entry at all.
    public var isEmpty: Bool { metadata.index == 0 }
}
