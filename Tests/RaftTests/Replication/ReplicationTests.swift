import Model
import Raft
import Testing

/// Raft thesis 3.5, 3.6, 10.2.1.
@Suite struct ReplicationTests {
    @Test func `a proposal is applied everywhere in order`() throws {
        let cluster = TestCluster(5)
        cluster.elect(1)
        for number in 0..<20 { try cluster.propose(1, "\(number)") }
        cluster.settle()
        cluster.tick(1)
        cluster.settle()
        for id: NodeID in [1, 2, 3, 4, 5] {
            #expect(cluster.texts(id) == (0..<20).map(String.init))
        }
    }

    @Test func `several payloads of one proposal get consecutive indexes`() throws {
        let solo = SoloNode()
        try solo.lead()
        try solo.node.propose([Payload([1]), Payload([2]), Payload([3])])
        let sent = solo.drain().of(.append)
        #expect(solo.node.lastIndex == 4)
        #expect(solo.storage.entries.map(\.index) == [1, 2, 3, 4])
        #expect(sent.allSatisfy { $0.term == 1 })
    }

    @Test func `an entry is committed when a majority has it`() throws {
        let solo = SoloNode(of: 5)
        try solo.lead(votes: [2, 3])
        try solo.propose("x")
        solo.drain()
        try solo.acknowledge(2)
        #expect(solo.node.commit == 0)
        try solo.acknowledge(3)
        #expect(solo.node.commit == 2)
        #expect(solo.applied.map(\.index) == [1, 2])
    }

    @Test func `a leader's own copy counts only when it is durable`() throws {
        let solo = SoloNode()
        try solo.lead()
        try solo.acknowledge(2)
        #expect(solo.node.commit == 1)
        solo.isDiskStalled = true
        try solo.propose("x")
        solo.drain()
        try solo.acknowledge(2)
        #expect(solo.node.commit == 1)
        _ = solo.write()
        #expect(solo.node.commit == 2)
    }

    @Test func `a leader with a slow disk commits by its followers' disks`() throws {
        let solo = SoloNode()
        try solo.lead()
        try solo.acknowledge(2)
        solo.isDiskStalled = true
        try solo.propose("x")
        let early = solo.drain().of(.append)
        #expect(!early.isEmpty, "followers get the entry before the leader's disk has it")
        try solo.acknowledge(2)
        try solo.acknowledge(3)
        #expect(solo.node.commit == 2)
        #expect(solo.applied.map(\.index) == [1], "what is not stable here is not applied here")
        _ = solo.write()
        solo.drain()
        #expect(solo.applied.map(\.index) == [1, 2])
    }

    @Test func `a follower acknowledges only what is durable`() throws {
        let solo = SoloNode()
        solo.isDiskStalled = true
        let append = Message(
            type: .append,
            from: 2,
            term: 1,
            entries: [Entry(term: 1, index: 1)]
        )
        #expect(try solo.step(append).isEmpty)
        let late = solo.write()
        #expect(late.map(\.type) == [.appendResponse])
        #expect(late.map(\.index) == [1])
    }

    @Test func `entries of former terms are committed only through one of the own term`() throws {
        // Thesis, figure 3.7: counting copies of old entries would be wrong.
        let solo = SoloNode(terms: [1, 2], hardState: HardState(term: 2))
        try solo.lead()
        #expect(solo.node.term == 3)
        try solo.acknowledge(2, 2)
        try solo.acknowledge(3, 2)
        #expect(solo.node.commit == 0)
        try solo.acknowledge(2, 3)
        #expect(solo.node.commit == 3)
    }

    @Test(
        arguments: [
            (0, 0, true), (1, 1, true), (2, 2, true), (2, 1, false), (1, 2, false), (4, 3, false),
        ] as [(LogIndex, Term, Bool)]
    )
    func `an append must follow an entry that matches`(
        index: LogIndex,
        term: Term,
        isAccepted: Bool
    ) throws {
        let solo = SoloNode(terms: [1, 2])
        let answer = try solo.step(
            Message(type: .append, from: 2, term: 3, logTerm: term, index: index)
        )
        #expect(answer.map(\.reject) == [!isAccepted])
    }

