import Model

// MARK: Entries

extension RaftNode {
    /// Sends every member what it lacks, or at least the commit index.
    mutating func broadcastAppend() {
        for place in tracker.peers.indices where tracker.peers[place].id != id {
            _ = maybeSendAppend(place, evenIfEmpty: true)
        }
    }

    /// Sends a member its next entries, or a snapshot if the log does not reach back so far.
    ///
    /// Returns whether something was sent.
    mutating func maybeSendAppend(_ place: Int, evenIfEmpty: Bool) -> Bool {
        if tracker.peers[place].isPaused { return false }
        let next = tracker.peers[place].next
        let previous: LogIndex = next - 1
        guard let previousTerm = try? log.term(at: previous) else {
            return maybeSendSnapshot(place)
        }
        var entries = EntryList()
        // With a full window an empty append still finds out whether the others got lost.
        if tracker.peers[place].state != .replicate || !tracker.peers[place].inflights.isFull {
            do {
                entries = try log.entries(from: next, bytesMax: config.maxBytesPerMessage)
            } catch .temporarilyUnavailable {
                tracker.peers[place].isWaitingForEntries = true
                return false
            } catch {
                return evenIfEmpty ? maybeSendSnapshot(place) : false
            }
        }
        if entries.isEmpty, !evenIfEmpty { return false }
        let count = entries.count
        let bytes = entries.payloadBytes
        send(
            Message(
                type: .append,
                to: tracker.peers[place].id,
                logTerm: previousTerm,
                index: previous,
                entries: entries,
                commit: log.committed
            )
        )
        tracker.peers[place].sentEntries(count, bytes: bytes)
        tracker.peers[place].sentCommit = log.committed
        return true
    }

    private mutating func maybeSendSnapshot(_ place: Int) -> Bool {
        let peer = tracker.peers[place].id
        guard tracker.peers[place].isRecentlyActive else {
            sink.debug(
                "ignore sending snapshot to \(peer.hexadecimal) since it is not recently active"
            )
            return false
        }
        guard let snapshot = try? log.snapshot(), !snapshot.isEmpty else {
            sink.debug(
                "\(id.hexadecimal) failed to send snapshot to \(peer.hexadecimal) because "
                    + "snapshot is temporarily unavailable"
            )
            return false
        }
        let metadata = snapshot.metadata
        sink.debug(
            "\(id.hexadecimal) [firstindex: \(log.firstIndex), commit: \(log.committed)] sent "
                + "snapshot[index: \(metadata.index), term: \(metadata.term)] to "
                + "\(peer.hexadecimal) [\(tracker.peers[place])]"
        )
        tracker.peers[place].becomeSnapshot(metadata.index)
        sink.debug(
            "\(id.hexadecimal) paused sending replication messages to \(peer.hexadecimal) "
                + "[\(tracker.peers[place])]"
        )
        send(Message(type: .snapshot, to: peer, snapshot: snapshot))
        return true
    }

    /// Goes on where entries were missing that storage has read from disk meanwhile.
    public mutating func entriesFetched() {
        log.entriesFetched()
        guard role == .leader else { return }
        for place in tracker.peers.indices where tracker.peers[place].isWaitingForEntries {
            tracker.peers[place].isWaitingForEntries = false
            while maybeSendAppend(place, evenIfEmpty: false) {}
        }
    }

    /// Commits what a quorum has, if it is of this term.
    mutating func maybeCommit() -> Bool {
        let isNews = log.maybeCommit(tracker.committed, term: term)
        trace(.commit)
        return isNews
    }
}

// MARK: Heartbeats

extension RaftNode {
    /// Tells every member that the leader lives, and of the reads that wait.
    mutating func broadcastHeartbeat() {
        let position = reads.position
        for place in tracker.peers.indices where tracker.peers[place].id != id {
            // Beyond its match a member's log may differ: nothing there is committed for it.
            let commit = min(tracker.peers[place].match, log.committed)
            send(
                Message(
                    type: .heartbeat,
                    to: tracker.peers[place].id,
                    commit: commit,
                    context: position
                )
            )
            tracker.peers[place].sentCommit = commit
        }
    }
}
