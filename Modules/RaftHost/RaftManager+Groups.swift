import Logging
public import Model
import NIOCore
import Raft
public import RaftLog
import Telemetry

extension RaftManager {
    /// Starts a group that was found on this daemon's disk, rebuilding its applied state.
    ///
    /// One whose log is damaged is there, but silent: that concerns no other group.
    ///
    /// - Throws: `alreadyRunning`, or `storage` if the disk fails.
    public func recover(_ log: GroupLog, stateMachine: any StateMachine) throws(RaftHostError) {
        eventLoop.preconditionInEventLoop()
        guard table[log.identity.group] == nil else {
            throw .alreadyRunning(log.identity.group)
        }
        guard !log.isSuspect else {
            return runSilent(log, stateMachine, log.suspicion ?? "damaged")
        }
        do throws(RaftLogError) {
            let (applied, changes) = try replay(log, into: stateMachine)
            let replica = run(log, stateMachine: stateMachine, applied: applied)
            for change in changes { replica.applyConfChange(change) }
            start(replica)
        } catch {
            guard case .damaged(let path, let reason) = error else { throw .storage("\(error)") }
            runSilent(log, stateMachine, "\(path): \(reason)")
        }
    }

    /// Rebuilds the state up to the stored commit index; returns that, and the changes of members
    /// on the way which the log's own record of them lacks.
    private func replay(
        _ log: GroupLog,
        into stateMachine: any StateMachine
    ) throws(RaftLogError) -> (applied: LogIndex, changes: [Entry]) {
        let commit = log.initialState.0.commit
        var applied = log.firstIndex - 1
        var changes: [Entry] = []
        if let snapshot = try directory.loadSnapshot(log.identity.group) {
            stateMachine.restore(snapshot.data.copyBytes(), index: snapshot.metadata.index)
            applied = max(applied, snapshot.metadata.index)
        }
        guard commit > applied else { return (applied, changes) }
        try directory.scan(
            log.identity.group,
            from: applied + 1,
            to: commit,
            headersOnly: !stateMachine.wantsPayloadAtRecovery
        ) { row, bytes in
            if row.type != .normal, row.index > log.confIndex {
                changes.append(Entry(index: row.index, type: row.type, payload: Payload(bytes)))
            }
            stateMachine.recover(row, bytes)
        }
        return (commit, changes)
    }

    /// Keeps a damaged replica where whoever places replicas finds it.
    private func runSilent(_ log: GroupLog, _ stateMachine: any StateMachine, _ reason: String) {
        let applied = log.firstIndex - 1
        let replica = run(log, stateMachine: stateMachine, applied: applied, isSilent: true)
        replica.isSuspect = true
        LogLines.damaged(replica, reason, logger)
    }

    /// Starts a group that this daemon does not hold yet.
    ///
    /// A durable record of it is written first; `completion` is called on the event loop. With
    /// `join` the replica waits to be added by the group's leader, otherwise it takes its
    /// identity's members as the group's first configuration.
    public func startRaftGroup(
        _ identity: GroupIdentity,
        stateMachine: any StateMachine,
        join: Bool,
        completion: @escaping (Result<Void, RaftHostError>) -> Void
    ) {
        eventLoop.preconditionInEventLoop()
        guard table[identity.group] == nil else {
            return completion(.failure(.alreadyRunning(identity.group)))
        }
        let bound = NIOLoopBound((self, stateMachine, completion), eventLoop: eventLoop)
        let loop = eventLoop
        directory.create(identity, join: join) { result in
            loop.execute {
                let (manager, stateMachine, completion) = bound.value
                switch result {
                case .success:
                    manager.runCreated(identity, stateMachine, completion)
                case .failure(let error):
                    completion(.failure(.storage("\(error)")))
                }
            }
        }
    }

