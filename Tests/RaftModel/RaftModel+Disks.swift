/// Disks: what was stored must be there again after a crash.
extension RaftModel {
    mutating func follow(_ report: DiskReport) throws(Breach) {
        let place = place(of: report.node)
        knowsDisks = true
        switch report.name {
        case .stored: try store(report, place)
        case .recovered: try recover(report, place)
        }
    }

    /// A write has returned.
    private mutating func store(_ report: DiskReport, _ place: Int) throws(Breach) {
        let node = nodes[place]
        let isOwn =
            report.term < node.term
            ? report.vote == 0 || report.term > 0
            : report.term == node.term && (report.vote == 0 || report.vote == node.vote)
        try requireStep(
            isOwn && report.commit <= node.commit,
            .storedSurvives,
            "\(node.id) stores term \(report.term), vote \(report.vote) and commit "
                + "\(report.commit) and has \(node.term), \(node.vote) and \(node.commit)"
        )
        for run in report.entries {
            try requireStep(
                origins[run.term].map { $0.first <= run.first } ?? false,
                .storedSurvives,
                "\(node.id) stores entries of term \(run.term) that nobody has appended"
            )
        }
        if report.term > 0 {
            let disk = nodes[place].disk
            try requireStep(
                report.term > disk.term
                    || (report.term == disk.term && (disk.vote == 0 || disk.vote == report.vote)),
                .legalVote,
                "\(report.node) stores a vote for \(report.vote) in term \(report.term) after "
                    + "one for \(disk.vote) in term \(disk.term)"
            )
            (nodes[place].disk.term, nodes[place].disk.vote) = (report.term, report.vote)
        }
        var log = nodes[place].disk.log
        if report.snapshotIndex > 0 { log = try snapshot(of: report) }
        try write(report.entries, into: &log)
        nodes[place].disk.log = log
        nodes[place].disk.noteStored(snapshot: report.snapshotIndex, report.entries)
        nodes[place].disk.settleCuts(report)
    }

    /// The entries for which a snapshot stands; a group may begin with one.
    private mutating func snapshot(of report: DiskReport) throws(Breach) -> TermRuns {
        if committed.last == 0, report.snapshotTerm > 0 {
            committed.append(report.snapshotTerm, upTo: report.snapshotIndex)
        }
        let log = committed.prefix(upTo: report.snapshotIndex)
        try requireStep(
            log.last == report.snapshotIndex && log.lastTerm == report.snapshotTerm,
            .logInv,
            "\(report.node) has a snapshot up to \(report.snapshotIndex) of term "
                + "\(report.snapshotTerm), committed is \(committed)"
        )
        return log
    }

    private func write(
        _ entries: [DiskReport.Entries],
        into log: inout TermRuns
    ) throws(Breach) {
        guard let first = entries.first?.first else { return }
        try requireStep(
            first > 0 && first <= log.last + 1,
            .storedSurvives,
            "entries from \(first) on are stored after \(log)"
        )
        guard first > 0 else { return }
        log.truncate(after: first - 1)
        for run in entries { log.append(run.term, upTo: run.last) }
    }

    /// A replica starts from what its disk holds.
    private mutating func recover(_ report: DiskReport, _ place: Int) throws(Breach) {
        let node = nodes[place]
        var log = try snapshot(of: report)
        try write(report.entries, into: &log)
        let disk = node.disk
        try requireStep(
            report.term > disk.term
                || (report.term == disk.term && (disk.vote == 0 || disk.vote == report.vote)),
            .storedSurvives,
            "\(node.id) comes back in term \(report.term) with a vote for \(report.vote), stored "
                + "was \(disk.vote) in term \(disk.term)"
        )
        try requireStep(
            report.term <= max(node.term, disk.term),
            .storedSurvives,
            "\(node.id) comes back in term \(report.term), it was in \(node.term)"
        )
        let certain = disk.certainIndex
        try requireStep(
            log.last >= certain && log.agrees(with: disk.log, upTo: certain),
            .storedSurvives,
            "\(node.id) comes back with \(log), stored up to \(certain) was \(disk.log)"
        )
        nodes[place].found = report
        nodes[place].log = log
        nodes[place].commit = 0
        nodes[place].role = .follower
        nodes[place].disk.log = log
        nodes[place].disk.cuts = []
        (nodes[place].disk.term, nodes[place].disk.vote) = (report.term, report.vote)
        nodes[place].disk.noteStored(snapshot: report.snapshotIndex, report.entries)
        try checkMatching(place, after: 0)
        for run in report.entries { try checkElectionSafety(of: run.term) }
        if checksSteps {
            // What was not stored is lost.
            return node.log.last > log.last ? try checkHolders() : ()
        }
        // For the invariants alone this is how a state is told.
        nodes[place].term = report.term
        nodes[place].vote = report.vote
        try commit(min(report.commit, log.last), place)
        try checkUpToDate(nodes[place])
    }
}
