import Model

/// How linearizable reads are confirmed.
public enum ReadOnlyOption: UInt8, Sendable {
    /// By a round of heartbeats to a quorum.
    case safe
    /// By the leader's lease, which trusts every clock of the group; needs `checkQuorum`.
    case leaseBased
}

/// How one replica of a group behaves.
public struct RaftConfig: Sendable {
    /// The replica; neither none nor one of the local threads.
    public var id: NodeID
    /// An election begins after this many to twice as many less one ticks without a leader; 10.
    public var electionTicks = 10
    /// The leader beats every so many ticks; 1.
    public var heartbeatTicks = 1
    /// The last entry that the application has applied; 0 means "what the snapshot holds".
    public var applied: LogIndex = 0
    /// Whether storage is asked by messages; without it `advance` confirms each `Ready`.
    public var asyncStorageWrites = true
    /// How many bytes of entries an append carries, at least one entry; 1 MiB.
    public var maxBytesPerMessage = 1 << 20
    /// How many appends may be unanswered per peer; 64.
    public var maxInflightMessages = 64
    /// How many bytes may be unanswered per peer, overshot by one message at most; 8 MiB, 0 for
    /// no limit.
    public var maxInflightBytes = 8 << 20
    /// How many bytes a leader's tail may hold before proposals are dropped; 64 MiB, 0 for no
    /// limit.
    public var maxUncommittedBytes = 64 << 20
    /// How many bytes may be handed out for applying and not be applied yet, at least one entry;
    /// 8 MiB, 0 for `maxBytesPerMessage`.
    public var maxCommittedBytesPerReady = 8 << 20
    /// Whether a leader that hears from no quorum for an election timeout steps down.
    public var checkQuorum = true
    /// Whether a replica asks for votes only after a quorum said it would give them.
    public var preVote = true
    /// Whether a candidate asks for votes only when its own vote and term are durable.
    ///
    /// Without that it can win by the votes of others, forget its term in a crash, and win the same
    /// term again with another log: two different entries with one index and term. etcd's scripts
    /// do without it.
    public var votesWaitForDurability = true
    /// How linearizable reads are confirmed.
    public var readOnlyOption = ReadOnlyOption.safe
    /// Whether followers drop proposals, and leaders those of others.
    public var disableProposalForwarding = true
    /// Whether a leader steps down when it is removed or becomes a learner.
    public var stepDownOnRemoval = true
    /// Whether a change of members is appended even if it cannot be applied after the last one.
    public var disableConfChangeValidation = false

    /// The defaults of production for a replica.
    public init(id: NodeID) { self.id = id }

    /// Finds contradictions.
    ///
    /// - Throws: `RaftError.invalidConfig`.
    public func validate() throws(RaftError) {
        if id == .none { throw .invalidConfig("cannot use none as id") }
        if id.isLocalThread { throw .invalidConfig("cannot use local target as id") }
        if heartbeatTicks <= 0 {
            throw .invalidConfig("heartbeat tick must be greater than 0")
        }
        if electionTicks <= heartbeatTicks {
            throw .invalidConfig("election tick must be greater than heartbeat tick")
        }
        if maxInflightMessages <= 0 {
            throw .invalidConfig("max inflight messages must be greater than 0")
        }
        if min(maxBytesPerMessage, maxUncommittedBytes, maxCommittedBytesPerReady) < 0 {
            throw .invalidConfig("a limit in bytes must not be negative")
        }
        if maxInflightBytes != 0, maxInflightBytes < maxBytesPerMessage {
            throw .invalidConfig("max inflight bytes must be >= max message size")
        }
        if readOnlyOption == .leaseBased, !checkQuorum {
            throw .invalidConfig("lease-based reads need checkQuorum")
        }
    }
}
