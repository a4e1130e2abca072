/// Entries: how they are sent, taken, acknowledged and committed.
extension RaftModel {
    /// What a leader sends is in its own log.
    func checkSentAppend(_ message: TraceMessage, _ node: ModelNode) throws(Breach) {
        try requireStep(
            node.role == .leader && message.term == node.term && message.commit <= node.commit,
            .legalAppend,
            "\(node.id) sends as \(node.role.rawValue) of term \(node.term) with commit "
                + "\(node.commit)"
        )
        switch message.kind {
        case .append: try checkEntries(of: message, node.log)
        case .snapshot:
            try requireStep(
                message.entries <= node.commit,
                .legalAppend,
                "\(node.id) sends a snapshot beyond its commit index \(node.commit)"
            )
        default: break
        }
    }

    private func checkEntries(of message: TraceMessage, _ log: TermRuns) throws(Breach) {
        try requireStep(
            log.term(at: message.index) == message.logTerm
                && message.index + message.entries <= log.last,
            .legalAppend,
            "the leader of term \(message.term) has the log \(log)"
        )
    }

    /// What arrives from a leader is what the leader of that term can have sent.
    ///
    /// Heartbeats of resting leaders leave no line, so they are judged by what they say.
    func checkReceivedAppend(_ message: TraceMessage, _ node: ModelNode) throws(Breach) {
        guard message.term >= node.term else { return }
        let leadership = leaderships[message.term]
        try requireStep(
            leadership?.node == message.from,
            .legalAppend,
            "\(message.from) does not lead term \(message.term)"
        )
        guard let leadership else { return }
        try requireStep(
            message.commit <= leadership.commit,
            .commitWasTold,
            "\(message.from) says that \(message.commit) is committed, and has committed "
                + "\(leadership.commit)"
        )
        switch message.kind {
        case .append: try checkEntries(of: message, leadership.log)
        case .heartbeat:
            // It tells a follower of what that has acknowledged, and of no more.
            let term = node.log.term(at: message.commit)
            try requireStep(
                message.commit <= node.commit
                    || (term != nil && term == leadership.log.term(at: message.commit)),
                .commitWasTold,
                "\(node.id) with \(node.log) is told that \(message.commit) is committed"
            )
        default: break
        }
    }

    /// A replica answers a leader, or notes that it has appended something as a leader.
    mutating func answerAppend(_ step: TraceStep, _ place: Int) throws(Breach) {
        guard let answer = step.message else { return }
        if answer.to == step.node { return try grow(answer, place) }
        let node = nodes[place]
        guard let message = node.inbox, message.from == answer.to else {
            return try requireStep(false, .legalAppend, "\(node.id) answers what it never got")
        }
        nodes[place].inbox = nil
        // A leader of an old term is told of ours, and nothing else.
        if message.term < node.term { return }
        try requireStep(
            node.role == .follower && message.term == node.term && answer.term == node.term,
            .legalAppend,
            "\(node.id) answers as \(node.role.rawValue) of term \(node.term)"
        )
        switch message.kind {
        case .append: try take(message, answer, place)
        case .heartbeat: try follow(message.commit, of: message, place)
        case .snapshot: try fastForward(message, answer, place)
        default: break
        }
        guard answer.kind == .appendResponse, !answer.isRejection else { return }
        let leaderLog = leaderships[message.term]?.log ?? TermRuns()
        let term = nodes[place].log.term(at: answer.index)
        try requireStep(
            term != nil && term == leaderLog.term(at: answer.index),
            .acknowledgedIsDurable,
            "\(node.id) acknowledges \(answer.index) and has \(nodes[place].log), the leader "
                + "has \(leaderLog)"
        )
    }

    /// A leader's log grows by entries of its term.
    private mutating func grow(_ answer: TraceMessage, _ place: Int) throws(Breach) {
        let node = nodes[place]
        let growth = answer.index - min(answer.index, node.log.last)
        // The entry that ends a transition has no line of its own.
        let most =
            node.entriesToCome + node.changesToCome + (node.configuration.isJoint ? 1 : 0)
        try requireStep(
            node.role == .leader && answer.index >= node.log.last && !answer.isRejection
                && node.entriesToCome <= growth && growth <= most,
            .legalAppend,
            "\(node.id) appends up to \(answer.index) as \(node.role.rawValue) with "
                + "\(node.log), proposed were \(node.entriesToCome)"
        )
        (nodes[place].entriesToCome, nodes[place].changesToCome) = (0, 0)
        guard var leadership = leaderships[node.term], leadership.node == node.id else { return }
        nodes[place].log.append(node.term, upTo: answer.index)
        leadership.log.append(node.term, upTo: answer.index)
        leaderships[node.term] = leadership
        try checkMatching(place, after: node.log.last)
    }

    /// A follower takes the leader's entries, or says that they do not continue its log.
    private mutating func take(
        _ message: TraceMessage,
        _ answer: TraceMessage,
        _ place: Int
    ) throws(Breach) {
        let node = nodes[place]
        guard let leadership = leaderships[message.term] else { return }
        if message.index < node.commit { return }
        let matches = node.log.term(at: message.index) == message.logTerm
        try requireStep(
            answer.isRejection != matches,
            .legalAppend,
            "\(node.id) \(answer.isRejection ? "refuses" : "takes") what follows "
                + "\(message.index) of term \(message.logTerm), and has \(node.log)"
        )
        if answer.isRejection { return }
        let last = min(message.index + message.entries, leadership.log.last)
        if let first = node.log.firstDifference(
            from: leadership.log,
            after: message.index,
            upTo: last
        ) {
            try requireStep(
                first > node.commit,
                .logInv,
                "\(node.id) cuts \(first), and \(node.commit) is committed"
            )
            try replaceTail(place, from: first, by: leadership.log, upTo: last)
        }
        try follow(min(message.commit, last), of: message, place)
    }

