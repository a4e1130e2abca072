import Model

extension RaftNode {
    /// Steps a message as follower.
    mutating func stepFollower(_ message: Message) throws(RaftError) {
        switch message.type {
        case .propose: try forwardProposal(message)
        case .append:
            hear(message.from)
            try handleAppend(message)
        case .heartbeat:
            hear(message.from)
            try log.commit(to: message.commit)
            send(
                Message(type: .heartbeatResponse, to: message.from, context: message.context)
            )
        case .snapshot:
            hear(message.from)
            try handleSnapshot(message)
        case .transferLeader:
            guard leader != .none else {
                return sink.info(
                    "\(id.hexadecimal) no leader at term \(term); dropping leader transfer msg"
                )
            }
            forward(message)
        case .forgetLeader: forget()
        case .timeoutNow:
            sink.info(
                "\(id.hexadecimal) [term \(term)] received MsgTimeoutNow from "
                    + "\(message.from.hexadecimal) and starts an election to get leadership."
            )
            // No pre-vote: the leader itself knows that the election makes sense.
            startElection(.transfer)
        case .readIndex:
            guard leader != .none else {
                return sink.info(
                    "\(id.hexadecimal) no leader at term \(term); dropping index reading msg"
                )
            }
            forward(message)
        case .readIndexResponse:
            guard let context = message.context else {
                return sink.error(
                    "\(id.hexadecimal) invalid format of MsgReadIndexResp from "
                        + "\(message.from.hexadecimal), entries count: 0"
                )
            }
            readStates.append(ReadState(index: message.index, context: context))
        default: break
        }
    }

    /// Notes a sign of life from the leader of the term.
    private mutating func hear(_ sender: NodeID) {
        electionElapsed = 0
        leader = sender
    }

    private mutating func forwardProposal(_ message: Message) throws(RaftError) {
        if leader == .none {
            sink.info("\(id.hexadecimal) no leader at term \(term); dropping proposal")
            throw .proposalDropped
        }
        if config.disableProposalForwarding {
            sink.info(
                "\(id.hexadecimal) not forwarding to leader \(leader.hexadecimal) at term "
                    + "\(term); dropping proposal"
            )
            throw .proposalDropped
        }
        forward(message)
    }

    private mutating func forget() {
        if config.readOnlyOption == .leaseBased {
            // The leader serves reads in the belief that this replica votes for nobody else.
            return sink.error("ignoring MsgForgetLeader due to ReadOnlyLeaseBased")
        }
        guard leader != .none else { return }
        sink.info("\(id.hexadecimal) forgetting leader \(leader.hexadecimal) at term \(term)")
        leader = .none
    }

    // MARK: Entries

    /// Takes the leader's entries, or says where the logs may match.
    private mutating func handleAppend(_ message: Message) throws(RaftError) {
        if message.index < log.committed {
            // Everything committed is known to match, whatever the entries are.
            return send(
                Message(type: .appendResponse, to: message.from, index: log.committed)
            )
        }
        let last = try log.maybeAppend(
            after: message.index,
            term: message.logTerm,
            message.entries,
            leaderCommit: message.commit
        )
        if let last {
            return send(Message(type: .appendResponse, to: message.from, index: last))
        }
        sink.debug(
            "\(id.hexadecimal) [logterm: \(log.termOrZero(at: message.index)), "
                + "index: \(message.index)] rejected MsgApp [logterm: \(message.logTerm), "
                + "index: \(message.index)] from \(message.from.hexadecimal)"
        )
        // The leader's log has no higher term up to there, so that ours cannot match where it has
        // one: a long tail of other terms is skipped at once.
        let hint = log.lastPossibleMatch(
            min(message.index, log.lastIndex),
            term: message.logTerm
        )
        var response = Message(type: .appendResponse, to: message.from, index: message.index)
        response.reject = true
        response.rejectHint = hint.index
        response.logTerm = hint.term
        send(response)
    }

    // MARK: Snapshots

    private mutating func handleSnapshot(_ message: Message) throws(RaftError) {
        guard let snapshot = message.snapshot else { throw .malformed("snapshot is missing") }
        let isRestored = try restore(snapshot)
        let metadata = snapshot.metadata
        sink.info(
            "\(id.hexadecimal) [commit: \(log.committed)] \(isRestored ? "restored" : "ignored") "
                + "snapshot [index: \(metadata.index), term: \(metadata.term)]"
        )
        send(
            Message(
                type: .appendResponse,
                to: message.from,
                index: isRestored ? log.lastIndex : log.committed
            )
        )
    }

    /// Replaces the log and the members by a snapshot, unless the log has all that already.
    private mutating func restore(_ snapshot: Snapshot) throws(RaftError) -> Bool {
        let metadata = snapshot.metadata
        let members = metadata.confState
        if metadata.index <= log.committed { return false }
        let known = members.voters + members.learners + members.votersOutgoing
        guard known.contains(id) else {
            sink.warning(
                "\(id.hexadecimal) attempted to restore snapshot but it is not in the ConfState "
                    + "\(members); should never happen"
            )
            return false
        }
        if log.matches(metadata.index, term: metadata.term) {
            sink.info(restoreText("fast-forwarded commit to", metadata))
            try log.commit(to: metadata.index)
            return false
        }
        let config: MemberConfig
        let peers: [Progress]
        do {
            (config, peers) = try self.members(of: members, lastIndex: metadata.index)
        } catch {
            throw .malformed("unable to restore config \(members): \(error)")
        }
        log.restore(snapshot)
        _ = switchTo(config, peers)
        sink.info(restoreText("restored", metadata))
        return true
    }

    private func restoreText(_ verb: String, _ metadata: SnapshotMetadata) -> String {
        "\(id.hexadecimal) [commit: \(log.committed), lastindex: \(log.lastIndex), "
            + "lastterm: \(log.lastTerm)] \(verb) snapshot "
            + "[index: \(metadata.index), term: \(metadata.term)]"
    }
}
