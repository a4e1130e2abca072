import Model
import Raft
import Testing

/// Raft thesis 3.3, 3.4, 3.6.1.
@Suite struct ElectionTests {
    @Test func `a replica starts as follower in its stored term`() {
        let solo = SoloNode(hardState: HardState(term: 7, vote: 2, commit: 0))
        #expect(solo.node.role == .follower)
        #expect(solo.node.term == 7)
        #expect(solo.node.leader == .none)
    }

    @Test func `a candidate with a majority becomes leader and all follow it`() {
        let cluster = TestCluster(3)
        cluster.elect(1)
        for id: NodeID in [1, 2, 3] {
            #expect(cluster[id].leader == 1)
            #expect(cluster[id].term == 1)
        }
    }

    @Test(arguments: [RaftRole.follower, .candidate, .leader])
    func `a higher term makes a follower of anyone`(role: RaftRole) throws {
        let solo = SoloNode()
        if role == .candidate { try solo.node.campaign() }
        if role == .leader { try solo.lead() }
        #expect(solo.node.role == role)
        try solo.step(Message(type: .append, from: 2, term: 9))
        #expect(solo.node.role == .follower)
        #expect(solo.node.term == 9)
        #expect(solo.node.leader == 2)
    }

    @Test func `a message of an old term changes nothing and is not answered`() throws {
        let solo = SoloNode(hardState: HardState(term: 5))
        let sent = try solo.step(
            Message(
                type: .append,
                from: 2,
                term: 4,
                entries: [Entry(term: 4, index: 1)],
                commit: 1
            )
        )
        #expect(sent.isEmpty)
        #expect(solo.node.lastIndex == 0)
        #expect(solo.node.leader == .none)
    }

    @Test func `a follower that hears nothing stands for election in the next term`() {
        let solo = SoloNode(hardState: HardState(term: 4))
        solo.tick(solo.node.status.id == 1 ? 19 : 0)
        let sent = solo.drain()
        #expect(solo.node.role == .candidate)
        #expect(solo.node.term == 5)
        #expect(sent.of(.vote).map(\.to) == [2, 3])
        #expect(sent.of(.vote).allSatisfy { $0.term == 5 })
    }

    @Test func `election timeouts are spread over the whole range`() {
        var seen: Set<Int> = []
        for seed in 0..<300 {
            let solo = SoloNode(seed: UInt64(seed))
            var ticks = 0
            while solo.node.role == .follower {
                solo.tick(1)
                ticks += 1
            }
            seen.insert(ticks)
        }
        #expect(seen == Set(10...19))
    }

    @Test func `a signal from the leader puts the election off`() throws {
        let solo = SoloNode()
        for _ in 0..<10 {
            solo.tick(9)
            try solo.step(Message(type: .heartbeat, from: 2, term: 1))
        }
        #expect(solo.node.role == .follower)
        #expect(solo.node.term == 1)
    }

    @Test(
        arguments: [
            (5, [], 1), (5, [2], 2), (5, [2, 3], 3), (5, [2, 3, 4], 4), (1, [], 1), (3, [3], 2),
        ] as [(UInt64, [NodeID], Int)]
    )
    func `exactly a majority wins`(size: UInt64, voters: [NodeID], votes: Int) throws {
        let solo = SoloNode(of: size)
        try solo.lead(votes: voters)
        let isMajority = votes > size / 2
        #expect((solo.node.role == .leader) == isMajority)
    }

    @Test func `a second answer of the same voter does not count`() throws {
        let solo = SoloNode(of: 5)
        try solo.lead(votes: [2, 2, 2, 2])
        #expect(solo.node.role == .candidate)
    }

    @Test func `a majority of refusals ends the candidacy`() throws {
        let solo = SoloNode(of: 3)
        try solo.node.campaign()
        solo.drain()
        for id: NodeID in [2, 3] {
            try solo.step(Message(type: .voteResponse, from: id, term: 1, reject: true))
        }
        #expect(solo.node.role == .follower)
        #expect(solo.node.term == 1)
    }

