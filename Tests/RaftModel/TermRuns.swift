/// The terms of a log's entries: all that the model knows of them, and all that Raft goes by.
///
/// - Invariant: the runs rise in `first`, and in `term` if the log is one of Raft's; the first one
///   begins at 1, and all end at or before `last`; the log is empty exactly if there is no run.
struct TermRuns {
    /// Entries of one term, from `first` to the next run or the end.
    private(set) var runs: [(term: UInt64, first: UInt64)] = []
    private(set) var last: UInt64 = 0

    var lastTerm: UInt64 { runs.last?.term ?? 0 }
    /// What logs are compared by.
    var end: SIMD2<UInt64> { [lastTerm, last] }

    /// The term of an entry, 0 before the first; nil after the last.
    func term(at index: UInt64) -> UInt64? {
        if index == 0 { return 0 }
        return run(at: index)?.term
    }

    /// The term of an entry and the end of its run.
    private func run(at index: UInt64) -> (term: UInt64, last: UInt64)? {
        guard index > 0, index <= last else { return nil }
        var end = last
        // Nearly always it is one of the last.
        for run in runs.reversed() {
            if run.first <= index { return (run.term, end) }
            end = run.first - 1
        }
        return nil
    }

    /// The last entry of a term; 0 if there is none.
    func lastIndex(of term: UInt64) -> UInt64 {
        var end = last
        for run in runs.reversed() {
            if run.term <= term { return run.term == term ? end : 0 }
            end = run.first - 1
        }
        return 0
    }

    /// Where two logs differ first, or one of them ends, in `low + 1 ... high`.
    func firstDifference(
        from other: TermRuns,
        after low: UInt64,
        upTo high: UInt64
    ) -> UInt64? {
        var index = low + 1
        while index <= high {
            guard let mine = run(at: index), let theirs = other.run(at: index),
                mine.term == theirs.term
            else { return index }
            index = min(mine.last, theirs.last) + 1
        }
        return nil
    }

    /// Whether the other log has the same entries up to an index.
    func agrees(with other: TermRuns, upTo index: UInt64) -> Bool {
        firstDifference(from: other, after: 0, upTo: index) == nil
    }

    /// Whether a candidate with the other log may get the vote of one with this log.
    ///
    /// - Source: Raft thesis 3.6.1.
    func isUpToDate(_ other: TermRuns) -> Bool {
        lastTerm > other.lastTerm || (lastTerm == other.lastTerm && last >= other.last)
    }

    /// Cuts everything after an index.
    mutating func truncate(after index: UInt64) {
        guard index < last else { return }
        while let run = runs.last, run.first > index { runs.removeLast() }
        last = index
    }

    /// Adds entries of one term up to an index.
    mutating func append(_ term: UInt64, upTo index: UInt64) {
        guard index > last else { return }
        if runs.isEmpty || lastTerm != term { runs.append((term, last + 1)) }
        last = index
    }

    /// Adds another log's entries from the own end up to an index, as far as it has them.
    mutating func append(_ other: TermRuns, upTo index: UInt64) {
        while last < index, let run = other.run(at: last + 1) {
            append(run.term, upTo: min(run.last, index))
        }
    }

    /// The first entries.
    func prefix(upTo index: UInt64) -> TermRuns {
        var prefix = self
        prefix.truncate(after: index)
        return prefix
    }
}

extension TermRuns: CustomStringConvertible {
    /// `1:1 2:5 ..9` is term 1 from entry 1 and term 2 from entry 5 to entry 9.
    var description: String {
        runs.map { "\($0.term):\($0.first)" }.joined(separator: " ") + " ..\(last)"
    }
}
