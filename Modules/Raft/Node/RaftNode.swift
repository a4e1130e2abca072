import Model

/// One replica of one Raft group, as a value: messages, ticks and proposals in, `Ready` out.
///
/// It does no input or output, reads no clock and draws its random numbers from the given seed,
/// so that the same calls always have the same results. The owner calls `ready(into:)` while
/// `hasReady`, sends the messages, and carries out those to the local threads:
///
/// - `localAppendThread`: write, then deliver the responses (to itself by `step`) in order once
///   the write is durable;
/// - `localApplyThread`: apply the entries, conf changes by `applyConfChange`, then step the
///   responses.
///
/// Messages to one local thread must be carried out in order and may not be lost.
/// It cannot be copied: a copy would vote a second time with the storage of the first, and merely
/// looking at a value held by a class would cost a copy of all that it refers to.
/// - Thread: one at a time.
public struct RaftNode: ~Copyable {
    /// This replica.
    public var id: NodeID { config.id }
    /// The latest term seen.
    public internal(set) var term: Term = 0
    /// What this replica does in the term.
    public internal(set) var role = RaftRole.follower
    /// Who leads the term, or none if unknown.
    public internal(set) var leader = NodeID.none
    /// Who got this replica's vote in the term, or none.
    var vote = NodeID.none

    let config: RaftConfig
    let sink: LogSink
    let traceHook: TraceHook?
    package var log: RaftLogView
    package var tracker: ProgressTracker
    var generator: SplitMix64

    /// Messages that may be sent at once.
    var messages: [Message] = []
    /// Messages that may be sent when everything accepted before them is durable.
    var messagesAfterAppend: [Message] = []
    var readStates: [ReadState] = []

    var electionElapsed = 0
    var heartbeatElapsed = 0
    /// The timeout that was drawn for this term and role.
    package var randomizedElectionTicks = 0
    /// Who shall lead next; none unless a transfer is under way.
    var transferee = NodeID.none
    /// No conf change at or below this index may be unapplied when another one is proposed.
    var pendingConfIndex: LogIndex = 0
    /// The payload bytes in the leader's uncommitted tail; an underestimate after an election.
    var uncommittedBytes = 0
    var reads = ReadOnlyQueue()
    /// Reads that wait for the first commit of the leader's term.
    var postponedReads: [Message] = []

    var previousSoftState = SoftState(leader: .none, role: .follower)
    var previousHardState = HardState()
    /// What `advance` steps, in sync mode.
    var stepsOnAdvance: [Message] = []
    var responseBuffers = ResponseBuffers()

    /// Starts a replica from what its storage remembers.
    ///
    /// - Parameters:
    ///   - config: must be valid.
    ///   - storage: the stable log, owned by whoever carries out the writes.
    ///   - seed: election timeouts depend on it; different replicas need different ones.
    ///   - log: receives etcd's log lines.
    ///   - trace: receives every step, for a check against a model.
    public init(
        config: RaftConfig,
        storage: any LogStorage,
        seed: UInt64,
        log: LogHook? = nil,
        trace: TraceHook? = nil
    ) {
        do {
            try config.validate()
        } catch {
            preconditionFailure("\(error)")
        }
        var limits = config
        if limits.maxUncommittedBytes == 0 { limits.maxUncommittedBytes = .max }
        if limits.maxCommittedBytesPerReady == 0 {
            limits.maxCommittedBytesPerReady = max(1, limits.maxBytesPerMessage)
        }
        self.config = limits
        self.sink = LogSink(hook: log)
        self.traceHook = trace
        self.log = RaftLogView(
            storage: storage,
            applyingBytesMax: limits.maxCommittedBytesPerReady,
            sink: sink
        )
        self.tracker = ProgressTracker(
            inflightCountMax: config.maxInflightMessages,
            inflightBytesMax: config.maxInflightBytes
        )
        self.generator = SplitMix64(seed: seed)
        load(storage.initialState)
    }

    private mutating func load(_ state: (hard: HardState, members: ConfState)) {
        trace(.initState)
        do {
            let (config, peers) = try members(of: state.members)
            _ = switchTo(config, peers)
        } catch {
            preconditionFailure("unable to restore config \(state.members): \(error)")
        }
        term = state.hard.term
        vote = state.hard.vote
        // What was applied was committed, even if the commit index was not synced since.
        log.load(committed: max(state.hard.commit, config.applied))
        if config.applied > log.applied { log.applied(to: config.applied, bytes: 0) }
        becomeFollower(term, leader: .none)
        previousSoftState = softState
        previousHardState = hardState
        sink.info(
            "newRaft \(id.hexadecimal) [peers: [\(votersText)], term: \(term), "
                + "commit: \(log.committed), applied: \(log.applied), "
                + "lastindex: \(log.lastIndex), lastterm: \(log.lastTerm)]"
        )
    }

    private var votersText: String {
        tracker.config.voters.ids.map(\.hexadecimal).joined(separator: ",")
    }

    var softState: SoftState { SoftState(leader: leader, role: role) }
    var hardState: HardState { HardState(term: term, vote: vote, commit: log.committed) }
}
