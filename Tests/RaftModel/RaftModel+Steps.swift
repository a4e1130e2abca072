/// Steps: what each may change, and when it may be taken.
extension RaftModel {
    func requireStep(
        _ isLegal: Bool,
        _ rule: Rule,
        _ reason: @autoclosure () -> String
    ) throws(Breach) {
        if checksSteps, !isLegal { throw Breach(rule, reason()) }
    }

    mutating func follow(_ step: TraceStep) throws(Breach) {
        let place = place(of: step.node)
        let before = nodes[place].log.end
        try takeVoters(step, place)
        noticePreCandidate(step, place)
        switch step.name {
        case .initState: try begin(step, place)
        case .becomeFollower: try becomeFollower(step, place)
        case .becomeCandidate: try becomeCandidate(step, place)
        case .becomeLeader: try becomeLeader(step, place)
        case .commit: try commitAsLeader(step, place)
        case .sendAppendResponse: try answerAppend(step, place)
        case .applyConfChange: try restoreIfAsked(place)
        default: break
        }
        try compare(step, place)
        try noteEffects(step, place)
        if nodes[place].log.end != before { try checkUpToDate(nodes[place]) }
    }

    /// The line must show what the steps so far have led to.
    private mutating func compare(_ step: TraceStep, _ place: Int) throws(Breach) {
        let node = nodes[place]
        func check<Value: Equatable & CustomStringConvertible>(
            _ what: String,
            _ shown: Value,
            _ expected: Value
        ) throws(Breach) {
            try requireStep(
                shown == expected,
                .stateFollows,
                "\(what) of \(step.node) is \(shown) and should be \(expected)"
            )
        }
        try check("the term", step.term, node.term)
        try check("the vote", step.vote, node.vote)
        try check("the role", step.role.rawValue, node.role.rawValue)
        try check("the commit index", step.commit, node.commit)
        try check("the last index", step.log, node.log.last)
        try check("the configuration", step.configuration, node.configuration)
        try requireStep(
            step.commit <= step.log,
            .commitWasTold,
            "\(step.node) has committed \(step.commit) and has \(step.log) entries"
        )
        guard !checksSteps else { return }
        (nodes[place].term, nodes[place].vote) = (step.term, step.vote)
        nodes[place].role = step.role
        nodes[place].configuration = step.configuration
        nodes[place].log.truncate(after: step.log)
        try commit(min(step.commit, step.log), place)
    }

    /// A message is sent in the sender's name and term, and received by whom it is for.
    private func checkEnvelope(_ step: TraceStep) throws(Breach) {
        guard let message = step.message else { return }
        let isSent = message.from == step.node && message.term == step.term
        try requireStep(
            step.name.isSending ? isSent : message.to == step.node,
            .stateFollows,
            "\(step.node) has the message of term \(message.term) from \(message.from) "
                + "to \(message.to)"
        )
    }

    /// What a step changes after the state that its line shows.
    private mutating func noteEffects(_ step: TraceStep, _ place: Int) throws(Breach) {
        try checkEnvelope(step)
        let message = step.message
        switch step.name {
        case .receiveAppend:
            if let message { try checkReceivedAppend(message, nodes[place]) }
            nodes[place].inbox = message
        case .receiveVoteRequest: nodes[place].inbox = message
        case .ready:
            nodes[place].inbox = nil
            (nodes[place].entriesToCome, nodes[place].changesToCome) = (0, 0)
        case .replicate: nodes[place].entriesToCome += 1
        case .changeConf:
            nodes[place].changesToCome += 1
            proposedChanges.append(step.changes ?? [])
        case .applyConfChange: nodes[place].newVoters = step.newVoters
        case .sendAppend: if let message { try checkSentAppend(message, nodes[place]) }
        case .receiveAppendResponse: if let message { try takeAcknowledgement(message, place) }
        case .sendVoteRequest: if let message { try checkSentCampaign(message, nodes[place]) }
        case .sendVoteResponse: if let message { try giveVote(message, place) }
        case .receiveVoteResponse: if let message { try takeVote(message, place) }
        default: break
        }
    }
}

