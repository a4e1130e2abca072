import Model

/// Why a replica asks for votes.
enum CampaignType {
    /// To see whether it could win.
    case preElection
    /// Because it heard of no leader.
    case election
    /// Because the leader asked for it.
    case transfer
}

// MARK: Time

extension RaftNode {
    /// Counts one unit of time.
    public mutating func tick() {
        if role == .leader {
            tickHeartbeat()
        } else {
            tickElection()
        }
    }

    /// How many units of time ago a follower heard from its leader; 0 for other roles.
    public var leaderSilence: Int { role == .follower ? electionElapsed : 0 }

    private mutating func tickElection() {
        electionElapsed += 1
        guard electionElapsed >= randomizedElectionTicks, isPromotable else { return }
        electionElapsed = 0
        try? handle(Message(type: .hup, from: id))
    }

    private mutating func tickHeartbeat() {
        heartbeatElapsed += 1
        electionElapsed += 1
        if electionElapsed >= config.electionTicks {
            electionElapsed = 0
            if config.checkQuorum { try? handle(Message(type: .checkQuorum, from: id)) }
            // A transfer that takes longer than an election would is given up.
            if role == .leader { transferee = .none }
        }
        guard role == .leader, heartbeatElapsed >= config.heartbeatTicks else { return }
        heartbeatElapsed = 0
        try? handle(Message(type: .beat, from: id))
    }
}

// MARK: Roles

extension RaftNode {
    mutating func becomeFollower(_ newTerm: Term, leader newLeader: NodeID) {
        reset(newTerm)
        leader = newLeader
        role = .follower
        sink.info("\(id.hexadecimal) became follower at term \(term)")
        trace(.becomeFollower)
    }

    mutating func becomeCandidate() {
        precondition(role != .leader, "invalid transition [leader -> candidate]")
        reset(term + 1)
        vote = id
        role = .candidate
        sink.info("\(id.hexadecimal) became candidate at term \(term)")
        trace(.becomeCandidate)
    }

    /// Only asks: neither term nor vote change, and nothing needs to be durable.
    mutating func becomePreCandidate() {
        precondition(role != .leader, "invalid transition [leader -> pre-candidate]")
        tracker.resetVotes()
        leader = .none
        role = .preCandidate
        sink.info("\(id.hexadecimal) became pre-candidate at term \(term)")
    }

    mutating func becomeLeader() {
        precondition(role != .follower, "invalid transition [follower -> leader]")
        reset(term)
        leader = id
        role = .leader
        if let own = tracker.place(of: id) {
            tracker.peers[own].becomeReplicate()
            tracker.peers[own].isRecentlyActive = true
        }
        // Some entry of the tail may be a conf change: none may be proposed before it is applied.
        pendingConfIndex = log.lastIndex
        trace(.becomeLeader)
        // Former leaders' entries can only be committed through one of this term.
        let isAppended = append([Entry()])
        precondition(isAppended, "empty entry was dropped")
        sink.info("\(id.hexadecimal) became leader at term \(term)")
    }

    private mutating func reset(_ newTerm: Term) {
        if term != newTerm {
            precondition(newTerm > term, "term \(newTerm) after \(term)")
            term = newTerm
            vote = .none
        }
        leader = .none
        electionElapsed = 0
        heartbeatElapsed = 0
        randomizedElectionTicks =
            config.electionTicks + generator.next(below: config.electionTicks)
        transferee = .none
        tracker.resetVotes()
        let last = log.lastIndex
        for place in tracker.peers.indices {
            let isSelf = tracker.peers[place].id == id
            tracker.peers[place].begin(match: isSelf ? last : 0, next: last + 1)
        }
        pendingConfIndex = 0
        uncommittedBytes = 0
        reads.reset()
        postponedReads.removeAll()
    }
}

// MARK: Campaigns

extension RaftNode {
    /// Whether this replica may lead: a voter that has no snapshot left to install.
    var isPromotable: Bool {
        guard let own = tracker.place(of: id) else { return false }
        return !tracker.peers[own].isLearner && !log.hasUnstableSnapshot
    }

    /// Whether this replica stands for election and was refused a vote.
    ///
    /// It may still win; but where two share the votes of those who answer, neither does.
    public var isContested: Bool { role == .candidate && tracker.hasRefusal }

    mutating func startElection(_ type: CampaignType) {
        if role == .leader {
            return sink.debug("\(id.hexadecimal) ignoring MsgHup because already leader")
        }
        guard isPromotable else {
            return sink.warning("\(id.hexadecimal) is unpromotable and can not campaign")
        }
        guard !hasUnappliedConfChange else {
            return sink.warning(
                "\(id.hexadecimal) cannot campaign at term \(term) since there are still pending "
                    + "configuration changes to apply"
            )
        }
        sink.info("\(id.hexadecimal) is starting a new election at term \(term)")
        campaign(type)
    }

