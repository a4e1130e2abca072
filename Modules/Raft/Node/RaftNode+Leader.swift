import Model

extension RaftNode {
    /// Steps a message as leader.
    mutating func stepLeader(_ message: Message) throws(RaftError) {
        switch message.type {
        case .beat: return broadcastHeartbeat()
        case .checkQuorum: return checkQuorum()
        case .propose: return try handleProposal(message)
        case .readIndex: return handleReadIndex(message)
        case .forgetLeader: return
        default: break
        }
        guard let place = tracker.place(of: message.from) else {
            return sink.debug(
                "\(id.hexadecimal) no progress available for \(message.from.hexadecimal)"
            )
        }
        switch message.type {
        case .appendResponse:
            tracker.peers[place].isRecentlyActive = true
            if message.reject {
                handleRejection(message, place)
            } else {
                try handleAcknowledgement(message, place)
            }
        case .heartbeatResponse: handleHeartbeatResponse(message, place)
        case .snapshotStatus: handleSnapshotStatus(message, place)
        case .unreachable:
            // What was sent ahead is probably lost.
            if tracker.peers[place].state == .replicate { tracker.peers[place].becomeProbe() }
            sink.debug(
                "\(id.hexadecimal) failed to send message to \(message.from.hexadecimal) because "
                    + "it is unreachable [\(tracker.peers[place])]"
            )
        case .transferLeader: handleTransfer(message, place)
        default: break
        }
    }

    /// Steps down unless a quorum was heard from, and starts the next period.
    private mutating func checkQuorum() {
        if !tracker.isQuorumActive {
            sink.warning(
                "\(id.hexadecimal) stepped down to follower since quorum is not active"
            )
            becomeFollower(term, leader: .none)
        }
        for place in tracker.peers.indices where tracker.peers[place].id != id {
            tracker.peers[place].beginPeriod()
        }
    }

    // MARK: Proposals

    private mutating func handleProposal(_ message: Message) throws(RaftError) {
        precondition(!message.entries.isEmpty, "\(id.hexadecimal) stepped empty MsgProp")
        // A leader that was removed must not add to a log it has no part in.
        guard tracker.contains(id) else { throw .proposalDropped }
        if config.disableProposalForwarding, message.from != id, message.from != .none {
            throw .proposalDropped
        }
        if transferee != .none {
            sink.debug(
                "\(id.hexadecimal) [term \(term)] transfer leadership to "
                    + "\(transferee.hexadecimal) is in progress; dropping proposal"
            )
            throw .proposalDropped
        }
        var entries = message.entries
        let pendingBefore = pendingConfIndex
        for place in 0..<entries.count where entries.type(at: place) != .normal {
            try checkConfChange(&entries[place], index: log.lastIndex + UInt64(place) + 1)
        }
        guard append(entries) else {
            // What did not enter the log holds up no later change.
            pendingConfIndex = pendingBefore
            throw .proposalDropped
        }
        broadcastAppend()
    }

    /// Appends to the own log in this term; false if the uncommitted tail is full.
    mutating func append(_ proposed: EntryList) -> Bool {
        let bytes = proposed.payloadBytes
        // One proposal of any size fits into an empty tail, and an empty one always does: a new
        // leader and a joint configuration must not be held up.
        let (total, overflow) = uncommittedBytes.addingReportingOverflow(bytes)
        if uncommittedBytes > 0, bytes > 0, overflow || total > config.maxUncommittedBytes {
            sink.warning(
                "\(id.hexadecimal) appending new entries to log would exceed uncommitted entry "
                    + "size limit; dropping proposal"
            )
            return false
        }
        uncommittedBytes = total
        traceReplicated(proposed)
        var entries = proposed
        var last = log.lastIndex
        for place in 0..<entries.count {
            last += 1
            entries.stamp(place, term: term, index: last)
        }
        log.append(entries)
        // The own acknowledgement counts like any other: when the entries are durable.
        send(Message(type: .appendResponse, to: id, index: last))
        return true
    }

    // MARK: Answers

    /// Finds an earlier place at which a follower's log may match.
    private mutating func handleRejection(_ message: Message, _ place: Int) {
        sink.debug(
            "\(id.hexadecimal) received MsgAppResp(rejected, hint: (index \(message.rejectHint), "
                + "term \(message.logTerm))) from \(message.from.hexadecimal) "
                + "for index \(message.index)"
        )
        var hint = message.rejectHint
        if message.logTerm > 0 {
            // Where our term is above the follower's, it cannot have our entry: terms never fall
            // along a log. So at most one probe is needed for each term.
            hint = log.lastPossibleMatch(hint, term: message.logTerm).index
        }
        guard tracker.peers[place].maybeDecrease(rejected: message.index, hint: hint) else {
            return
        }
        sink.debug(
            "\(id.hexadecimal) decreased progress of \(message.from.hexadecimal) "
                + "to [\(tracker.peers[place])]"
        )
        if tracker.peers[place].state == .replicate { tracker.peers[place].becomeProbe() }
        _ = maybeSendAppend(place, evenIfEmpty: true)
    }

