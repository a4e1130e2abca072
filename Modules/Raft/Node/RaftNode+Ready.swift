import Model

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
        self.ready(into: &ready)
        return ready
    }

    /// Gives back the memory that is kept for the next round; one that comes takes it again.
    public mutating func releaseSpareMemory() {
        if messages.isEmpty { messages = [] }
        if messagesAfterAppend.isEmpty { messagesAfterAppend = [] }
        if readStates.isEmpty { readStates = [] }
        responseBuffers = ResponseBuffers()
        log.releaseSpareMemory()
        for place in tracker.peers.indices where tracker.peers[place].inflights.count == 0 {
            tracker.peers[place].inflights.reset()
        }
    }

    /// Takes everything that is to be done, in place of what was taken the last time.
    ///
    /// The memory of the last round is used again: a steady group asks for none.
    public mutating func ready(into ready: inout Ready) {
        ready.removeAll()
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
        previousSoftState = soft
        previousHardState = hard
        log.handOverUnstable()
        if let last = ready.committedEntries.lastIndex {
            log.acceptApplying(
                last,
                bytes: ready.committedEntries.sizeBytes,
                allowUnstable: appliesUnstable
            )
        }
        trace(.ready)
    }

    private mutating func addStorageMessages(_ ready: inout Ready) {
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
            if let response = storageAppendResponse(ready.snapshot) {
                messagesAfterAppend.append(response)
            }
            append.responses = takeResponses(isKept: ready.snapshot == nil)
            ready.messages.append(append)
        }
        if !ready.committedEntries.isEmpty {
            ready.messages.append(Message(applying: ready.committedEntries, by: id))
        }
    }

    /// The responses to the write that is handed out now.
    private mutating func takeResponses(isKept: Bool) -> [Message] {
        if isKept { return responseBuffers.handOut(&messagesAfterAppend) }
        // A snapshot in a response is not to be kept alive.
        let responses = messagesAfterAppend
        messagesAfterAppend = []
        return responses
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
        messagesAfterAppend = []
        if let response = storageAppendResponse(ready.snapshot) { stepsOnAdvance.append(response) }
        if !ready.committedEntries.isEmpty {
            stepsOnAdvance.append(Message(applying: ready.committedEntries, by: id).applyResponse)
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

    /// Sync mode only: confirms that the last `Ready` was carried out.
    public mutating func advance() {
        precondition(!config.asyncStorageWrites, "advance with asynchronous storage writes")
        let steps = stepsOnAdvance
        stepsOnAdvance = []
        for message in steps { try? handle(message) }
    }
}