    private func runCreated(
        _ identity: GroupIdentity,
        _ stateMachine: any StateMachine,
        _ completion: (Result<Void, RaftHostError>) -> Void
    ) {
        guard table[identity.group] == nil else {
            return completion(.failure(.alreadyRunning(identity.group)))
        }
        do throws(RaftLogError) {
            let log = try directory.newGroupLog(identity.group)
            start(run(log, stateMachine: stateMachine, applied: 0))
        } catch {
            return completion(.failure(.storage("\(error)")))
        }
        completion(.success(()))
    }

    /// Makes the replica of a log; nothing moves yet.
    private func run(
        _ log: GroupLog,
        stateMachine: any StateMachine,
        applied: LogIndex,
        isSilent: Bool = false
    ) -> Replica {
        var config = RaftConfig(id: log.identity.node)
        config.electionTicks = options.electionTicks
        config.heartbeatTicks = options.heartbeatTicks
        config.applied = applied
        config.asyncStorageWrites = true
        config.maxBytesPerMessage = options.messageBytesMax
        config.maxInflightMessages = options.inflightMessagesMax
        config.maxInflightBytes = options.inflightBytesMax
        config.maxUncommittedBytes = options.uncommittedBytesMax
        config.checkQuorum = true
        config.preVote = true
        config.disableProposalForwarding = true
        config.stepDownOnRemoval = true
        let trace = isSilent ? nil : interceptor?.starting(from: log)
        let node = RaftNode(config: config, storage: log, seed: nextRandom(), trace: trace)
        let replica = Replica(
            manager: self,
            log: log,
            node: node,
            stateMachine: stateMachine,
            applied: applied
        )
        table.insert(replica)
        return replica
    }

    private func start(_ replica: Replica) {
        replica.stateMachine.configurationChanged(replica.configuration)
        announceTail(of: replica)
        markDirty(replica)
    }

    /// Tells the state machine of entries that were on disk at start but not known as committed.
    private func announceTail(of replica: Replica) {
        var index = replica.applied + 1
        while index <= replica.log.lastIndex {
            let entries = try? replica.log.entries(
                from: index,
                to: index + 1,
                maxBytes: Int.max
            )
            guard let entry = entries?.first, let row = replica.log.row(at: index) else { break }
            replica.stateMachine.appended(row, entry.payload)
            index += 1
        }
    }

    /// Stops a group; with `purge` its data is deleted too.
    ///
    /// `completion` is called on the event loop, after the deletion was recorded durably.
    public func stopRaftGroup(
        _ group: RaftGroupID,
        purge: Bool,
        completion: @escaping (Result<Void, RaftHostError>) -> Void
    ) {
        eventLoop.preconditionInEventLoop()
        let wasRunning = table.remove(group).map { retire($0) } != nil
        guard purge, directory.holds(group) else {
            return completion(wasRunning ? .success(()) : .failure(.notRunning(group)))
        }
        let bound = NIOLoopBound(completion, eventLoop: eventLoop)
        let loop = eventLoop
        directory.delete(group) { result in
            loop.execute { bound.value(result.mapError { .storage("\($0)") }) }
        }
    }

    func retire(_ replica: Replica) {
        replica.isStopped = true
        replica.giveUpLeadership()
    }

    /// Asks a group's leader here to hand leadership to another replica.
    public func transferLeadership(of group: RaftGroupID, to node: NodeID) {
        eventLoop.preconditionInEventLoop()
        guard let replica = table[group], replica.leadership.isLeader else { return }
        replica.transferLeadership(to: node)
        markDirty(replica)
    }

    /// Hands every leadership of this daemon to the most advanced replica that answers.
    ///
    /// Returns how many groups have begun to move.
    public func transferLeaderships() -> Int {
        eventLoop.preconditionInEventLoop()
        var moving = 0
        for replica in table.replicas {
            guard let successor = successor(of: replica, among: replica.voters) else { continue }
            replica.transferLeadership(to: successor)
            markDirty(replica)
            moving += 1
        }
        return moving
    }

    /// How many groups are led here that another replica could lead now.
    public var movableLeaderships: Int {
        table.replicas.count { successor(of: $0, among: $0.voters) != nil }
    }