// MARK: Start

extension RaftModel {
    /// A replica is made; its term, vote and commit index come with its first role.
    private mutating func begin(_ step: TraceStep, _ place: Int) throws(Breach) {
        var node = ModelNode(id: step.node)
        node.found = nodes[place].found
        node.disk = nodes[place].disk
        // Without a word of its disk it has what is committed: that came with its snapshot.
        node.log = node.found == nil ? committed.prefix(upTo: step.log) : nodes[place].log
        node.isStarting = true
        node.commit = step.commit
        nodes[place] = node
        try requireStep(
            step.term == 0 && step.role == .follower,
            .stateFollows,
            "\(step.node) begins as \(step.role.rawValue) of term \(step.term)"
        )
    }

    private mutating func finishStart(_ step: TraceStep, _ place: Int) throws(Breach) {
        let found = nodes[place].found
        nodes[place].isStarting = false
        nodes[place].found = nil
        nodes[place].term = found?.term ?? step.term
        nodes[place].vote = found?.vote ?? step.vote
        termMax = max(termMax, nodes[place].term)
        nodes[place].commit = 0
        try requireStep(
            step.commit >= found?.commit ?? 0 && step.commit <= nodes[place].log.last,
            .storedSurvives,
            "\(step.node) starts with commit \(step.commit), stored was \(found?.commit ?? 0)"
        )
        try commit(min(step.commit, nodes[place].log.last), place)
    }
}

// MARK: Roles

extension RaftModel {
    private mutating func becomeFollower(_ step: TraceStep, _ place: Int) throws(Breach) {
        if nodes[place].isStarting {
            try finishStart(step, place)
        } else if step.term > nodes[place].term {
            try requireStep(
                step.term <= termMax,
                .stateFollows,
                "\(step.node) enters term \(step.term), which nobody has begun"
            )
            (nodes[place].term, nodes[place].vote) = (step.term, 0)
        }
        nodes[place].role = .follower
        nodes[place].votes = []
        nodes[place].matches = []
    }

    private mutating func becomeCandidate(_ step: TraceStep, _ place: Int) throws(Breach) {
        let node = nodes[place]
        try requireStep(
            node.role != .leader && node.configuration.contains(node.id),
            .electedByQuorum,
            "\(node.id) stands for election as \(node.role.rawValue) of \(node.configuration)"
        )
        (nodes[place].term, nodes[place].vote) = (node.term + 1, node.id)
        nodes[place].role = .candidate
        nodes[place].votes = []
        nodes[place].matches = []
        termMax = max(termMax, node.term + 1)
    }

    /// Its line is the only one; a pre-candidate has none of its own.
    private mutating func noticePreCandidate(_ step: TraceStep, _ place: Int) {
        guard step.role == .preCandidate, nodes[place].role != .leader else { return }
        nodes[place].role = .preCandidate
        nodes[place].votes = []
    }

    private mutating func becomeLeader(_ step: TraceStep, _ place: Int) throws(Breach) {
        let node = nodes[place]
        try requireStep(
            node.role == .candidate && node.configuration.isQuorum { node.votes.contains($0) },
            .electedByQuorum,
            "\(node.id) leads term \(step.term) as \(node.role.rawValue) with the votes of "
                + "\(node.votes) among \(node.configuration)"
        )
        if let other = leaderships[step.term]?.node, other != node.id {
            throw Breach(
                .moreThanOneLeaderInv,
                "\(other) and \(node.id) lead term \(step.term)"
            )
        }
        nodes[place].role = .leader
        nodes[place].votes = []
        nodes[place].matches = []
        leaderships[step.term] = ModelLeadership(
            node: node.id,
            log: node.log,
            commit: node.commit
        )
        try checkElectionSafety(of: step.term)
        try checkCompleteness(of: node, term: step.term)
    }
}

