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

    /// Three replicas of which the leader 1 has begun a transfer to 3, which hears nothing.
    private func pending() -> TestCluster {
        let cluster = TestCluster(3) { $0.makePlain() }
        cluster.elect(1)
        cluster.isolate(3)
        cluster[1].transferLeadership(to: 3)
        cluster.settle()
        #expect(cluster[1].status.transferee == 3)
        return cluster
    }

    @Test func `a target that needs a snapshot takes over once it has it`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster.isolate(3)
        try cluster.propose(1, "x")
        cluster.settle()
        cluster.storage(1).create(snapshot(2, 1, ConfState(voters: [1, 2, 3])))
        cluster.storage(1).compact(to: 2)
        var held: [Message] = []
        cluster.loses = { message in
            guard message.type == .appendResponse, message.from == 3, !message.reject else {
                return false
            }
            held.append(message)
            return true
        }
        cluster[1].transferLeadership(to: 3)
        cluster.settle()
        #expect(cluster[1].role == .leader)
        #expect(cluster.storage(3).firstIndex == 3)
        cluster.heal()
        for message in held { cluster.step(message) }
        #expect(cluster[3].role == .leader)
    }

    @Test func `a leader that loses its office forgets the transfer`() {
        let cluster = pending()
        cluster.campaign(2)
        #expect(cluster[1].role == .follower)
        #expect(cluster[1].leader == 2)
        #expect(cluster[1].status.transferee == .none)
    }

    @Test func `a target that is demoted ends the transfer when it votes no more`() throws {
        let cluster = pending()
        let demotion = ConfChange(changes: try confChanges("r3 l3"))
        _ = cluster[1].applyConfChange(demotion)
        #expect(cluster[1].status.transferee == 3, "it still votes in the outgoing half")
        _ = cluster[1].applyConfChange(ConfChange())
        #expect(cluster[1].role == .leader)
        #expect(cluster[1].status.transferee == .none)
    }

    @Test func `a transfer to the leader itself ends the one under way`() throws {
        let cluster = pending()
        cluster[1].transferLeadership(to: 1)
        #expect(cluster[1].role == .leader)
        #expect(cluster[1].status.transferee == .none)
        try cluster.propose(1, "x")
    }

    @Test func `asking again for the same target gives it no more time`() {
        let cluster = pending()
        cluster.tick(1, 1)
        cluster[1].transferLeadership(to: 3)
        cluster.tick(1, 8)
        #expect(cluster[1].status.transferee == 3)
        cluster.tick(1, 1)
        #expect(cluster[1].status.transferee == .none)
        #expect(cluster[1].role == .leader)
    }
}