    /// The most advanced other replica that answers; nil unless this one leads.
    func successor(of replica: Replica, among candidates: [NodeID]) -> NodeID? {
        guard replica.leadership.isLeader else { return nil }
        var best: (node: NodeID, match: LogIndex)?
        for node in candidates where node != replica.node.id {
            guard let progress = replica.progress(of: node), progress.isActive else { continue }
            if progress.match >= best?.match ?? 0 { best = (node, progress.match) }
        }
        return best?.node
    }

    /// Lets a group's replica here stand for election at once.
    public func campaign(_ group: RaftGroupID) {
        eventLoop.preconditionInEventLoop()
        if let replica = table[group], !replica.isSuspect { campaign(replica) }
    }

    func campaign(_ replica: Replica) {
        do {
            try replica.node.campaign()
        } catch {
            LogLines.stepFailed(replica, error, logger)
        }
        markDirty(replica)
    }
}

// MARK: Peers

extension RaftManager: RaftMessageSink {
    /// Steps the messages of one frame into their groups.
    public func receive(_ messages: [ReceivedMessage]) {
        eventLoop.preconditionInEventLoop()
        for received in messages {
            guard let replica = table[received.group], isSame(received, as: replica) else {
                continue
            }
            receive(received.message, for: replica)
        }
    }

    /// Steps a message, if it is for this very replica.
    func receive(_ message: Message, for replica: Replica) {
        guard message.to == replica.nodeID, !replica.isSuspect else { return }
        var message = message
        interceptor?.arriving(&message, at: replica)
        if message.type == .appendResponse, message.reject { metrics.appendsRejected.add() }
        replica.step(message)
        replica.noticeArrivedSnapshots()
        markDirty(replica)
    }

    /// Whether an append continues the very log that this replica holds.
    ///
    /// The same index and term with another chain is damage, which Raft itself cannot see: it
    /// must never be answered by cutting the log.
    private func isSame(_ received: ReceivedMessage, as replica: Replica) -> Bool {
        let message = received.message
        guard message.type == .append, message.to == replica.nodeID,
            let theirs = received.chain, !replica.isDirty
        else { return true }
        guard message.index <= replica.log.lastIndex,
            let term = try? replica.log.term(at: message.index), term == message.logTerm,
            let ours = replica.log.chain(at: message.index), ours != theirs
        else { return true }
        LogLines.diverged(replica, at: message.index, logger)
        replica.fallSilent()
        return false
    }

    /// Nothing to do: the peer's leaders speak first.
    public func peerConnected(_ owner: Int32) {}

    /// Lets the groups that the lost daemon led look for a new leader soon.
    ///
    /// They forget the leader, so that they may grant pre-votes, and stand for election one after
    /// the other in the order of their nodes. If the daemon lives, a majority still hears from
    /// it and refuses.
    public func peerDisconnected(_ owner: Int32) {
        eventLoop.preconditionInEventLoop()
        for replica in table.replicas where replica.core.leader != .none {
            guard replica.core.leader.owner == owner, !replica.leadership.isLeader else { continue }
            replica.node.forgetLeader()
            replica.notes.leaderIsGone()
            let candidates = replica.voters.filter { $0.owner != owner }
            // Groups begin with different replicas, so that leaders spread.
            let place = candidates.firstIndex(of: replica.node.id) ?? 0
            let turn = Int(replica.id.rawValue % UInt64(max(candidates.count, 1)))
            replica.ticksToCampaign =
                2 * ((place + candidates.count - turn) % max(candidates.count, 1))
            markDirty(replica)
        }
    }

    /// Lets a leader probe a replica again instead of sending to it blindly.
    public func peerUnreachable(_ group: RaftGroupID, _ node: NodeID) {
        eventLoop.preconditionInEventLoop()
        guard let replica = table[group], replica.leadership.isLeader else { return }
        replica.node.reportUnreachable(node)
        // A snapshot among what was lost would be waited for for ever.
        replica.node.reportSnapshot(node, failed: true)
        markDirty(replica)
    }
}