    @Test func `conflicting entries are replaced`() throws {
        let solo = SoloNode(terms: [1, 2, 2])
        try solo.step(
            Message(
                type: .append,
                from: 2,
                term: 4,
                logTerm: 1,
                index: 1,
                entries: entries([3, 4], from: 2)
            )
        )
        #expect(solo.storage.entries.map(\.term) == [1, 3, 4])
    }

    @Test func `a late repetition does not cut what came after`() throws {
        let solo = SoloNode()
        let long = Message(type: .append, from: 2, term: 1, entries: entries([1, 1, 1]))
        let short = Message(type: .append, from: 2, term: 1, entries: entries([1]))
        try solo.step(long)
        let answer = try solo.step(short)
        #expect(solo.node.lastIndex == 3)
        #expect(answer.map(\.index) == [1])
    }

    @Test func `a follower commits no further than its log is the leader's`() throws {
        let solo = SoloNode(terms: [1, 1, 1])
        try solo.step(
            Message(type: .append, from: 2, term: 2, logTerm: 1, index: 1, commit: 3)
        )
        #expect(solo.node.commit == 1)
    }

    @Test func `a heartbeat commits no further than the match`() throws {
        let solo = SoloNode()
        try solo.lead()
        try solo.propose("x")
        try solo.acknowledge(2)
        try solo.acknowledge(3, 1)
        solo.tick(1)
        let beats = solo.drain().of(.heartbeat)
        #expect(beats.map(\.commit) == [2, 1])
    }

    @Test func `an acknowledgement that commits is told to the followers at once`() throws {
        let solo = SoloNode()
        try solo.lead()
        try solo.acknowledge(2)
        try solo.propose("x")
        solo.drain()
        let sent = try solo.acknowledge(2)
        #expect(sent.of(.append).contains { $0.commit == 2 && $0.entries.isEmpty })
    }