    /// Replaces what a replica has from an index on.
    private mutating func replaceTail(
        _ place: Int,
        from first: UInt64,
        by other: TermRuns,
        upTo last: UInt64
    ) throws(Breach) {
        let isCut = first <= nodes[place].log.last
        if isCut { nodes[place].disk.expectCut(at: first, term: other.term(at: first) ?? 0) }
        nodes[place].log.truncate(after: first - 1)
        nodes[place].log.append(other, upTo: last)
        try checkMatching(place, after: first - 1)
        if isCut, first <= committed.last { try checkHolders() }
    }

    /// A follower commits what its leader says.
    private mutating func follow(
        _ index: UInt64,
        of message: TraceMessage,
        _ place: Int
    ) throws(Breach) {
        let node = nodes[place]
        guard index > node.commit else { return }
        try requireStep(
            index <= leaderships[message.term]?.commit ?? 0 && index <= node.log.last,
            .commitWasTold,
            "\(node.id) commits \(index) with \(node.log)"
        )
        try commit(min(index, node.log.last), place)
    }

    // MARK: Snapshots

    /// A replica takes a snapshot: it has what is committed, and nothing else.
    mutating func restoreIfAsked(_ place: Int) throws(Breach) {
        let node = nodes[place]
        guard let message = node.inbox, message.kind == .snapshot, message.term == node.term,
            message.entries > node.commit
        else { return }
        let index = message.entries
        try requireStep(
            index <= leaderships[message.term]?.commit ?? 0 && index <= committed.last,
            .commitWasTold,
            "\(node.id) takes a snapshot at \(index), committed is \(committed.last)"
        )
        let new = committed.prefix(upTo: index)
        if let first = node.log.firstDifference(from: new, after: 0, upTo: node.log.last) {
            nodes[place].disk.expectCut(at: first, term: new.term(at: first) ?? 0)
        }
        nodes[place].log = new
        try commit(new.last, place)
        try checkHolders()
    }

    /// A replica that has the entry with which a snapshot ends only learns that it is committed.
    private mutating func fastForward(
        _ message: TraceMessage,
        _ answer: TraceMessage,
        _ place: Int
    ) throws(Breach) {
        // One that does not find itself among the members refuses it.
        guard answer.index >= message.entries else { return }
        try follow(message.entries, of: message, place)
    }

    // MARK: Acknowledgements and commits

    mutating func takeAcknowledgement(
        _ message: TraceMessage,
        _ place: Int
    ) throws(Breach) {
        let node = nodes[place]
        guard message.kind == .appendResponse, node.role == .leader, message.term == node.term,
            !message.isRejection, message.index > 0
        else { return }
        let term = node.log.term(at: message.index)
        let disk = self.node(message.from)?.disk ?? ModelDisk()
        try requireStep(
            term.map { !knowsDisks || disk.hasEverStored(message.index, term: $0) } ?? false,
            .acknowledgedIsDurable,
            "\(message.from) acknowledges \(message.index), stored is \(disk.log)"
        )
        if let known = node.matches.firstIndex(where: { $0.node == message.from }) {
            nodes[place].matches[known].index = max(node.matches[known].index, message.index)
        } else {
            nodes[place].matches.append((message.from, message.index))
        }
    }

    mutating func commitAsLeader(_ step: TraceStep, _ place: Int) throws(Breach) {
        let node = nodes[place]
        guard step.commit > node.commit else { return }
        try requireStep(
            node.role == .leader && node.log.term(at: step.commit) == node.term
                && node.configuration.isQuorum { voter in
                    node.matches.contains { $0.node == voter && $0.index >= step.commit }
                },
            .committedByQuorum,
            "\(node.id) commits \(step.commit) in term \(node.term) with \(node.log), "
                + "acknowledged is \(node.matches) of \(node.configuration)"
        )
        try commit(min(step.commit, node.log.last), place)
    }

    /// Moves a replica's commit index on: what it commits must be what others do.
    mutating func commit(_ index: UInt64, _ place: Int) throws(Breach) {
        let node = nodes[place]
        guard index > node.commit else { return }
        let known = min(index, committed.last)
        if let first = node.log.firstDifference(from: committed, after: node.commit, upTo: known) {
            throw Breach(
                .logInv,
                "\(node.id) commits \(node.log) up to \(index), committed is \(committed), "
                    + "different from \(first) on"
            )
        }
        nodes[place].commit = index
        if node.role == .leader { leaderships[node.term]?.commit = index }
        guard index > committed.last else { return }
        committed.append(node.log, upTo: index)
        if let last = commitMarks.last, last.term >= node.term {
            commitMarks[commitMarks.count - 1].index = index
        } else {
            commitMarks.append((node.term, index))
        }
        try checkNewlyCommitted(by: nodes[place])
    }
}
