import Model
import Testing

@testable import Raft

/// The Raft paper, 5.3 and 5.4.1: matching, appending and replacing, on the log alone.
@Suite struct LogViewTests {
    /// A log whose stable part and unstable end have the given terms.
    private func log(
        stable: [Term] = [],
        unstable: [Term] = [],
        after start: Snapshot = Snapshot()
    ) -> RaftLogView {
        let storage = MemoryStorage()
        storage.install(start)
        let first = start.metadata.index + 1
        storage.append(entries(stable, from: first))
        var log = RaftLogView(
            storage: storage,
            applyingBytesMax: .max,
            sink: LogSink(hook: nil)
        )
        log.append(entries(unstable, from: first + UInt64(stable.count)))
        return log
    }

    @Test(
        arguments: [
            ([], 1, 3), ([1, 2, 3], 1, 3), ([2, 3], 2, 3), ([3], 3, 3),
            ([1, 2, 3, 4, 4], 1, 5), ([2, 3, 4, 4], 2, 5), ([3, 4, 4], 3, 5), ([4, 4], 4, 5),
            ([4, 4], 1, 2), ([1, 4, 4], 2, 4), ([1, 2, 4, 4], 3, 6),
        ] as [([Term], LogIndex, LogIndex)]
    )
    func `only from the first difference on are entries taken`(
        terms: [Term],
        first: LogIndex,
        last: LogIndex
    ) throws {
        // The last three are as a leader's log would go on from terms that ours does not have.
        var log = log(unstable: [1, 2, 3])
        let previous = first - 1
        let matched = try log.maybeAppend(
            after: previous,
            term: log.termOrZero(at: previous),
            entries(terms, from: first),
            leaderCommit: 0
        )
        #expect(matched == previous + UInt64(terms.count))
        #expect(log.lastIndex == last)
        for entry in entries(terms, from: first) {
            #expect(log.matches(entry.index, term: entry.term))
        }
    }

    @Test(
        arguments: [
            (0, 0, [2, 2, 5, 5, 5], 100, 2, 100), (0, 0, [2, 2, 5, 5, 5], 5, 6, 5),
            (0, 0, [2, 2, 5, 5, 5], 5, 5, 5), (0, 0, [2, 2, 5, 5, 5], 5, 4, 2),
            (0, 0, [2, 2, 5, 5, 5], 5, 2, 2), (0, 0, [2, 2, 5, 5, 5], 5, 1, 0),
            (0, 0, [2, 2, 5, 5, 5], 1, 2, 1), (0, 0, [2, 2, 5, 5, 5], 1, 1, 0),
            (0, 0, [2, 2, 5, 5, 5], 0, 0, 0),
            (10, 3, [3, 3, 4, 4, 4], 30, 3, 30), (10, 3, [3, 3, 4, 4, 4], 14, 9, 14),
            (10, 3, [3, 3, 4, 4, 4], 14, 4, 14), (10, 3, [3, 3, 4, 4, 4], 14, 3, 12),
            (10, 3, [3, 3, 4, 4, 4], 14, 2, 9), (10, 3, [3, 3, 4, 4, 4], 11, 5, 11),
            (10, 3, [3, 3, 4, 4, 4], 10, 5, 10), (10, 3, [3, 3, 4, 4, 4], 10, 3, 10),
            (10, 3, [3, 3, 4, 4, 4], 10, 2, 9), (10, 3, [3, 3, 4, 4, 4], 9, 2, 9),
            (10, 3, [3, 3, 4, 4, 4], 4, 2, 4), (10, 3, [3, 3, 4, 4, 4], 0, 0, 0),
        ] as [(LogIndex, Term, [Term], LogIndex, Term, LogIndex)]
    )
    func `the last possible match skips whole terms and stops where the log ends`(
        start: LogIndex,
        startTerm: Term,
        terms: [Term],
        index: LogIndex,
        term: Term,
        found: LogIndex
    ) {
        let log = log(unstable: terms, after: snapshot(start, startTerm))
        let match = log.lastPossibleMatch(index, term: term)
        #expect(match.index == found)
        #expect(match.term == log.termOrZero(at: found))
    }

    @Test(
        arguments: [
            (2, 4, true), (3, 4, true), (4, 4, true), (2, 2, false), (3, 2, false), (4, 2, false),
            (2, 3, false), (3, 3, true), (4, 3, true),
        ] as [(LogIndex, Term, Bool)]
    )
    func `logs are compared by their last term, then by their length`(
        index: LogIndex,
        term: Term,
        isUpToDate: Bool
    ) {
        let log = log(unstable: [1, 2, 3])
        #expect(log.isUpToDate(lastIndex: index, lastTerm: term) == isUpToDate)
    }

