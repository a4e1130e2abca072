import DequeModule
public import Logging
public import Model
public import NIOCore
import Raft
public import RaftLog
import Telemetry

/// Many Raft groups on one event loop: starts and stops them, and drives their cores.
///
/// What the groups produce in one turn of the loop travels together: one submission to the
/// write-ahead log and one frame to each peer.
/// - Thread: the event loop only; it is neither Sendable nor locked.
public final class RaftManager {
    /// The loop to which every group of this manager belongs.
    public let eventLoop: any EventLoop
    /// Where the groups' logs are stored.
    public let directory: LogDirectory
    /// Called once if the log cannot be written any more; the daemon must exit with status 74.
    public var storageFailed: (any Error) -> Void = { _ in }
    /// How many ticks have gone by: a progress counter for the watchdog.
    public internal(set) var ticks: UInt64 = 0
    /// How many groups are led here.
    public internal(set) var leaderCount = 0
    /// How many of them sent their heartbeats at rest in the last tick.
    package internal(set) var restingLeaderCount = 0

    let options: RaftHostOptions
    let metrics: RaftHostMetrics
    let logger: Logger
    var sender: (any RaftSender)?
    var table = ReplicaTable()
    /// Sees, and may spoil, what goes between the cores and the rest; nil but in simulations.
    package var interceptor: (any RaftInterceptor)?
    private var random: any RandomNumberGenerator
    private var dirty: Deque<Replica> = []
    private var isFlushScheduled = false
    private var writes: [GroupWrite] = []
    private var unsubmitted: [(Replica, Message)] = []
    /// The submissions that the disk has not answered, oldest first.
    private var submitted: Deque<[(Replica, Message)]> = []
    private var nextTick: NIOScheduledCallback?
    private(set) var tickWork: [(_ ticks: UInt64) -> Void] = []
    /// What the last group had ready, emptied: its memory is used again.
    private var spare = Ready()
    private var hasFailed = false
    /// Reads for replicas that lag far behind.
    var catchUps: CatchUpQueue
    /// The heartbeats to each daemon that hosts a replica of a group that was ever led here.
    var heartbeats: [PeerHeartbeats] = []
    /// The number of the next round of heartbeats.
    var nextRound: UInt64

    /// Makes a manager without groups.
    public init(
        eventLoop: any EventLoop,
        directory: LogDirectory,
        options: RaftHostOptions = RaftHostOptions(),
        random: any RandomNumberGenerator,
        metrics: RaftHostMetrics = RaftHostMetrics(),
        logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.directory = directory
        self.options = options
        self.metrics = metrics
        self.random = random
        self.nextRound = self.random.next()
        self.catchUps = CatchUpQueue(bytesPerTick: options.catchUpBytesPerTick)
        self.logger = logger
    }

    /// Sets who carries messages to other daemons; must come before the first group starts.
    public func connect(to sender: any RaftSender) { self.sender = sender }

    /// Starts the clock of all groups.
    public func startTicking() { scheduleTick() }

    /// Has the loop tick once; a task that repeats itself would make promises, ten times a second.
    private func scheduleTick() {
        let clock = Clock(manager: NIOLoopBound(self, eventLoop: eventLoop))
        // It fails when the loop has ended, and with it every group.
        nextTick = try? eventLoop.scheduleCallback(in: options.tick, handler: clock)
    }

    private struct Clock: NIOScheduledCallbackHandler, Sendable {
        let manager: NIOLoopBound<RaftManager>

        func handleScheduledCallback(eventLoop: some EventLoop) {
            manager.value.scheduleTick()
            manager.value.tick()
        }
    }

    /// Has other work of the loop done at every tick, after that of the groups.
    ///
    /// A loop that wakes up once does everything at once. Given is how many ticks have gone by.
    public func onTick(_ work: @escaping (_ ticks: UInt64) -> Void) {
        eventLoop.preconditionInEventLoop()
        tickWork.append(work)
    }

    /// Stops the clock and every group, leaving all data in place.
    public func shutdown() {
        eventLoop.preconditionInEventLoop()
        nextTick?.cancel()
        tickWork = []
        for replica in table.replicas { retire(replica) }
        table.removeAll()
    }

    /// The numbers of the groups that run here, in order.
    public var groups: [RaftGroupID] { table.groups }

    /// The replica of a group, or nil if the group does not run here.
    public func replica(_ group: RaftGroupID) -> Replica? { table[group] }

    /// Whether a group runs here.
    public func isRunning(_ group: RaftGroupID) -> Bool { table[group] != nil }

    /// A group's leader as its replica here knows it.
    public func leader(of group: RaftGroupID) -> NodeID? {
        guard let leader = table[group]?.core.leader, leader != .none else { return nil }
        return leader
    }

    func nextRandom() -> UInt64 { random.next() }
}

// MARK: Turns

extension RaftManager {
    /// Notes that a group may have something ready; it is looked at once, at the turn's end.
    func markDirty(_ replica: Replica) {
        guard !replica.isDirty else { return }
        replica.isDirty = true
        dirty.append(replica)
        scheduleFlush()
    }

    /// Ends the present turn of the loop with a flush.
    func scheduleFlush() {
        guard !isFlushScheduled else { return }
        isFlushScheduled = true
        let manager = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { manager.value.flush() }
    }

