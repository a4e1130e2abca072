import Model

// MARK: Terms

extension RaftNode {
    /// Takes any message, after the checks for messages from outside.
    mutating func handle(_ message: Message) throws(RaftError) {
        traceReceived(message)
        if message.term > term {
            guard acceptHigherTerm(message) else { return }
        } else if message.term < term, message.term != 0 {
            return handleLowerTerm(message)
        }
        switch message.type {
        case .hup: startElection(config.preVote ? .preElection : .election)
        case .vote, .preVote: handleVoteRequest(message)
        case .storageAppendResponse:
            if message.index != 0 { log.becameStable(message.index, term: message.logTerm) }
            if let snapshot = message.snapshot { snapshotApplied(snapshot) }
        case .storageApplyResponse:
            if let last = message.entries.lastIndex {
                applied(to: last, bytes: message.entries.sizeBytes)
                uncommittedBytes = max(0, uncommittedBytes - message.entries.payloadBytes)
            }
        default:
            switch role {
            case .leader: try stepLeader(message)
            case .follower: try stepFollower(message)
            case .candidate, .preCandidate: try stepCandidate(message)
            }
        }
    }

    /// Moves to a message's higher term; false if the message is ignored.
    private mutating func acceptHigherTerm(_ message: Message) -> Bool {
        if message.type == .vote || message.type == .preVote {
            // While the leader is heard from, nobody who merely missed it gets a vote.
            let inLease =
                config.checkQuorum && leader != .none && electionElapsed < config.electionTicks
            if inLease, message.context != Message.transfer {
                let remaining = config.electionTicks - electionElapsed
                sink.info(
                    voteText("ignored", message)
                        + ": lease is not expired (remaining ticks: \(remaining))"
                )
                return false
            }
        }
        switch message.type {
        // A pre-vote, asked for or granted, names a term that nobody has entered yet.
        case .preVote: return true
        case .preVoteResponse where !message.reject: return true
        default: break
        }
        sink.info(
            "\(id.hexadecimal) [term: \(term)] received a \(message.type) message with higher "
                + "term from \(message.from.hexadecimal) [term: \(message.term)]"
        )
        let isFromLeader =
            message.type == .append || message.type == .heartbeat || message.type == .snapshot
        becomeFollower(message.term, leader: isFromLeader ? message.from : .none)
        return true
    }

    private mutating func handleLowerTerm(_ message: Message) {
        switch message.type {
        case .heartbeat, .append:
            guard config.checkQuorum || config.preVote else { return logLowerTerm(message) }
            // A leader of an old term is told of ours: neither our votes nor our campaign can
            // reach it, if checks of quorum or pre-votes hold us back, and it would never step
            // down.
            send(Message(type: .appendResponse, to: message.from))
        case .preVote:
            // The answer tells a candidate that lags behind of our term.
            sink.info(voteText("rejected", message))
            send(
                Message(type: .preVoteResponse, to: message.from, term: term, reject: true)
            )
        case .storageAppendResponse:
            if message.index != 0 {
                sink.info(
                    "\(id.hexadecimal) [term: \(term)] ignored entry appends from a "
                        + "\(message.type) message with lower term [term: \(message.term)]"
                )
            }
            // A snapshot is committed state: no later term can have replaced it.
            if let snapshot = message.snapshot { snapshotApplied(snapshot) }
        default: logLowerTerm(message)
        }
    }

    private func logLowerTerm(_ message: Message) {
        sink.info(
            "\(id.hexadecimal) [term: \(term)] ignored a \(message.type) message with lower term "
                + "from \(message.from.hexadecimal) [term: \(message.term)]"
        )
    }
}

// MARK: Sending

extension RaftNode {
    /// Queues a message, stamped with sender and term.
    mutating func send(_ message: consuming Message) {
        if message.from == .none { message.from = id }
        if message.type.namesItsTerm {
            precondition(message.term != 0, "term should be set when sending \(message.type)")
        } else {
            precondition(
                message.term == 0,
                "term should not be set when sending \(message.type) (was \(message.term))"
            )
            // What is forwarded to the leader is not bound to the forwarder's term.
            if message.type != .propose, message.type != .readIndex { message.term = term }
        }
        traceSent(message)
        let isDurableCampaign = message.type == .vote && config.votesWaitForDurability
        if message.type.waitsForDurability || isDurableCampaign {
            messagesAfterAppend.append(message)
        } else {
            precondition(
                message.to != id,
                "message should not be self-addressed when sending \(message.type)"
            )
            messages.append(message)
        }
    }

    /// Passes a message on to the leader.
    mutating func forward(_ message: Message) {
        var forwarded = message
        forwarded.to = leader
        forwarded.term = 0
        send(forwarded)
    }
}

// MARK: Applied

extension RaftNode {
    /// Notes that entries were applied, and leaves a joint configuration if it is time.
    mutating func applied(to index: LogIndex, bytes: Int) {
        let newApplied = max(index, log.applied)
        log.applied(to: newApplied, bytes: bytes)
        guard tracker.config.autoLeave, newApplied >= pendingConfIndex, role == .leader else {
            return
        }
        do {
            // An empty payload is never refused for its size, so this works under any load.
            try handle(Message(type: .propose, entries: [Entry(type: .confChangeV2)]))
            sink.info(
                "initiating automatic transition out of joint configuration \(tracker.config)"
            )
        } catch {
            sink.debug(
                "not initiating automatic transition out of joint configuration "
                    + "\(tracker.config): \(error)"
            )
        }
    }

    private mutating func snapshotApplied(_ snapshot: Snapshot) {
        log.snapshotBecameStable(snapshot.metadata.index)
        applied(to: snapshot.metadata.index, bytes: 0)
    }
}