    @Test func `a candidate's own vote counts only when it is durable`() throws {
        let solo = SoloNode(of: 3)
        solo.isDiskStalled = true
        try solo.node.campaign()
        solo.drain()
        try solo.step(Message(type: .voteResponse, from: 2, term: 1))
        #expect(solo.node.role == .candidate)
        _ = solo.write()
        #expect(solo.node.role == .leader)
        #expect(solo.storage.hardState == HardState(term: 1, vote: 1, commit: 0))
    }

    @Test func `a vote is sent only when it is durable`() throws {
        let solo = SoloNode()
        solo.isDiskStalled = true
        let early = try solo.step(Message(type: .vote, from: 2, term: 1))
        #expect(early.isEmpty)
        let late = solo.write()
        #expect(late.map(\.type) == [.voteResponse])
        #expect(solo.storage.hardState.vote == 2)
    }

    @Test func `a restarted voter remembers its vote`() throws {
        let first = SoloNode()
        try first.step(Message(type: .vote, from: 2, term: 3))
        let again = SoloNode(hardState: first.storage.hardState, storage: first.storage)
        let refusal = try again.step(Message(type: .vote, from: 3, term: 3))
        #expect(refusal.map(\.reject) == [true])
        let same = try again.step(Message(type: .vote, from: 2, term: 3))
        #expect(same.map(\.reject) == [false])
    }

    @Test(
        arguments: [
            (1, 3, false), (2, 1, false), (2, 2, true), (2, 3, true), (3, 1, true), (1, 9, false),
        ] as [(Term, LogIndex, Bool)]
    )
    func `only a log that is as good gets the vote`(
        term: Term,
        index: LogIndex,
        isGranted: Bool
    ) throws {
        let solo = SoloNode(terms: [1, 2])
        let answer = try solo.step(
            Message(type: .vote, from: 2, term: 4, logTerm: term, index: index)
        )
        #expect(answer.map(\.reject) == [!isGranted])
    }

    @Test func `a learner votes but never stands for election`() throws {
        let solo = SoloNode(of: 3, learners: [1])
        solo.tick(100)
        try solo.node.campaign()
        #expect(solo.node.role == .follower)
        let answer = try solo.step(Message(type: .vote, from: 2, term: 1))
        #expect(answer.map(\.reject) == [false])
    }

    @Test func `a committed change of members that is not applied forbids campaigns`() throws {
        let storage = MemoryStorage(confState: ConfState(voters: [1, 2, 3]))
        let change = ConfChange(changes: [ConfChangeSingle(.addNode, 4)])
        storage.append([
            Entry(term: 1, index: 1, type: .confChangeV2, payload: Payload(change.bytes))
        ])
        let solo = SoloNode(
            hardState: HardState(term: 1, vote: 0, commit: 1),
            storage: storage
        )
        try solo.node.campaign()
        #expect(solo.node.role == .follower)
    }

    @Test func `a new leader appends an empty entry of its term`() throws {
        let solo = SoloNode(terms: [1, 1])
        try solo.lead()
        #expect(solo.storage.entries.map(\.term) == [1, 1, 2])
        #expect(solo.storage.entries.last?.payload.count == 0)
    }

    @Test func `a leader beats in every interval`() throws {
        let solo = SoloNode()
        try solo.lead()
        for _ in 0..<5 {
            solo.tick(1)
            #expect(solo.drain().of(.heartbeat).map(\.to) == [2, 3])
        }
    }

    @Test func `the same seed and calls have the same results`() throws {
        func run(_ seed: UInt64) throws -> String {
            let cluster = TestCluster(3, seed: seed)
            var text = ""
            for round in 0..<60 {
                for id: NodeID in [1, 2, 3] { cluster.tick(id) }
                if cluster[1].role == .leader { try cluster.propose(1, "\(round)") }
                for id: NodeID in [1, 2, 3] { cluster.collect(id) }
                for message in cluster.network { text += "\(message)\n" }
                cluster.settle()
            }
            return text
        }
        #expect(try run(5) == run(5))
        #expect(try run(5) != run(6))
    }
}
