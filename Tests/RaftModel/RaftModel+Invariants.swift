/// The invariants of etcd's specification, checked where a step can break them.
///
/// `LogInv` is checked in `commit`, where a replica commits something else than others have, and
/// `MoreThanOneLeaderInv` in `becomeLeader`.
extension RaftModel {
    /// LogMatchingInv: an index and a term determine all entries before.
    ///
    /// It holds if the entries of each term begin in all logs at one place after one term.
    mutating func checkMatching(_ place: Int, after index: UInt64) throws(Breach) {
        let log = nodes[place].log
        var end = log.last
        for position in log.runs.indices.reversed() {
            if end <= index { return }
            let run = log.runs[position]
            let termBefore = position > 0 ? log.runs[position - 1].term : 0
            end = run.first - 1
            let origin = origins[run.term] ?? (run.first, termBefore)
            origins[run.term] = origin
            guard origin == (run.first, termBefore) else {
                throw Breach(
                    .logMatchingInv,
                    "\(nodes[place].id) has \(log), but term \(run.term) begins at "
                        + "\(origin.first) after term \(origin.termBefore)"
                )
            }
        }
    }

    /// ElectionSafetyInv: nobody has a later entry of a term than its leader.
    ///
    /// What is taken from a leader is in its log: this is for what comes from elsewhere.
    func checkElectionSafety(of term: UInt64) throws(Breach) {
        guard let leadership = leaderships[term] else { return }
        let last = leadership.log.lastIndex(of: term)
        for node in nodes where node.log.lastIndex(of: term) > last {
            throw Breach(
                .electionSafetyInv,
                "\(node.id) has \(node.log), the leader of term \(term) \(leadership.log)"
            )
        }
    }

    /// MoreUpToDateCorrectInv: a log that is as good as the committed one has all of it, so that
    /// whoever can be elected has it.
    ///
    /// The specification compares with every replica's log and commit index. That is too much in
    /// groups of more than three: one that lags knows old entries for committed, with a log that
    /// ends there, and a log that will never win can look better than that.
    func checkUpToDate(_ node: ModelNode) throws(Breach) {
        guard committed.last > 0, node.log.isUpToDate(committed),
            node.log.term(at: committed.last) != committed.lastTerm
        else { return }
        throw Breach(
            .moreUpToDateCorrectInv,
            "\(node.id) with \(node.log) can be elected and lacks what is committed: "
                + "\(committed)"
        )
    }

    /// LeaderCompletenessInv: what was committed in a term is in the logs of all later leaders.
    func checkCompleteness(of node: ModelNode, term: UInt64) throws(Breach) {
        guard let mark = commitMarks.last(where: { $0.term < term }) else { return }
        guard node.log.agrees(with: committed, upTo: mark.index) else {
            throw Breach(
                .leaderCompletenessInv,
                "\(node.id) leads term \(term) with \(node.log), committed in term "
                    + "\(mark.term) was \(committed.prefix(upTo: mark.index))"
            )
        }
    }

    /// What follows when a replica is the first to commit something.
    mutating func checkNewlyCommitted(by node: ModelNode) throws(Breach) {
        try checkHolders(by: node.configuration)
        for other in nodes { try checkUpToDate(other) }
        for leader in nodes where leader.role == .leader && leader.term > node.term {
            try checkCompleteness(of: leader, term: leader.term)
        }
        guard knowsDisks, !node.configuration.isEmpty else { return }
        let (index, term) = (committed.last, committed.lastTerm)
        // CommittedIsDurableInv: it is stored by a quorum, the leader itself not always included.
        let isDurable = node.configuration.isQuorum { voter in
            self.node(voter)?.disk.hasEverStored(index, term: term) ?? false
        }
        guard isDurable else {
            throw Breach(
                .committedIsDurableInv,
                "\(node.id) commits \(index) of term \(term), which is not stored by a quorum "
                    + "of \(node.configuration)"
            )
        }
    }

    /// QuorumLogInv: somebody in every quorum has all that is committed.
    func checkHolders(by configuration: Configuration? = nil) throws(Breach) {
        guard let configuration = configuration ?? configurations.last, committed.last > 0,
            !configuration.isEmpty
        else { return }
        let lacking = configuration.isQuorum { voter in
            self.node(voter)?.log.term(at: committed.last) != committed.lastTerm
        }
        guard lacking else { return }
        throw Breach(
            .quorumLogInv,
            "a quorum of \(configuration) lacks the committed entry \(committed.last) of term "
                + "\(committed.lastTerm)"
        )
    }
}
