import Model
import Raft
import Testing

/// The Raft paper, 5.3: how entries are replicated, committed and applied.
@Suite struct PaperReplicationTests {
    /// A leader of term 1 whose first entry everybody has.
    private func leader(of count: UInt64 = 3) throws -> SoloNode {
        let solo = SoloNode(of: count)
        try solo.lead(votes: (2..<2 + count / 2).map { NodeID($0) })
        for id in 2..<count + 1 { try solo.acknowledge(NodeID(id)) }
        #expect(solo.node.commit == 1)
        return solo
    }

    // Paper 5.3: the leader appends the command and sends it with the place that it follows.
    @Test func `a leader appends a proposal and sends it with the entry before it`() throws {
        let solo = try leader()
        try solo.propose("some data")
        #expect(
            solo.drain().texts == [
                "1->2 MsgApp Term:1 Log:1/1 Commit:1 Entries:[1/2 EntryNormal \"some data\"]",
                "1->3 MsgApp Term:1 Log:1/1 Commit:1 Entries:[1/2 EntryNormal \"some data\"]",
            ]
        )
        #expect(solo.node.lastIndex == 2)
        #expect(solo.node.commit == 1)
        #expect(solo.storage.entries.last == entry(1, 2, "some data"))
    }

    // Paper 5.3: a replicated entry is applied; later appends tell the followers of the commit.
    @Test func `a leader applies what it commits and tells the followers`() throws {
        let solo = try leader()
        try solo.propose("some data")
        solo.drain()
        var sent = try solo.acknowledge(2)
        sent += try solo.acknowledge(3)
        #expect(solo.node.commit == 2)
        #expect(solo.applied.last == entry(1, 2, "some data"))
        #expect(
            sent.texts == [
                "1->2 MsgApp Term:1 Log:1/2 Commit:2", "1->3 MsgApp Term:1 Log:1/2 Commit:2",
            ]
        )
    }

    // Paper 5.3: an entry is committed when a majority has it.
    @Test(
        arguments: [
            (1, [], true), (3, [], false), (3, [2], true), (3, [2, 3], true), (5, [], false),
            (5, [2], false), (5, [2, 3], true), (5, [2, 3, 4], true), (5, [2, 3, 4, 5], true),
        ] as [(UInt64, [NodeID], Bool)]
    )
    func `an entry is committed once a majority has acknowledged it`(
        size: UInt64,
        acknowledging: [NodeID],
        isCommitted: Bool
    ) throws {
        let solo = try leader(of: size)
        try solo.propose("some data")
        solo.drain()
        for id in acknowledging { try solo.acknowledge(id) }
        #expect((solo.node.commit == 2) == isCommitted)
    }

    // Paper 5.3: committing an entry commits everything before it, whoever appended that.
    @Test(arguments: [[], [2], [1, 2], [1]] as [[Term]])
    func `a commit covers all earlier entries, also those of former leaders`(
        terms: [Term]
    ) throws {
        let solo = SoloNode(terms: terms, hardState: HardState(term: 2))
        try solo.lead()
        try solo.propose("some data")
        solo.drain()
        try solo.acknowledge(2)
        let last = LogIndex(UInt64(terms.count))
        #expect(
            solo.applied == entries(terms) + [
                Entry(term: 3, index: last + 1), entry(3, last + 2, "some data"),
            ]
        )
    }

    // Paper 5.3: followers apply in the order of the log what they learn to be committed.
    @Test(
        arguments: [
            (["some data"], 1), (["some data", "some data2"], 2),
            (["some data2", "some data"], 2), (["some data", "some data2"], 1),
        ] as [([String], Int)]
    )
    func `a follower applies in order what it learns is committed`(
        texts: [String],
        commit: Int
    ) throws {
        let solo = SoloNode()
        let sent = texts.enumerated().map { entry(1, LogIndex(UInt64($0 + 1)), $1) }
        try solo.step(
            Message(
                type: .append,
                from: 2,
                term: 1,
                entries: EntryList(sent),
                commit: LogIndex(UInt64(commit))
            )
        )
        #expect(solo.node.commit == LogIndex(UInt64(commit)))
        #expect(solo.applied == Array(sent.prefix(commit)))
    }

    // Paper 5.3: the consistency check, and the hint that makes the search for a match short.
    @Test(
        arguments: [
            // What is committed matches whatever the append says.
            (0, 0, "1->2 MsgAppResp Term:2 Log:0/1"), (1, 1, "1->2 MsgAppResp Term:2 Log:0/1"),
            (2, 2, "1->2 MsgAppResp Term:2 Log:0/2"),
            // An entry of another term, and one that is missing.
            (1, 2, "1->2 MsgAppResp Term:2 Log:1/2 Rejected (Hint: 1)"),
            (2, 3, "1->2 MsgAppResp Term:2 Log:2/3 Rejected (Hint: 2)"),
        ] as [(Term, LogIndex, String)]
    )
    func `a follower refuses entries after one that it does not have`(
        term: Term,
        index: LogIndex,
        answer: String
    ) throws {
        let solo = SoloNode(terms: [1, 2], hardState: HardState(term: 2, vote: 0, commit: 1))
        solo.drain()
        let sent = try solo.step(
            Message(type: .append, from: 2, term: 2, logTerm: term, index: index)
        )
        #expect(sent.texts == [answer])
    }

    // Paper 5.3: conflicting entries go, with all that follow; what is there already stays.
    @Test(
        arguments: [
            (2, 2, 3, [3], [1, 2, 3], [3]), (1, 1, 2, [3, 4], [1, 3, 4], [3, 4]),
            (0, 0, 1, [1], [1, 2], []), (0, 0, 1, [3], [3], [3]),
        ] as [(LogIndex, Term, LogIndex, [Term], [Term], [Term])]
    )
    func `a follower replaces conflicting entries and keeps those it has`(
        index: LogIndex,
        term: Term,
        first: LogIndex,
        terms: [Term],
        log: [Term],
        written: [Term]
    ) throws {
        let solo = SoloNode(terms: [1, 2], hardState: HardState(term: 4))
        solo.isDiskStalled = true
        try solo.step(
            Message(
                type: .append,
                from: 2,
                term: 4,
                logTerm: term,
                index: index,
                entries: entries(terms, from: first)
            )
        )
        #expect(solo.writes.flatMap(\.entries).map(\.term) == written)
        _ = solo.write()
        #expect(solo.storage.entries.map(\.term) == log)
    }
}