    /// Whether a committed change of members was not applied: who must vote is then unknown.
    ///
    /// Entries that are still being read from disk count as changes; the next timeout asks again.
    private var hasUnappliedConfChange: Bool {
        if log.applied >= log.committed { return false }
        let found = try? log.contains(from: log.applied + 1, to: log.committed + 1) {
            $0.type != .normal
        }
        return found ?? true
    }

    mutating func campaign(_ type: CampaignType) {
        let isPreVote = type == .preElection
        if isPreVote { becomePreCandidate() } else { becomeCandidate() }
        let askedTerm = isPreVote ? term + 1 : term
        let (lastIndex, lastTerm) = (log.lastIndex, log.lastTerm)
        for voter in tracker.config.voters.ids {
            if voter == id {
                // The own vote travels like any other and counts when it is durable.
                send(
                    Message(
                        type: isPreVote ? .preVoteResponse : .voteResponse,
                        to: id,
                        term: askedTerm
                    )
                )
                continue
            }
            var request = Message(type: isPreVote ? .preVote : .vote, to: voter, term: askedTerm)
            request.index = lastIndex
            request.logTerm = lastTerm
            if type == .transfer { request.context = Message.transfer }
            sink.info(
                "\(id.hexadecimal) [logterm: \(lastTerm), index: \(lastIndex)] sent "
                    + "\(request.type) request to \(voter.hexadecimal) at term \(term)"
            )
            send(request)
        }
    }
}

// MARK: Votes

extension RaftNode {
    /// Answers a request for a vote, as a member of any kind.
    ///
    /// Learners answer too: a candidate that asks them knows of a configuration in which they
    /// vote, and may need them to win.
    /// - Source: Raft thesis 3.6.1, 9.6.
    mutating func handleVoteRequest(_ message: Message) {
        let canVote =
            vote == message.from || (vote == .none && leader == .none)
            || (message.type == .preVote && message.term > term)
        let response: MessageType = message.type == .vote ? .voteResponse : .preVoteResponse
        guard canVote, log.isUpToDate(lastIndex: message.index, lastTerm: message.logTerm) else {
            sink.info(voteText("rejected", message))
            return send(Message(type: response, to: message.from, term: term, reject: true))
        }
        sink.info(voteText("cast", message))
        // A granted pre-vote names the term that was asked for, so that its candidate, which
        // still is in the one before, does not take the answer for an old one.
        send(Message(type: response, to: message.from, term: message.term))
        if message.type == .vote {
            electionElapsed = 0
            vote = message.from
        }
    }

    /// What was done about a request for a vote, in etcd's words.
    func voteText(_ verb: String, _ message: Message) -> String {
        let what = "\(verb) \(message.type) \(verb == "cast" ? "for" : "from")"
        return "\(id.hexadecimal) [logterm: \(log.lastTerm), index: \(log.lastIndex), "
            + "vote: \(vote.hexadecimal)] \(what) \(message.from.hexadecimal) "
            + "[logterm: \(message.logTerm), index: \(message.index)] at term \(term)"
    }

    /// Steps a message as candidate or pre-candidate.
    mutating func stepCandidate(_ message: Message) throws(RaftError) {
        switch message.type {
        case .propose:
            sink.info("\(id.hexadecimal) no leader at term \(term); dropping proposal")
            throw .proposalDropped
        case .append, .heartbeat, .snapshot:
            // Somebody else has won this term.
            becomeFollower(message.term, leader: message.from)
            try stepFollower(message)
        case .preVoteResponse where role == .preCandidate: handleVoteResponse(message)
        case .voteResponse where role == .candidate: handleVoteResponse(message)
        case .timeoutNow:
            sink.debug(
                "\(id.hexadecimal) [term \(term) state \(role)] ignored MsgTimeoutNow from "
                    + message.from.hexadecimal
            )
        default: break
        }
    }

    private mutating func handleVoteResponse(_ message: Message) {
        sink.info(
            "\(id.hexadecimal) received \(message.type)\(message.reject ? " rejection" : "") "
                + "from \(message.from.hexadecimal) at term \(term)"
        )
        tracker.recordVote(message.from, granted: !message.reject)
        let tally = tracker.tallyVotes()
        sink.info(
            "\(id.hexadecimal) has received \(tally.granted) \(message.type) votes and "
                + "\(tally.rejected) vote rejections"
        )
        switch tally.result {
        case .pending: break
        case .lost: becomeFollower(term, leader: .none)
        case .won where role == .preCandidate: campaign(.election)
        case .won:
            becomeLeader()
            broadcastAppend()
        }
    }
}
