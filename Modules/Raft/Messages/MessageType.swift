/// What a message asks or answers.
///
/// - Shape: the raw values and names are those of etcd's protocol.
public enum MessageType: UInt8, Sendable, CaseIterable {
    /// Local: stand for election.
    case hup = 0
    /// Local: send heartbeats.
    case beat = 1
    /// Append these entries, if you lead.
    case propose = 2
    /// The leader's entries.
    case append = 3
    /// How far the log matches now, or where it may match.
    case appendResponse = 4
    /// A candidate asks for a vote.
    case vote = 5
    /// The vote, given or refused.
    case voteResponse = 6
    /// The leader's snapshot.
    case snapshot = 7
    /// The leader lives.
    case heartbeat = 8
    /// The follower lives.
    case heartbeatResponse = 9
    /// Local: a message to a peer was lost.
    case unreachable = 10
    /// Local: whether a snapshot reached its peer.
    case snapshotStatus = 11
    /// Local: step down unless a quorum was heard from.
    case checkQuorum = 12
    /// Hand leadership to the sender.
    case transferLeader = 13
    /// Stand for election at once.
    case timeoutNow = 14
    /// Up to which index must a linearizable read wait?
    case readIndex = 15
    /// The answer to `readIndex`.
    case readIndexResponse = 16
    /// Would I get your vote?
    case preVote = 17
    /// The answer to `preVote`.
    case preVoteResponse = 18
    /// Local: write these entries, this state and this snapshot.
    case storageAppend = 19
    /// Local: they are durable.
    case storageAppendResponse = 20
    /// Local: apply these committed entries.
    case storageApply = 21
    /// Local: they are applied.
    case storageApplyResponse = 22
    /// Local: forget who leads, without leaving the term.
    case forgetLeader = 23

    /// Whether the message never travels between nodes.
    public var isLocal: Bool {
        switch self {
        case .hup, .beat, .unreachable, .snapshotStatus, .checkQuorum, .storageAppend,
            .storageAppendResponse, .storageApply, .storageApplyResponse:
            true
        default: false
        }
    }

    /// Whether the message answers another one, so that only a member may send it.
    public var isResponse: Bool {
        switch self {
        case .appendResponse, .voteResponse, .heartbeatResponse, .unreachable,
            .readIndexResponse, .preVoteResponse, .storageAppendResponse, .storageApplyResponse:
            true
        default: false
        }
    }

    /// Whether sending it must wait until everything accepted before is durable.
    var waitsForDurability: Bool {
        self == .appendResponse || self == .voteResponse || self == .preVoteResponse
    }

    /// Whether it belongs to an election and therefore names its term itself.
    var namesItsTerm: Bool {
        switch self {
        case .vote, .voteResponse, .preVote, .preVoteResponse: true
        default: false
        }
    }
}