// MARK: Votes

extension RaftModel {
    private func checkSentCampaign(
        _ message: TraceMessage,
        _ node: ModelNode
    ) throws(Breach) {
        try requireStep(
            node.role == .candidate && message.term == node.term
                && message.index == node.log.last && message.logTerm == node.log.lastTerm,
            .legalVote,
            "\(node.id) asks for votes with another log than its own, \(node.log)"
        )
    }

    private mutating func giveVote(_ message: TraceMessage, _ place: Int) throws(Breach) {
        guard !message.isRejection else { return }
        let node = nodes[place]
        let isFree = node.vote == 0 || node.vote == message.to
        try requireStep(
            isFree && message.term == node.term,
            .legalVote,
            "\(node.id) votes for \(message.to) in term \(message.term), and for \(node.vote) in "
                + "\(node.term)"
        )
        votesGiven.insert(
            Ballot(voter: node.id, term: message.term, candidate: message.to)
        )
        guard message.to != node.id else { return }
        let isAsGood = node.inbox.map { request in
            request.kind == .vote && request.from == message.to && request.term == node.term
                && (request.logTerm, request.index) >= (node.log.lastTerm, node.log.last)
        }
        try requireStep(
            isAsGood ?? false,
            .legalVote,
            "\(node.id) votes for \(message.to), whose log is not as good as \(node.log)"
        )
        nodes[place].vote = message.to
    }

    private mutating func takeVote(_ message: TraceMessage, _ place: Int) throws(Breach) {
        let node = nodes[place]
        guard node.role == .candidate, message.term == node.term, !message.isRejection else {
            return
        }
        let ballot = Ballot(voter: message.from, term: message.term, candidate: node.id)
        try requireStep(
            votesGiven.contains(ballot),
            .legalVote,
            "\(message.from) never voted for \(node.id) in term \(message.term)"
        )
        let disk = self.node(message.from)?.disk ?? ModelDisk()
        try requireStep(
            !knowsDisks || disk.term > message.term
                || (disk.term == message.term && disk.vote == node.id),
            .votesAreDurable,
            "\(message.from) has voted for \(node.id) in term \(message.term), and stored is "
                + "\(disk.vote) in term \(disk.term)"
        )
        if !node.votes.contains(message.from) { nodes[place].votes.append(message.from) }
    }
}

// MARK: Members

extension RaftModel {
    /// After a change was applied, the next line shows who votes now.
    private mutating func takeVoters(_ step: TraceStep, _ place: Int) throws(Breach) {
        if !checksSteps { nodes[place].configuration = step.configuration }
        guard let expected = nodes[place].newVoters, step.name != .initState else { return }
        nodes[place].newVoters = nil
        let (old, new) = (nodes[place].configuration, step.configuration)
        nodes[place].configuration = new
        guard new != old else { return }
        try requireStep(
            new.incoming == expected,
            .legalConfiguration,
            "\(step.node) applies \(expected) and takes over \(new)"
        )
        // A start, a snapshot and the first change that a new member hears of may skip some.
        let isJump = nodes[place].isStarting || nodes[place].inbox?.kind == .snapshot
        if isJump || old.isEmpty {
            if configurations.isEmpty { configurations.append(new) }
            if configurations.contains(new) { return }
        } else if zip(configurations, configurations.dropFirst()).contains(where: {
            $0 == old && $1 == new
        }) {
            return
        }
        let last = configurations.last ?? Configuration()
        let isNext =
            (isJump || last == old)
            && (last.leaves(to: new)
                || proposedChanges.contains { last.becomes(new, by: $0) })
        try requireStep(
            isNext,
            .legalConfiguration,
            "\(step.node) goes from \(old) to \(new), the group was at \(last)"
        )
        configurations.append(new)
    }
}
