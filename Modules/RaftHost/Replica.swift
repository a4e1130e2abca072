import DequeModule
public import Model
import NIOCore
public import Raft
public import RaftLog
import Telemetry

/// One replica of one Raft group: the pure core, its log and its state machine, held together.
///
/// - Thread: its manager's event loop only.
/// - Invariant: `applied <= log.lastIndex`, and whatever the core reported as ready was handed to
///   the log, the sender and the state machine in that order.
public final class Replica {
    /// The group's number.
    public let id: RaftGroupID
    /// The group's log on this daemon.
    public let log: GroupLog
    /// Who leads, as this replica sees it.
    public internal(set) var leadership = Leadership.unknown {
        didSet {
            guard leadership.isLeader != oldValue.isLeader else { return }
            manager.leaderCount += leadership.isLeader ? 1 : -1
        }
    }
    /// Whether the log is known to differ from the group's: it takes no part any more.
    public internal(set) var isSuspect: Bool {
        didSet { if isSuspect { wake() } }
    }
    /// The last entry that the state machine has applied.
    public internal(set) var applied: LogIndex
    /// The next Kafka offset after the applied entries: consumers see everything below it.
    public internal(set) var highWatermark: Offset

    /// The members as far as changes of them were applied here.
    public internal(set) var configuration: ConfState

    /// The core; whoever only reads what rest leaves alone (term, role, leader, commit, last index)
    /// may use it, everyone else uses `node`.
    package private(set) var core: RaftNode
    /// Whether ticks and heartbeats go to the manager's record instead of the core.
    private(set) var isResting = false
    let stateMachine: any StateMachine
    unowned let manager: RaftManager
    var pending: Deque<PendingProposal> = []
    var barriers: [(context: UInt64, index: LogIndex?, completion: (Bool) -> Void)] = []
    var nextBarrier: UInt64 = 1
    /// The highest index whose write has returned from the disk.
    var durable: LogIndex
    /// The no-op with which this replica began to lead; later ones confirm it.
    var firstIndexOfLeadership: LogIndex = 0
    /// The offset of the next proposal while this replica leads.
    var nextOffset: Offset = 0
    var snapshotIndex: LogIndex
    var isDirty = false
    var isStopped = false
    var isSavingSnapshot = false
    var sentSnapshots: [SentSnapshot] = []
    /// The replicas that this one, as leader, sends old entries to.
    var catchingUp: [CatchUp] = []
    /// Whether a read of old entries has failed and is due again.
    var retriesReads = false {
        didSet { if retriesReads { wake() } }
    }
    /// Ticks until this replica campaigns because its leader's process is gone, or because nobody
    /// has won an election; -1 if it does not.
    var ticksToCampaign = -1
    var notes = LeadershipNotes()

    init(
        manager: RaftManager,
        log: GroupLog,
        node: consuming RaftNode,
        stateMachine: any StateMachine,
        applied: LogIndex
    ) {
        self.id = log.identity.group
        self.log = log
        self.core = node
        self.stateMachine = stateMachine
        self.manager = manager
        self.applied = applied
        self.durable = log.lastIndex
        self.highWatermark = log.offset(after: applied)
        self.snapshotIndex = log.firstIndex - 1
        self.isSuspect = false
        self.configuration = self.core.confState()
    }

    /// The core, woken: a replica rests no longer once anything is asked of it or done to it.
    package var node: RaftNode {
        _read {
            wake()
            yield core
        }
        _modify {
            wake()
            yield &core
        }
    }

    private func wake() { if isResting { manager.table.wake(self) } }

    /// Lets ticks and heartbeats go to a record; for the manager's table alone.
    func rest() {
        isResting = true
        core.releaseSpareMemory()
    }

    /// Takes up what happened while it rested; for the manager's table alone.
    func wake(from rest: RaftRest) {
        isResting = false
        core.wake(from: rest)
    }

    /// Whether ticks have nothing to do here but what the core's do.
    var mayRest: Bool {
        !isSuspect && !isStopped && ticksToCampaign < 0 && !retriesReads
            && sentSnapshots.isEmpty && configuration.votersOutgoing.isEmpty
    }

    /// This replica's own number.
    public var nodeID: NodeID { log.identity.node }

    /// The current term.
    public var term: Term { core.term }

    /// The last entry known to be committed; at or after `applied`.
    public var commit: LogIndex { core.commit }

    /// How many ticks ago this replica, as a follower, heard from its leader; 0 for other roles.
    public var leaderSilence: Int {
        // Asked of all replicas whenever a client asks for metadata: it must wake nobody.
        manager.table.rest(of: self)?.leaderSilence ?? core.leaderSilence
    }

    /// How far a leader knows another replica's log to match its own, and whether it answers.
    public func progress(of node: NodeID) -> (match: LogIndex, isActive: Bool)? {
        guard leadership.isLeader, let progress = core.progress(of: node) else { return nil }
        // Asked of all replicas once a second: it must wake nobody.
        let isAnswering = manager.table.rest(of: self)?.isAnswering(node) ?? progress.isAnswering
        return (progress.match, isAnswering || node == nodeID)
    }

