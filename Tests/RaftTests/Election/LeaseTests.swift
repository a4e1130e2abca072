import Model
import Raft
import Testing

/// Raft thesis 4.2.3, 6.2 and 9.6: groups in which leases and pre-votes hold elections back.
@Suite struct LeaseTests {
    /// Three replicas with quorum checks, or pre-votes, or both.
    private func group(checkQuorum: Bool = false, preVote: Bool = false) -> TestCluster {
        TestCluster(3) {
            $0.makePlain()
            $0.checkQuorum = checkQuorum
            $0.preVote = preVote
        }
    }

    @Test func `voters keep to the leader they hear until their timeout has passed`() {
        let cluster = group(checkQuorum: true)
        cluster.campaign(1)
        cluster.campaign(3)
        #expect(cluster.roles == [.leader, .follower, .candidate])
        #expect(cluster.terms == [1, 1, 2])
        // Replica 2 hears nothing any more, but does not stand for election itself.
        cluster[2].randomizedElectionTicks = 19
        cluster.tick(2, 10)
        cluster.campaign(3)
        #expect(cluster[3].role == .leader)
        #expect(cluster[2].term == 3)
    }

    @Test func `a leader is replaced once its followers have stopped hearing it`() {
        let cluster = group(checkQuorum: true)
        cluster.campaign(1)
        cluster.tick(1, 10)
        cluster.settle()
        cluster[2].randomizedElectionTicks = 19
        cluster.tick(2, 10)
        // The leader's own period began anew; the vote of replica 2 is enough.
        cluster.campaign(3)
        #expect(cluster.roles == [.follower, .follower, .leader])
        #expect(cluster.terms == [2, 2, 2])
    }

    @Test func `a replica outside of the configuration follows and never campaigns`() {
        let cluster = TestCluster(2) {
            $0.makePlain()
            $0.checkQuorum = true
        }
        let removal = ConfChange(changes: [ConfChangeSingle(.removeNode, 2)])
        _ = cluster[2].applyConfChange(removal)
        cluster.tick(2, 40)
        cluster.settle()
        #expect(cluster.roles == [.follower, .follower])
        cluster.campaign(1)
        #expect(cluster.roles == [.leader, .follower])
        #expect(cluster[2].leader == 1)
    }

    // Thesis 4.2.3: what pre-votes are there to prevent.
    @Test func `a late heartbeat makes a candidate depose the leader`() {
        let cluster = group(checkQuorum: true)
        cluster.campaign(1)
        cluster.isolate(3)
        cluster.tick(3, 19)
        cluster.settle()
        #expect(cluster.roles == [.leader, .follower, .candidate])
        #expect(cluster.terms == [1, 1, 2])
        cluster.heal()
        cluster.step(Message(type: .heartbeat, to: 3, from: 1, term: 1))
        #expect(cluster.roles == [.follower, .follower, .candidate])
        #expect(cluster.terms == [2, 1, 2])
    }

    @Test func `a late heartbeat does not make a pre-candidate depose the leader`() throws {
        let cluster = group(checkQuorum: true, preVote: true)
        cluster.campaign(1)
        cluster.isolate(3)
        for text in ["a", "b", "c"] { try cluster.propose(1, text) }
        cluster.settle()
        cluster.heal()
        cluster.campaign(3)
        #expect(cluster.roles == [.leader, .follower, .preCandidate])
        #expect(cluster.terms == [1, 1, 1])
        cluster.step(Message(type: .heartbeat, to: 3, from: 1, term: 1))
        #expect(cluster.roles == [.leader, .follower, .follower])
        #expect(cluster.texts(3) == ["a", "b", "c"])
    }

    @Test func `a pre-candidate finds no votes while the others hear a leader`() {
        let cluster = group(checkQuorum: true, preVote: true)
        cluster.campaign(1)
        cluster.isolate(1)
        cluster.campaign(3)
        #expect(cluster[3].role == .preCandidate)
        cluster.campaign(2)
        #expect(cluster[2].role == .leader, "replica 3 has forgotten the leader by then")
        #expect(cluster[3].role == .follower)
    }

    @Test func `a split vote is followed by a round that has a winner`() throws {
        let cluster = group(preVote: true)
        cluster.campaign(1)
        cluster.isolate(1)
        try cluster[2].campaign()
        try cluster[3].campaign()
        cluster.settle()
        #expect(cluster[2].role == .candidate)
        #expect(cluster[3].role == .candidate)
        #expect(cluster[2].term == 2)
        #expect(cluster[3].term == 2)
        cluster.campaign(2)
        #expect(cluster[2].role == .leader)
        #expect(cluster[3].role == .follower)
        #expect(cluster[2].term == 3)
        #expect(cluster[3].term == 3)
    }

    @Test func `a replica that comes back in an old term helps to elect`() {
        let cluster = group(preVote: true)
        cluster.cut((1, 3), (2, 3))
        cluster.campaign(1)
        cluster.campaign(3)
        cluster.campaign(2)
        #expect(cluster.roles == [.follower, .leader, .preCandidate])
        #expect(cluster.terms == [2, 2, 0])
        // The leader dies at the moment in which replica 3 is back.
        cluster.cut((1, 2), (2, 3))
        cluster.campaign(3)
        cluster.campaign(1)
        #expect(cluster[1].role == .leader)
        #expect(cluster[3].term == cluster[1].term)
    }
}

/// Raft thesis 9.6: pre-votes are switched on while a replica is in a high term.
@Suite struct PreVoteMigrationTests {
    /// Replica 1 leads term 1; 3 was cut off without pre-votes, is in term 3 and lacks an entry.
    private func migrating() throws -> TestCluster {
        let cluster = TestCluster(3) {
            $0.makePlain()
            $0.preVote = $0.id != 3
        }
        cluster.campaign(1)
        cluster.isolate(3)
        try cluster.propose(1, "some data")
        cluster.settle()
        cluster.campaign(3)
        cluster.campaign(3)
        #expect(cluster.roles == [.leader, .follower, .candidate])
        #expect(cluster.terms == [1, 1, 3])
        cluster.configure = {
            $0.makePlain()
            $0.preVote = true
        }
        cluster.restart(3)
        cluster.heal()
        return cluster
    }

    @Test func `after the switch to pre-votes the group can elect`() throws {
        let cluster = try migrating()
        cluster.isolate(1)
        cluster.campaign(3)
        cluster.campaign(2)
        #expect(cluster[2].role == .follower, "it learnt of the high term")
        #expect(cluster[3].role == .preCandidate)
        cluster.campaign(3)
        cluster.campaign(2)
        #expect(cluster[2].role == .leader)
        #expect(cluster[3].role == .follower)
    }

    @Test func `after the switch a replica in a high term is freed`() throws {
        let cluster = try migrating()
        for _ in 0..<2 {
            cluster.campaign(3)
            #expect(cluster.roles == [.leader, .follower, .preCandidate])
        }
        cluster.step(Message(type: .heartbeat, to: 3, from: 1, term: 1))
        #expect(cluster[1].role == .follower)
        #expect(cluster[1].term == cluster[3].term)
    }
}