    @Test(
        arguments: [
            ([], 3, [1, 2], 3), ([2], 3, [1, 2, 2], 3), ([2], 1, [2], 1),
            ([3, 3], 2, [1, 3, 3], 2),
        ] as [([Term], LogIndex, [Term], LogIndex)]
    )
    func `what is appended over stable entries makes the end unstable again`(
        terms: [Term],
        first: LogIndex,
        expected: [Term],
        firstUnstable: LogIndex
    ) throws {
        var log = log(stable: [1, 2])
        log.append(entries(terms, from: first))
        #expect(try log.entries(from: 1, bytesMax: .max).map(\.term) == expected)
        #expect(log.unstable.offset == firstUnstable)
    }

    /// One append to a log of the terms 1, 2, 3 with commit index 1.
    struct Append: Sendable {
        let term: Term
        let index: LogIndex
        var terms: [Term] = []
        let leaderCommit: LogIndex
        var match: LogIndex?
        let commit: LogIndex
    }

    @Test(arguments: [
        // No match: another term, and past the end.
        Append(term: 2, index: 3, terms: [4], leaderCommit: 3, match: nil, commit: 1),
        Append(term: 3, index: 4, terms: [4], leaderCommit: 3, match: nil, commit: 1),
        // At the end: the commit index follows the leader's, up to what matches, never back.
        Append(term: 3, index: 3, leaderCommit: 3, match: 3, commit: 3),
        Append(term: 3, index: 3, leaderCommit: 4, match: 3, commit: 3),
        Append(term: 3, index: 3, leaderCommit: 2, match: 3, commit: 2),
        Append(term: 3, index: 3, leaderCommit: 0, match: 3, commit: 1),
        Append(term: 0, index: 0, leaderCommit: 3, match: 0, commit: 1),
        Append(term: 3, index: 3, terms: [4], leaderCommit: 3, match: 4, commit: 3),
        Append(term: 3, index: 3, terms: [4], leaderCommit: 4, match: 4, commit: 4),
        Append(term: 3, index: 3, terms: [4], leaderCommit: 5, match: 4, commit: 4),
        Append(term: 3, index: 3, terms: [4, 4], leaderCommit: 5, match: 5, commit: 5),
        // In the middle: the end is replaced.
        Append(term: 2, index: 2, terms: [4], leaderCommit: 3, match: 3, commit: 3),
        Append(term: 1, index: 1, terms: [4], leaderCommit: 3, match: 2, commit: 2),
        Append(term: 1, index: 1, terms: [4, 4], leaderCommit: 3, match: 3, commit: 3),
    ])
    func `an append is taken where it matches and commits no further`(append: Append) throws {
        var log = log(unstable: [1, 2, 3])
        try log.commit(to: 1)
        let new: EntryList = entries(append.terms, from: append.index + 1)
        let match = try log.maybeAppend(
            after: append.index,
            term: append.term,
            new,
            leaderCommit: append.leaderCommit
        )
        #expect(match == append.match)
        #expect(log.committed == append.commit)
        if match != nil, let first = new.first {
            #expect(try log.slice(first.index, log.lastIndex + 1, bytesMax: .max) == new)
        }
    }

