import Model
import Raft
import Testing

/// Raft thesis 3.10.
@Suite struct TransferTests {
    @Test func `an up-to-date member takes over at once, lease or not`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster.tick(1)
        cluster.settle()
        cluster[1].transferLeadership(to: 2)
        cluster.settle()
        #expect(cluster[2].role == .leader)
        #expect(cluster[1].role == .follower)
        #expect(cluster[1].leader == 2)
    }

    @Test func `a member that lags gets the entries first`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster.isolate(3)
        try cluster.propose(1, "x")
        cluster.settle()
        cluster.heal()
        cluster[1].transferLeadership(to: 3)
        cluster.settle()
        cluster.tick(1)
        cluster.settle()
        #expect(cluster[3].role == .leader)
        #expect(cluster.texts(3) == ["x"])
    }

    @Test func `a follower passes the request on`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster[2].transferLeadership(to: 3)
        cluster.settle()
        #expect(cluster[3].role == .leader)
    }

    @Test func `proposals are dropped meanwhile`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster.isolate(3)
        try cluster.propose(1, "before")
        cluster.settle()
        cluster[1].transferLeadership(to: 3)
        #expect(cluster[1].status.transferee == 3)
        #expect(throws: RaftError.proposalDropped) { try cluster.propose(1, "x") }
    }

    @Test func `a transfer is given up after an election timeout`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster.isolate(3)
        try cluster.propose(1, "x")
        cluster.settle()
        cluster[1].transferLeadership(to: 3)
        for _ in 0..<10 {
            cluster.tick(1)
            cluster.settle()
        }
        #expect(cluster[1].status.transferee == .none)
        try cluster.propose(1, "y")
        #expect(cluster[1].role == .leader)
    }

    @Test func `a second target replaces the first`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster.isolate(3)
        try cluster.propose(1, "x")
        cluster.settle()
        cluster[1].transferLeadership(to: 3)
        cluster[1].transferLeadership(to: 2)
        cluster.settle()
        #expect(cluster[2].role == .leader)
    }

    @Test(arguments: [1, 4, 9] as [NodeID])
    func `the leader itself, learners and strangers cannot be targets`(target: NodeID) {
        let cluster = TestCluster(4, learners: [4])
        cluster.elect(1)
        cluster[1].transferLeadership(to: target)
        cluster.settle()
        #expect(cluster[1].role == .leader)
        #expect(cluster[1].status.transferee == .none)
    }
}
