import Model

/// One replica of one Raft group, as a value: messages, ticks and proposals in, `Ready` out.
///
/// It does no input or output, reads no clock and draws its random numbers from the given seed,
/// so that the same calls always have the same results. The owner calls `ready()` while
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

    private(set) var previousSoftState = SoftState(leader: .none, role: .follower)
    private(set) var previousHardState = HardState()
    /// What `advance` steps, in sync mode.
    private var stepsOnAdvance: [Message] = []

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

// MARK: Ready

/// An answer to `readIndex`.
public struct ReadState: Equatable, Sendable {
    /// The read may be served once this index is applied.
    public let index: LogIndex
    /// The number that the request carried.
    public let context: UInt64

    /// Joins the two.
    public init(index: LogIndex, context: UInt64) {
        self.index = index
        self.context = context
    }
}

/// What a replica wants done.
public struct Ready: Sendable {
    /// Leader and role, if they changed.
    public var softState: SoftState?
    /// Term, vote and commit index, if they changed.
    public var hardState: HardState?
    /// Reads that were confirmed.
    public var readStates: [ReadState] = []
    /// New entries; with asynchronous writes they are in a `storageAppend` too.
    public var entries: [Entry] = []
    /// A snapshot to install; with asynchronous writes it is in a `storageAppend` too.
    public var snapshot: Snapshot?
    /// Entries to apply; with asynchronous writes they are in a `storageApply` too.
    public var committedEntries: [Entry] = []
    /// What to send, and what to have done by the local threads.
    public var messages: [Message] = []
    /// Whether the write must be durable before anything after it.
    public var mustSync = false
}

extension RaftNode {
    private var appliesUnstable: Bool { !config.asyncStorageWrites }

    /// Whether `ready()` has something to say.
    public var hasReady: Bool {
        !messages.isEmpty || !messagesAfterAppend.isEmpty || !readStates.isEmpty
            || log.unstable.hasNextEntries || log.unstable.nextSnapshot != nil
            || log.hasNextCommitted(allowUnstable: appliesUnstable)
            || softState != previousSoftState || hardState != previousHardState
    }

    /// Takes everything that is to be done; what was taken is never given again.
    public mutating func ready() -> Ready {
        var ready = Ready()
        ready.entries = log.unstable.nextEntries
        ready.committedEntries = log.nextCommitted(allowUnstable: appliesUnstable)
        ready.snapshot = log.unstable.nextSnapshot
        let (soft, hard) = (softState, hardState)
        if soft != previousSoftState { ready.softState = soft }
        if hard != previousHardState { ready.hardState = hard }
        // A commit index that is lost in a crash is learnt again: it alone needs no sync.
        ready.mustSync =
            !ready.entries.isEmpty || hard.term != previousHardState.term
            || hard.vote != previousHardState.vote
        swap(&ready.messages, &messages)
        swap(&ready.readStates, &readStates)
        if config.asyncStorageWrites {
            addStorageMessages(&ready)
        } else {
            deferSteps(&ready)
        }
        messagesAfterAppend = []
        previousSoftState = soft
        previousHardState = hard
        log.handOverUnstable()
        if let last = ready.committedEntries.last {
            log.acceptApplying(
                last.index,
                bytes: ready.committedEntries.sizeBytes,
                allowUnstable: appliesUnstable
            )
        }
        trace(.ready)
        return ready
    }

    private func addStorageMessages(_ ready: inout Ready) {
        let writes =
            !ready.entries.isEmpty || ready.hardState != nil || ready.snapshot != nil
            || !messagesAfterAppend.isEmpty
        if writes {
            var append = Message(type: .storageAppend, to: .localAppendThread, from: id)
            append.entries = ready.entries
            append.snapshot = ready.snapshot
            if let hardState = ready.hardState {
                append.term = hardState.term
                append.vote = hardState.vote
                append.commit = hardState.commit
            }
            append.responses = messagesAfterAppend
            if let response = storageAppendResponse(ready.snapshot) {
                append.responses.append(response)
            }
            ready.messages.append(append)
        }
        if !ready.committedEntries.isEmpty {
            var apply = Message(type: .storageApply, to: .localApplyThread, from: id)
            apply.entries = ready.committedEntries
            apply.responses = [storageApplyResponse(ready.committedEntries)]
            ready.messages.append(apply)
        }
    }

    /// Sync mode: what asynchronous writes would answer is kept until `advance`.
    private mutating func deferSteps(_ ready: inout Ready) {
        precondition(stepsOnAdvance.isEmpty, "two Ready values without advance between them")
        for message in messagesAfterAppend {
            if message.to == id {
                stepsOnAdvance.append(message)
            } else {
                ready.messages.append(message)
            }
        }
        if let response = storageAppendResponse(ready.snapshot) { stepsOnAdvance.append(response) }
        if !ready.committedEntries.isEmpty {
            stepsOnAdvance.append(storageApplyResponse(ready.committedEntries))
        }
    }

    /// What tells this replica that its log is stable up to the present end.
    ///
    /// It carries the present term, not that of the write: when the same entries were written,
    /// replaced and written again, the answer to the first write must not confirm the third.
    /// That is also why it is sent along whenever something is unstable: an older answer may have
    /// been ignored for its term.
    private func storageAppendResponse(_ snapshot: Snapshot?) -> Message? {
        guard log.hasUnstableEntries || snapshot != nil else { return nil }
        var response = Message(
            type: .storageAppendResponse,
            to: id,
            from: .localAppendThread,
            term: term
        )
        if log.hasUnstableEntries {
            response.index = log.lastIndex
            response.logTerm = log.lastTerm
        }
        response.snapshot = snapshot
        return response
    }

    private func storageApplyResponse(_ entries: [Entry]) -> Message {
        Message(type: .storageApplyResponse, to: id, from: .localApplyThread, entries: entries)
    }

    /// Sync mode only: confirms that the last `Ready` was carried out.
    public mutating func advance() {
        precondition(!config.asyncStorageWrites, "advance with asynchronous storage writes")
        let steps = stepsOnAdvance
        stepsOnAdvance = []
        for message in steps { try? handle(message) }
    }
}