    /// Ends a turn: collects from every group, sends, and submits one write for all.
    func flush() {
        isFlushScheduled = false
        while let replica = dirty.popFirst() {
            replica.isDirty = false
            collect(replica)
        }
        sender?.flush()
        guard !writes.isEmpty, !hasFailed else { return }
        submitted.append(unsubmitted)
        unsubmitted.removeAll(keepingCapacity: true)
        let manager = NIOLoopBound(self, eventLoop: eventLoop)
        let loop = eventLoop
        directory.submit(writes) { result in
            loop.execute { manager.value.answered(result) }
        }
        writes.removeAll(keepingCapacity: true)
    }

    /// Takes everything that a group's core has ready.
    func collect(_ replica: Replica) {
        guard !replica.isStopped, !replica.isSuspect else { return }
        var ready = Ready()
        swap(&ready, &spare)
        defer {
            ready.removeAll()
            swap(&ready, &spare)
        }
        while replica.node.hasReady {
            replica.node.ready(into: &ready)
            if interceptor != nil { intercept(&ready.messages, of: replica) }
            // The log learns of new entries before peers do, so that it can tell their chain.
            for message in ready.messages where message.to == .localAppendThread {
                guard prepare(message, of: replica) else { return }
            }
            for message in ready.messages where message.to != .localAppendThread {
                if message.to == .localApplyThread {
                    replica.apply(message)
                } else {
                    send(message, of: replica)
                }
            }
            if !ready.readStates.isEmpty { replica.confirmBarriers(ready.readStates) }
        }
        replica.updateLeadership()
        replica.answerProposals()
        fetchColdEntries(of: replica)
        snapshotIfDue(replica)
    }

    private func intercept(_ messages: inout [Message], of replica: Replica) {
        for place in messages.indices { interceptor?.leaving(&messages[place], of: replica) }
    }

    /// Whether the log took what the core wants stored; if not, the replica falls silent.
    private func prepare(_ message: Message, of replica: Replica) -> Bool {
        do throws(RaftLogError) {
            writes.append(try replica.prepareAppend(message))
            unsubmitted.append((replica, message))
            return true
        } catch {
            LogLines.malformed(replica, error, logger)
            replica.fallSilent()
            return false
        }
    }

    /// Records the members that a group has from an entry on; nobody waits for the write.
    func store(_ configuration: ConfState, at index: LogIndex, of replica: Replica) {
        writes.append(replica.log.prepare(configuration: configuration, at: index))
    }

    private func send(_ message: Message, of replica: Replica) {
        // What it had to say before the damage was found is not to be trusted either.
        guard !replica.isSuspect else { return }
        var chain: UInt64?
        if message.type == .snapshot { replica.sentSnapshot(to: message.to) }
        if message.type == .append { chain = replica.log.chain(at: message.index) }
        sender?.send(replica.id, message, chain: chain, on: replica.lane(for: message))
    }

    private func answered(_ result: Result<Void, RaftLogError>) {
        guard let interceptor else { return writesReturned(result) }
        interceptor.returned { self.writesReturned(result) }
    }

    /// Delivers what had to wait for the disk; called once per submission, in their order.
    private func writesReturned(_ result: Result<Void, RaftLogError>) {
        guard let batch = submitted.popFirst() else {
            preconditionFailure("the disk answered a submission that was never made")
        }
        if case .failure(let error) = result {
            guard !hasFailed else { return }
            hasFailed = true
            LogLines.writeFailed(error, logger)
            return storageFailed(error)
        }
        guard !hasFailed else { return }
        for (replica, message) in batch where !replica.isStopped && !replica.isSuspect {
            if let last = message.entries.last { replica.durable = last.index }
            interceptor?.stored(message, of: replica)
            for response in message.responses {
                if response.to == replica.node.id {
                    replica.step(response)
                } else {
                    send(response, of: replica)
                }
            }
            replica.answerProposals()
            markDirty(replica)
        }
        sender?.flush()
    }

    private func snapshotIfDue(_ replica: Replica) {
        let due = replica.snapshotIndex + options.snapshotEntries
        let isLongAgo = replica.applied >= due
        // Whoever was added since needs one that names it, if the log's beginning is gone.
        let lacksMembers =
            replica.log.firstIndex > 1 && replica.snapshotIndex < replica.log.confIndex
        guard isLongAgo || lacksMembers, !replica.isSavingSnapshot else { return }
        let index = replica.applied
        guard let term = try? replica.log.term(at: index),
            let bytes = replica.stateMachine.takeSnapshot()
        else { return }
        replica.isSavingSnapshot = true
        let metadata = SnapshotMetadata(
            index: index,
            term: term,
            confState: replica.node.confState()
        )
        let bound = NIOLoopBound(replica, eventLoop: eventLoop)
        let loop = eventLoop
        let snapshot = Snapshot(metadata: metadata, data: Payload(bytes))
        directory.saveSnapshot(replica.id, snapshot) { result in
            loop.execute {
                let replica = bound.value
                replica.isSavingSnapshot = false
                if case .failure(let error) = result {
                    replica.readFailed(error)
                } else {
                    replica.snapshotIndex = index
                }
            }
        }
    }
}