    @Test func `entries that contradict committed ones are never taken`() throws {
        var log = log(unstable: [1, 2, 3])
        try log.commit(to: 1)
        #expect(throws: RaftError.conflictsWithCommitted(index: 1, commit: 1)) {
            try log.maybeAppend(after: 0, term: 0, entries([4]), leaderCommit: 3)
        }
        #expect(log.lastTerm == 3)
    }

    @Test func `the commit index never falls and never leaves the log`() throws {
        var log = log(unstable: [1, 2, 3])
        try log.commit(to: 2)
        try log.commit(to: 1)
        #expect(log.committed == 2)
        try log.commit(to: 3)
        #expect(log.committed == 3)
        #expect(throws: RaftError.lostEntries(commit: 4, lastIndex: 3)) { try log.commit(to: 4) }
        #expect(log.committed == 3)
    }

    @Test func `compaction of the stable part changes nothing after it`() throws {
        let storage = MemoryStorage()
        storage.append(entries((1...750).map { Term($0) }))
        var log = RaftLogView(
            storage: storage,
            applyingBytesMax: .max,
            sink: LogSink(hook: nil)
        )
        log.append(entries((751...1_000).map { Term($0) }, from: 751))
        let isCommitted = log.maybeCommit(1_000, term: 1_000)
        #expect(isCommitted)
        log.applied(to: 1_000, bytes: 0)
        storage.compact(to: 500)
        #expect(log.firstIndex == 501)
        #expect(log.lastIndex == 1_000)
        for index in 500...1_000 {
            #expect(try log.term(at: LogIndex(UInt64(index))) == Term(UInt64(index)))
        }
        #expect(log.unstable.nextEntries.map(\.index) == (751...1_000).map { LogIndex($0) })
        log.append([Entry(term: 1_001, index: 1_001)])
        #expect(try log.entries(from: 1_001, bytesMax: .max).count == 1)
        for (index, count) in [(600, 401), (700, 301), (749, 252)] {
            storage.compact(to: LogIndex(UInt64(index)))
            let first = log.firstIndex
            #expect(try log.entries(from: first, bytesMax: .max).count == count)
        }
    }

    @Test func `a log after a snapshot begins at the snapshot's end`() throws {
        let log = log(after: snapshot(1_000, 1_000))
        #expect(log.firstIndex == 1_001)
        #expect(log.lastIndex == 1_000)
        #expect(log.committed == 1_000)
        #expect(log.unstable.offset == 1_001)
        #expect(try log.term(at: 1_000) == 1_000)
        #expect(log.lastTerm == 1_000)
    }

    @Test(
        arguments: [
            (99, nil, .compacted), (100, 1, nil), (150, 50, nil), (199, 99, nil),
            (200, nil, .unavailable),
        ] as [(LogIndex, Term?, LogStorageError?)]
    )
    func `terms are known from the snapshot's end to the log's`(
        index: LogIndex,
        term: Term?,
        error: LogStorageError?
    ) {
        let log = log(unstable: (1...99).map { Term($0) }, after: snapshot(100, 1))
        check(log, index, term, error)
    }

    @Test(
        arguments: [
            (100, nil, .compacted), (101, nil, .compacted), (104, nil, .compacted),
            (105, 1, nil), (106, nil, .unavailable),
        ] as [(LogIndex, Term?, LogStorageError?)]
    )
    func `a snapshot that is not stable yet hides what storage still has`(
        index: LogIndex,
        term: Term?,
        error: LogStorageError?
    ) {
        var log = log(stable: [1, 1], after: snapshot(100, 1))
        log.restore(snapshot(105, 1))
        check(log, index, term, error)
    }

    private func check(
        _ log: RaftLogView,
        _ index: LogIndex,
        _ term: Term?,
        _ error: LogStorageError?
    ) {
        do {
            let found = try log.term(at: index)
            #expect(found == term)
        } catch let found {
            #expect(found == error)
        }
    }

    @Test(
        arguments: [
            ([1], [1], 1, 1), ([1], [1], 2, 0), ([2], [1, 2], 2, 2), ([1], [2], 2, 1),
            ([2, 1, 1], [1, 2], 1, 1), ([2, 1, 1], [1, 1], 2, 0), ([2, 1, 2], [1, 2], 2, 2),
            ([2, 1, 2], [1, 1], 2, 0), ([2, 1, 1, 1], [1, 2], 1, 1),
            ([2, 1, 1, 1], [1, 1], 2, 0), ([2, 1, 1, 2], [1, 2], 1, 1),
            ([2, 1, 1, 2], [1, 1], 2, 0), ([2, 1, 2, 2], [1, 2], 2, 2),
            ([2, 1, 2, 2], [1, 1], 2, 0),
        ] as [([LogIndex], [Term], Term, LogIndex)]
    )
    func `counting commits what a majority has, in the leader's own term`(
        matches: [LogIndex],
        terms: [Term],
        term: Term,
        commit: LogIndex
    ) {
        var tracker = ProgressTracker(inflightCountMax: 1, inflightBytesMax: 0)
        for (place, match) in matches.enumerated() {
            let id = NodeID(UInt64(place + 1))
            tracker.config.voters.incoming.insert(id)
            tracker.peers.append(
                Progress(id: id, match: match, next: match + 1, inflights: tracker.newInflights())
            )
        }
        var log = log(stable: terms)
        let isCommitted = log.maybeCommit(tracker.committed, term: term)
        #expect(isCommitted == (commit > 0))
        #expect(log.committed == commit)
    }
}