    /// Takes the news that a member's log matches up to an index, and commits what that allows.
    private mutating func handleAcknowledgement(
        _ message: Message,
        _ place: Int
    ) throws(RaftError) {
        if message.index > log.lastIndex { throw .malformed("acknowledgement of no entry") }
        let isNews =
            tracker.peers[place].maybeUpdate(message.index)
            || (tracker.peers[place].match == message.index
                && tracker.peers[place].state == .probe)
        guard isNews else { return }
        switch tracker.peers[place].state {
        case .probe: tracker.peers[place].becomeReplicate()
        case .snapshot:
            // Any snapshot will do, also another than ours, once it reaches our log.
            guard tracker.peers[place].match + 1 >= log.firstIndex else { break }
            sink.debug(
                "\(id.hexadecimal) recovered from needing snapshot, resumed sending replication "
                    + "messages to \(message.from.hexadecimal) [\(tracker.peers[place])]"
            )
            tracker.peers[place].becomeProbe()
            tracker.peers[place].becomeReplicate()
        case .replicate: tracker.peers[place].inflights.free(upTo: message.index)
        }
        let isSelf = message.from == id
        if maybeCommit() {
            releasePostponedReads()
            broadcastAppend()
        } else if !isSelf, tracker.peers[place].canBumpCommit(log.committed) {
            // The next heartbeat would bring the commit index too, only later.
            _ = maybeSendAppend(place, evenIfEmpty: true)
        }
        if isSelf { return }
        // The window has opened: fill it.
        while maybeSendAppend(place, evenIfEmpty: false) {}
        if message.from == transferee, tracker.peers[place].match == log.lastIndex {
            sink.info(
                "\(id.hexadecimal) sent MsgTimeoutNow to \(message.from.hexadecimal) after "
                    + "received MsgAppResp"
            )
            send(Message(type: .timeoutNow, to: message.from))
        }
    }

    private mutating func handleHeartbeatResponse(_ message: Message, _ place: Int) {
        tracker.peers[place].isRecentlyActive = true
        // One append per heartbeat even to a member whose window is full or whose last append
        // was lost: its answer tells where it stands.
        tracker.peers[place].isFlowPaused = false
        tracker.peers[place].isWaitingForEntries = false
        if tracker.peers[place].match < log.lastIndex || tracker.peers[place].state == .probe {
            _ = maybeSendAppend(place, evenIfEmpty: true)
        }
        guard config.readOnlyOption == .safe, let position = message.context else { return }
        reads.acknowledge(message.from, position: position)
        answerConfirmedReads()
    }

    private mutating func handleSnapshotStatus(_ message: Message, _ place: Int) {
        guard tracker.peers[place].state == .snapshot else { return }
        // Without the snapshot the member is where it was.
        if message.reject { tracker.peers[place].pendingSnapshot = 0 }
        tracker.peers[place].becomeProbe()
        sink.debug(
            "\(id.hexadecimal) snapshot \(message.reject ? "failed" : "succeeded"), resumed "
                + "sending replication messages to \(message.from.hexadecimal) "
                + "[\(tracker.peers[place])]"
        )
        // Its answer or the next heartbeat's comes first.
        tracker.peers[place].isFlowPaused = true
    }

    // MARK: Transfer

    private mutating func handleTransfer(_ message: Message, _ place: Int) {
        let target = message.from
        if tracker.peers[place].isLearner {
            return sink.debug(
                "\(id.hexadecimal) is learner. Ignored transferring leadership"
            )
        }
        if transferee == target {
            return sink.info(
                "\(id.hexadecimal) [term \(term)] transfer leadership to \(target.hexadecimal) "
                    + "is in progress, ignores request to same node \(target.hexadecimal)"
            )
        }
        if transferee != .none {
            sink.info(
                "\(id.hexadecimal) [term \(term)] abort previous transferring leadership to "
                    + transferee.hexadecimal
            )
            transferee = .none
        }
        if target == id {
            return sink.debug(
                "\(id.hexadecimal) is already leader. Ignored transferring leadership to self"
            )
        }
        sink.info(
            "\(id.hexadecimal) [term \(term)] starts to transfer leadership to "
                + target.hexadecimal
        )
        // The whole transfer has one election timeout.
        electionElapsed = 0
        transferee = target
        if tracker.peers[place].match == log.lastIndex {
            send(Message(type: .timeoutNow, to: target))
            sink.info(
                "\(id.hexadecimal) sends MsgTimeoutNow to \(target.hexadecimal) immediately as "
                    + "\(target.hexadecimal) already has up-to-date log"
            )
        } else {
            _ = maybeSendAppend(place, evenIfEmpty: true)
        }
    }
}