    /// How many voters keep up, as a leader knows it; itself included.
    public var answeringVoters: Int {
        guard leadership.isLeader else { return 0 }
        // Asked of all replicas once a second, like the above.
        let rest = manager.table.rest(of: self)
        return configuration.voters.count { node in
            node == nodeID
                || rest?.isAnswering(node) ?? core.progress(of: node)?.isAnswering ?? false
        }
    }
}

// MARK: Proposals

extension Replica {
    /// Whether a proposal made now would enter the log.
    ///
    /// `leadership` is what was told at the end of the last turn; the core may have stepped down
    /// since, and whoever judges a batch by what leads to it must know that at once.
    public var acceptsProposals: Bool {
        !isStopped && !isSuspect && core.role == .leader && leadership.isLeader
            && leadership.term == core.term
    }

    /// Appends a batch to the group's log, stamped with its offsets and the leader's epoch.
    ///
    /// - Thread: the event loop; `completion` is called there too, perhaps before this returns.
    public func propose(
        _ batch: BatchPayload,
        _ acknowledgement: Acknowledgement,
        completion: @escaping (ProposalOutcome) -> Void
    ) {
        manager.eventLoop.preconditionInEventLoop()
        guard acceptsProposals else {
            manager.metrics.proposalsMisdirected.add()
            return completion(.notLeader(node.leader))
        }
        let baseOffset = nextOffset
        let stamped = batch.stamped(baseOffset: baseOffset, epoch: node.term.leaderEpoch)
        do {
            try node.propose(Payload(stamped))
        } catch {
            manager.metrics.proposalsRefused.add()
            return completion(.refused("\(error)"))
        }
        nextOffset += Int64(batch.lastOffsetDelta) + 1
        let proposal = PendingProposal(
            index: node.lastIndex,
            term: node.term,
            baseOffset: baseOffset,
            acknowledgement: acknowledgement,
            proposed: .now(),
            completion: completion
        )
        manager.markDirty(self)
        if case .appended = acknowledgement {
            completion(proposal.done)
        } else {
            pending.append(proposal)
        }
    }

    /// Asks whether this replica still leads, by an exchange with a majority.
    ///
    /// `completion` gets true once everything that was committed when this was called is applied,
    /// and false if the leadership is lost meanwhile.
    public func readBarrier(_ completion: @escaping (Bool) -> Void) {
        manager.eventLoop.preconditionInEventLoop()
        guard acceptsProposals else { return completion(false) }
        let context = nextBarrier
        nextBarrier += 1
        barriers.append((context, nil, completion))
        node.readIndex(context: context)
        manager.markDirty(self)
    }

    /// Answers the proposers that waited for what has happened now.
    func answerProposals() {
        guard !pending.isEmpty else { return }
        let now = NIODeadline.now()
        while let first = pending.first {
            let reached =
                switch first.acknowledgement {
                case .appended: true
                case .durable: first.index <= durable
                case .committed: first.index <= applied
                }
            guard reached else { return }
            if case .committed = first.acknowledgement {
                let duration = now - first.proposed
                manager.metrics.commitDuration.recordNanoseconds(duration.nanoseconds)
            }
            pending.removeFirst()
            first.completion(first.done)
        }
    }

    func failProposals() {
        let failed = pending
        pending = []
        for proposal in failed {
            proposal.completion(.notLeader(node.leader))
        }
        let lost = barriers
        barriers = []
        for barrier in lost { barrier.completion(false) }
    }

    func confirmBarriers(_ states: [ReadState]) {
        for state in states {
            for position in barriers.indices where barriers[position].context == state.context {
                barriers[position].index = state.index
            }
        }
        answerBarriers()
    }

    func answerBarriers() {
        while let first = barriers.first, let index = first.index, index <= applied {
            barriers.removeFirst()
            first.completion(true)
        }
    }
}

// MARK: Ready

extension Replica {
    /// Hands a batch of new entries, term, vote and snapshot to the log; the write follows.
    ///
    /// - Throws: `RaftLogError.malformedEntry` for entries that only a faulty leader sends.
    func prepareAppend(_ message: Message) throws(RaftLogError) -> GroupWrite {
        let isEmpty = message.term == 0 && message.vote == .none && message.commit == 0
        let hardState =
            isEmpty
            ? nil : HardState(term: message.term, vote: message.vote, commit: message.commit)
        if let first = message.entries.first, first.index <= log.lastIndex {
            stateMachine.truncated(from: first.index)
        }
        let write = try log.prepare(
            entries: message.entries,
            hardState: hardState,
            snapshot: message.snapshot
        )
        for entry in message.entries {
            guard let row = log.row(at: entry.index) else {
                preconditionFailure("group \(id): no row for the new entry \(entry.index)")
            }
            stateMachine.appended(row, entry.payload)
        }
        if let snapshot = message.snapshot { restore(snapshot) }
        return write
    }

