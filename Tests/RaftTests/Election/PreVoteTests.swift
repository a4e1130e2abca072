import Model
import Raft
import Testing

/// Raft thesis 9.6 and 4.2.3.
@Suite struct PreVoteTests {
    @Test func `a replica that cannot reach a majority does not raise its term`() {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster.isolate(3)
        cluster.tick(3, 200)
        cluster.settle()
        #expect(cluster[3].term == 1)
        #expect(cluster[3].role == .preCandidate)
    }

    @Test func `a replica that comes back does not depose the leader`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster.isolate(3)
        cluster.tick(3, 50)
        try cluster.propose(1, "meanwhile")
        cluster.settle()
        cluster.heal()
        cluster.tick(3, 50)
        cluster.settle()
        cluster.tick(1, 1)
        cluster.settle()
        #expect(cluster[1].role == .leader)
        #expect(cluster[1].term == 1)
        #expect(cluster[3].role == .follower)
        #expect(cluster.texts(3) == ["meanwhile"])
    }

    @Test func `asking for pre-votes changes neither term nor vote`() throws {
        let solo = SoloNode(configure: { $0.preVote = true })
        try solo.node.campaign()
        let sent = solo.drain()
        #expect(solo.node.role == .preCandidate)
        #expect(solo.node.term == 0)
        #expect(sent.of(.preVote).map(\.term) == [1, 1])
        #expect(solo.storage.hardState == HardState())
    }

    @Test func `granting a pre-vote does not bind the vote`() throws {
        let solo = SoloNode()
        let first = try solo.step(Message(type: .preVote, from: 2, term: 1))
        let second = try solo.step(Message(type: .preVote, from: 3, term: 1))
        #expect((first + second).map(\.reject) == [false, false])
        #expect((first + second).map(\.term) == [1, 1])
        #expect(solo.node.term == 0)
    }

    @Test func `a pre-vote of an old term is refused with the own term`() throws {
        let solo = SoloNode(hardState: HardState(term: 5))
        let answer = try solo.step(Message(type: .preVote, from: 2, term: 3))
        #expect(answer.map(\.reject) == [true])
        #expect(answer.map(\.term) == [5])
    }

    @Test func `a pre-candidate with a majority stands for election`() throws {
        let solo = SoloNode(configure: { $0.preVote = true })
        try solo.node.campaign()
        solo.drain()
        try solo.step(Message(type: .preVoteResponse, from: 2, term: 1))
        #expect(solo.node.role == .candidate)
        #expect(solo.node.term == 1)
    }

    @Test func `a pre-candidate that is refused by a higher term moves to it`() throws {
        let solo = SoloNode(configure: { $0.preVote = true })
        try solo.node.campaign()
        solo.drain()
        try solo.step(Message(type: .preVoteResponse, from: 2, term: 6, reject: true))
        #expect(solo.node.role == .follower)
        #expect(solo.node.term == 6)
    }

    @Test func `who hears the leader grants nothing until the timeout`() throws {
        let solo = SoloNode(configure: { $0.checkQuorum = true })
        try solo.step(Message(type: .heartbeat, from: 2, term: 1))
        let ignored = try solo.step(Message(type: .vote, from: 3, term: 2))
        #expect(ignored.isEmpty)
        #expect(solo.node.term == 1)
        solo.tick(9)
        #expect(try solo.step(Message(type: .preVote, from: 3, term: 2)).isEmpty)
        solo.tick(1)
        let answer = try solo.step(Message(type: .preVote, from: 3, term: 2))
        #expect(answer.map(\.reject) == [false])
    }

    @Test func `a replica that forgets its leader grants a pre-vote at once`() throws {
        let solo = SoloNode(configure: {
            $0.checkQuorum = true
            $0.preVote = true
        })
        try solo.step(Message(type: .heartbeat, from: 2, term: 1))
        solo.node.forgetLeader()
        #expect(solo.node.leader == .none)
        #expect(solo.node.term == 1)
        let answer = try solo.step(Message(type: .preVote, from: 3, term: 2))
        #expect(answer.map(\.reject) == [false])
        try solo.step(Message(type: .heartbeat, from: 2, term: 1))
        #expect(solo.node.leader == 2)
    }

    @Test func `with lease-based reads no leader is forgotten`() throws {
        let solo = SoloNode(configure: {
            $0.checkQuorum = true
            $0.readOnlyOption = .leaseBased
        })
        try solo.step(Message(type: .heartbeat, from: 2, term: 1))
        solo.node.forgetLeader()
        #expect(solo.node.leader == 2)
    }
}

@Suite struct CheckQuorumTests {
    @Test func `a leader that hears from no quorum steps down`() {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster.isolate(1)
        cluster.tick(1, 10)
        cluster.settle()
        #expect(cluster[1].role == .leader, "the first period saw the election")
        cluster.tick(1, 10)
        #expect(cluster[1].role == .follower)
        #expect(cluster[1].leader == .none)
        #expect(cluster[1].term == 1)
    }

    @Test func `a leader that hears from a quorum stays`() {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster.isolate(3)
        for _ in 0..<100 {
            cluster.tick(1)
            cluster.settle()
        }
        #expect(cluster[1].role == .leader)
    }

    @Test func `learners do not keep a leader in office`() {
        let cluster = TestCluster(4, learners: [4])
        cluster.elect(1)
        cluster.isolate(2, 3)
        for _ in 0..<20 {
            cluster.tick(1)
            cluster.settle()
        }
        #expect(cluster[1].role == .follower)
    }

    @Test func `a leader of an old term is told so`() throws {
        let solo = SoloNode(
            hardState: HardState(term: 4),
            configure: { $0.checkQuorum = true }
        )
        for type: MessageType in [.heartbeat, .append] {
            let answer = try solo.step(Message(type: type, from: 2, term: 2))
            #expect(answer.map(\.type) == [.appendResponse])
            #expect(answer.map(\.term) == [4])
        }
    }

    @Test func `a candidate with a high term that was cut off is freed`() throws {
        let cluster = TestCluster(3, configure: { $0.preVote = false })
        cluster.elect(1)
        cluster.isolate(3)
        cluster.tick(3, 100)
        cluster.settle()
        #expect(cluster[3].term > cluster[1].term)
        cluster.heal()
        for _ in 0..<60 {
            for id: NodeID in [1, 2, 3] { cluster.tick(id) }
            cluster.settle()
        }
        let leaders = ([1, 2, 3] as [NodeID]).filter { cluster[$0].role == .leader }
        #expect(leaders.count == 1)
        #expect(Set(([1, 2, 3] as [NodeID]).map { cluster[$0].term }).count == 1)
    }
}