    @Test func `a leader brings any follower's log in line with its own`() throws {
        // Thesis, figure 3.6: a missing end, a superfluous one, and both.
        let ours: [Term] = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6]
        let theirs: [[Term]] = [
            [1, 1, 1, 4, 4, 5, 5, 6, 6],
            [1, 1, 1, 4],
            [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
            [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
            [1, 1, 1, 4, 4, 4, 4],
            [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
        ]
        for terms in theirs {
            let cluster = TestCluster(3)
            cluster.preload(1, ours, term: 8)
            cluster.preload(2, terms, term: 8)
            cluster.isolate(2)
            cluster.elect(1)
            cluster.heal()
            cluster.tick(1)
            cluster.settle()
            cluster.tick(1)
            cluster.settle()
            #expect(cluster.storage(2).entries == cluster.storage(1).entries, "\(terms)")
            #expect(cluster[2].commit == 11)
        }
    }

    @Test func `a long wrong tail costs one probe for each term`() throws {
        let cluster = TestCluster(3)
        cluster.preload(1, [1] + Array(repeating: 3, count: 50), term: 9)
        cluster.preload(2, [1] + Array(repeating: 2, count: 60), term: 9)
        cluster.isolate(2)
        cluster.elect(1)
        var rejections = 0
        cluster.loses = { message in
            if message.type == .appendResponse, message.reject { rejections += 1 }
            return false
        }
        cluster.tick(1)
        cluster.settle()
        #expect(cluster.storage(2).entries == cluster.storage(1).entries)
        #expect(rejections <= 3)
    }

    @Test func `an answer to a replaced write does not make the new entries stable`() throws {
        // The entry at 2 is written in terms 1, 2 and again with the same id later: only an
        // answer of the present term may confirm it.
        let solo = SoloNode(terms: [1], hardState: HardState(term: 1))
        solo.isDiskStalled = true
        func append(_ leader: NodeID, _ term: Term, _ entry: Term) throws {
            try solo.step(
                Message(
                    type: .append,
                    from: leader,
                    term: term,
                    logTerm: 1,
                    index: 1,
                    entries: [Entry(term: entry, index: 2)],
                    commit: 0
                )
            )
        }
        try append(2, 2, 2)
        try append(3, 3, 3)
        try append(2, 4, 2)
        let first = solo.writes[0]
        let confirmation = try #require(first.responses.last)
        #expect(confirmation.type == .storageAppendResponse)
        try solo.node.step(confirmation)
        try solo.step(Message(type: .heartbeat, from: 2, term: 4, commit: 2))
        #expect(solo.node.commit == 2)
        #expect(solo.applied.map(\.index) == [1], "the third write is not done yet")
        _ = solo.write()
        solo.drain()
        #expect(solo.applied.map(\.index) == [1, 2])
    }

    @Test func `a heartbeat beyond the log means that acknowledged entries were lost`() throws {
        let solo = SoloNode(terms: [1])
        #expect(throws: RaftError.lostEntries(commit: 5, lastIndex: 1)) {
            try solo.step(Message(type: .heartbeat, from: 2, term: 1, commit: 5))
        }
        #expect(solo.node.commit == 0)
    }

    @Test func `an append that contradicts committed entries is refused`() throws {
        let solo = SoloNode(terms: [1, 1], hardState: HardState(term: 1, vote: 0, commit: 2))
        let message = Message(
            type: .append,
            from: 2,
            term: 2,
            logTerm: 1,
            index: 2,
            entries: entries([2], from: 3)
        )
        try solo.step(message)
        #expect(solo.storage.entries.map(\.term) == [1, 1, 2])
        let answer = try solo.step(
            Message(
                type: .append,
                from: 2,
                term: 2,
                entries: entries([2, 2], from: 1)
            )
        )
        #expect(answer.map(\.index) == [2], "only the committed part is acknowledged")
        #expect(solo.storage.entries.map(\.term) == [1, 1, 2])
    }

    @Test func `a restarted replica goes on where its disk is`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        try cluster.propose(1, "a")
        cluster.settle()
        cluster.restart(3)
        cluster.restart(2)
        try cluster.propose(1, "b")
        cluster.settle()
        cluster.tick(1)
        cluster.settle()
        for id: NodeID in [1, 2, 3] { #expect(cluster.texts(id) == ["a", "b"]) }
    }

    @Test func `a commit index that was not synced does not stop a restart`() throws {
        let storage = MemoryStorage(confState: ConfState(voters: [1]))
        let solo = SoloNode(
            of: 1,
            terms: [1, 1, 1],
            hardState: HardState(term: 1, vote: 0, commit: 1),
            storage: storage,
            configure: { $0.applied = 3 }
        )
        #expect(solo.node.commit == 3)
        #expect(solo.node.applied == 3)
    }
}

@Suite struct ProposalTests {
    @Test func `without a leader a proposal is dropped`() throws {
        let solo = SoloNode()
        #expect(throws: RaftError.proposalDropped) { try solo.propose("x") }
        try solo.node.campaign()
        #expect(throws: RaftError.proposalDropped) { try solo.propose("x") }
    }

    @Test func `followers drop or forward proposals as configured`() throws {
        let dropping = SoloNode()
        try dropping.step(Message(type: .heartbeat, from: 2, term: 1))
        #expect(throws: RaftError.proposalDropped) { try dropping.propose("x") }
        let forwarding = SoloNode(configure: { $0.disableProposalForwarding = false })
        try forwarding.step(Message(type: .heartbeat, from: 2, term: 1))
        try forwarding.propose("x")
        let sent = forwarding.drain()
        #expect(sent.map(\.type) == [.propose])
        #expect(sent.map(\.to) == [2])
    }

    @Test func `a leader takes no proposals of others when forwarding is off`() throws {
        let solo = SoloNode()
        try solo.lead()
        let foreign = Message(type: .propose, from: 2, entries: [Entry(payload: Payload([1]))])
        #expect(throws: RaftError.proposalDropped) { try solo.step(foreign) }
        #expect(solo.node.lastIndex == 1)
    }

    @Test func `the uncommitted tail is limited, except for the first and for empty ones`() throws {
        let solo = SoloNode(configure: { $0.maxUncommittedBytes = 100 })
        try solo.lead()
        try solo.acknowledge(2)
        let big = Payload(Array(repeating: 0, count: 500))
        try solo.node.propose([big])
        #expect(throws: RaftError.proposalDropped) { try solo.node.propose([Payload([1])]) }
        try solo.node.propose([.empty])
        solo.drain()
        try solo.acknowledge(2)
        try solo.node.propose([Payload([1])])
        #expect(solo.node.lastIndex == 4)
    }
}