    private func restore(_ snapshot: Snapshot) {
        let index = snapshot.metadata.index
        guard let state = SnapshotState(snapshot.data)?.state else {
            preconditionFailure("group \(id): the log took a snapshot without a state")
        }
        stateMachine.restore(state, index: index)
        applied = index
        snapshotIndex = index
        highWatermark = log.offset(after: index)
        configuration = snapshot.metadata.confState
        stateMachine.configurationChanged(configuration)
    }

    /// Applies committed entries and answers who waited for them.
    func apply(_ message: Message) {
        for entry in message.entries {
            precondition(
                entry.index == applied + 1,
                "group \(id): entry \(entry.index) applied after \(applied)"
            )
            guard let row = log.row(at: entry.index) else {
                preconditionFailure("group \(id): no row for the committed entry \(entry.index)")
            }
            if entry.type != .normal { applyConfChange(entry) }
            stateMachine.apply(row, entry.payload)
            applied = entry.index
        }
        highWatermark = log.offset(after: applied)
        log.releaseTail(upTo: applied)
        step(message.applyResponse)
        answerBarriers()
    }

    /// Steps a message of this replica's own or of a peer.
    ///
    /// A refusal is no error of the group, but for two that show a damaged log: then this replica
    /// takes no part any more.
    func step(_ message: Message) {
        if message.type == .timeoutNow { notes.wasAskedToLead() }
        do throws(RaftError) {
            try node.step(message)
        } catch {
            switch error {
            case .lostEntries(_, let index), .conflictsWithCommitted(let index, _):
                LogLines.diverged(self, at: index, manager.logger)
                fallSilent()
            default: LogLines.stepFailed(self, error, manager.logger)
            }
        }
    }

    private func count(_ before: Leadership, _ now: Leadership) {
        // An election that is won within one turn is never seen as a candidacy.
        let stood = now.role == .candidate || (now.role == .leader && before.role != .candidate)
        if stood, before.term != now.term || before.role == .preCandidate {
            manager.metrics.elections.add()
        }
        if now.leader != .none, now.leader != before.leader || now.term != before.term {
            manager.metrics.leaderChanges.add()
        }
    }

    /// Takes no part in the group any more: its log is not the group's, or is damaged.
    ///
    /// Until its process ends it neither votes nor acknowledges, leads or serves; whoever places
    /// replicas finds ``isSuspect`` and puts another one in its place.
    func fallSilent() {
        guard !isSuspect else { return }
        isSuspect = true
        giveUpLeadership()
    }

    /// Fails what waits, and tells the state machine that this replica follows nobody.
    func giveUpLeadership() {
        failProposals()
        leadership.role = .follower
        leadership.leader = .none
        leadership.isConfirmed = false
        stateMachine.leadershipChanged(leadership)
    }

    /// Notes that a read of this replica's log has failed: it falls silent if that was damage.
    ///
    /// - Thread: the event loop.
    public func readFailed(_ error: RaftLogError) {
        manager.eventLoop.preconditionInEventLoop()
        guard !isStopped else { return }
        LogLines.coldReadFailed(self, error, manager.logger)
        guard case .damaged(let path, let reason) = error, !isSuspect else { return }
        LogLines.damaged(self, "\(path): \(reason)", manager.logger)
        fallSilent()
    }

    /// Tells the state machine and the proposers about a change of role, term or leader.
    func updateLeadership() {
        guard !isSuspect else { return }
        let now = Leadership(
            role: node.role,
            term: node.term,
            leader: node.leader,
            isConfirmed: node.role == .leader && applied >= firstIndexOfLeadership
        )
        guard now != leadership else { return }
        let before = leadership
        count(before, now)
        if now.isLeader, !before.isLeader || before.term != now.term {
            firstIndexOfLeadership = node.lastIndex
            // The turn has handed everything to the log, entries of former terms too.
            nextOffset = log.nextOffset
            leadership = now
            leadership.isConfirmed = applied >= firstIndexOfLeadership
        } else {
            leadership = now
        }
        if before.isLeader, !now.isLeader || before.term != now.term {
            catchingUp = []
            failProposals()
            let loss = notes.loss(of: nodeID, from: before, to: now, members: configuration)
            LogLines.lostLeadership(self, loss.0, to: loss.successor, manager.logger)
            notes.stepsDown()
            if loss.0 == .quorum { LogLines.quorumLost(self, manager.logger) }
        }
        if now.leader != .none { ticksToCampaign = -1 }
        if leadership.isConfirmed, !before.isConfirmed || before.term != now.term {
            LogLines.leads(self, manager.logger)
            notes.follows(nodeID)
        } else if !now.isLeader {
            notes.follows(now.leader)
        }
        stateMachine.leadershipChanged(leadership)
    }
}
