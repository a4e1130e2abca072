import Model

/// Linearizable reads without a log entry.
///
/// - Source: Raft thesis 6.4.
extension RaftNode {
    /// How many reads wait, for the first commit of the term or for a quorum.
    var waitingReadCount: Int { reads.count + postponedReads.count }

    mutating func handleReadIndex(_ message: Message) {
        // A peer can ask again, and must not fill this replica's memory.
        let isOwn = message.from == .none || message.from == id
        guard isOwn || waitingReadCount < ReadOnlyQueue.waitingMax else { return }
        // Before its first commit a leader may not know of all that was committed before it; not
        // even alone, since a commit index need not survive a restart.
        guard log.termOrZero(at: log.committed) == term else {
            postponedReads.append(message)
            return
        }
        confirmRead(message)
    }

    private mutating func confirmRead(_ message: Message) {
        // A leader that was removed learns nothing of what the last voter decides.
        if tracker.isSingleton, tracker.config.voters.contains(id) {
            return answerRead(message, index: log.committed)
        }
        switch config.readOnlyOption {
        case .leaseBased: answerRead(message, index: log.committed)
        case .safe:
            reads.add(message, index: log.committed)
            if let position = reads.position { reads.acknowledge(id, position: position) }
            broadcastHeartbeat()
        }
    }

    /// Answers the reads that a quorum has confirmed.
    mutating func answerConfirmedReads() {
        for read in reads.advance(tracker.config.voters) {
            answerRead(read.request, index: read.index)
        }
    }

    /// Takes up the reads that waited for the first commit of this term.
    mutating func releasePostponedReads() {
        if postponedReads.isEmpty { return }
        let postponed = postponedReads
        postponedReads = []
        for message in postponed { confirmRead(message) }
    }

    private mutating func answerRead(_ request: Message, index: LogIndex) {
        guard let context = request.context else { return }
        if request.from == .none || request.from == id {
            readStates.append(ReadState(index: index, context: context))
        } else {
            send(
                Message(
                    type: .readIndexResponse,
                    to: request.from,
                    index: index,
                    context: context
                )
            )
        }
    }
}
