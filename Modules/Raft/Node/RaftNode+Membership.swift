import Model

extension RaftNode {
    /// Changes the members; called when the entry of the change is applied, on every replica.
    ///
    /// A change that cannot be applied to the current members changes nothing. As every replica
    /// finds that out from the same members, they all agree on it.
    public mutating func applyConfChange(_ change: ConfChange) -> ConfState {
        var changer = ConfChanger(tracker, lastIndex: log.lastIndex)
        do {
            try changer.apply(change)
        } catch {
            sink.warning("\(id.hexadecimal) cannot apply conf change \(change): \(error)")
            return confState()
        }
        return switchTo(changer.config, changer.peers)
    }

    /// Takes over the members of a group that this replica has joined without knowing them.
    ///
    /// - Throws: `malformed` if the members contradict themselves; then nothing is changed.
    public mutating func adopt(_ state: ConfState) throws(RaftError) {
        precondition(confState() == ConfState(), "\(id.hexadecimal) knows its members already")
        do {
            let (config, peers) = try members(of: state)
            _ = switchTo(config, peers)
        } catch {
            throw .malformed(error.description)
        }
    }

    /// What is known at first of the members that a snapshot names.
    func members(
        of state: ConfState,
        lastIndex: LogIndex? = nil
    ) throws(ConfChangeError) -> (MemberConfig, [Progress]) {
        let empty = ProgressTracker(
            inflightCountMax: config.maxInflightMessages,
            inflightBytesMax: config.maxInflightBytes
        )
        var changer = ConfChanger(empty, lastIndex: lastIndex ?? log.lastIndex)
        try changer.restore(state)
        return (changer.config, changer.peers)
    }

    /// Takes over new members, with all that follows for a leader.
    mutating func switchTo(_ members: MemberConfig, _ peers: [Progress]) -> ConfState {
        trace(.applyConfChange, .newConf(members.voters.incoming.ids))
        tracker.config = members
        tracker.peers = peers
        sink.info("\(id.hexadecimal) switched to configuration \(members)")
        let state = members.confState
        guard role == .leader else { return state }
        let own = tracker.place(of: id)
        let isVoter = own.map { !tracker.peers[$0].isLearner } ?? false
        guard isVoter else {
            if config.stepDownOnRemoval { becomeFollower(term, leader: .none) }
            return state
        }
        guard !state.voters.isEmpty else { return state }
        if maybeCommit() {
            // Fewer voters may have made a quorum of those that have acknowledged.
            broadcastAppend()
        } else {
            // New members need not wait for the next heartbeat.
            for place in tracker.peers.indices where tracker.peers[place].id != id {
                _ = maybeSendAppend(place, evenIfEmpty: false)
            }
        }
        if transferee != .none, !members.voters.contains(transferee) { transferee = .none }
        return state
    }
}

// MARK: Proposals

extension RaftNode {
    /// The entry of the last change that this leader appended or may have taken over; 0 for none.
    ///
    /// A proposed change that was replaced by an empty entry has not moved it.
    public var lastConfChange: LogIndex { pendingConfIndex }

    /// Checks a proposed change of members, and replaces it by an empty entry if it must wait.
    mutating func checkConfChange(
        _ entry: inout Entry,
        index: LogIndex
    ) throws(RaftError) {
        let change: ConfChange
        do {
            change = try ConfChange(bytes: entry.payload.copyBytes())
        } catch {
            throw .malformed(error.description)
        }
        guard let reason = objection(to: change), !config.disableConfChangeValidation else {
            pendingConfIndex = index
            return traceProposed(change)
        }
        sink.info(
            "\(id.hexadecimal) ignoring conf change \(change) at config \(tracker.config): "
                + reason
        )
        entry = Entry()
    }

    /// Why a change may not follow what is in the log already.
    private func objection(to change: ConfChange) -> String? {
        if pendingConfIndex > log.applied {
            return "possible unapplied conf change at index \(pendingConfIndex) "
                + "(applied to \(log.applied))"
        }
        let wantsToLeave = change.changes.isEmpty
        if tracker.config.voters.isJoint {
            return wantsToLeave ? nil : "must transition out of joint config first"
        }
        return wantsToLeave ? "not in joint state; refusing empty conf change" : nil
    }
}
