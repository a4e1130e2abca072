import Model
import Raft
import Testing

/// Raft thesis 6.4.
@Suite struct ReadIndexTests {
    @Test func `a read is confirmed by a round of heartbeats`() throws {
        let solo = SoloNode(of: 5)
        try solo.lead(votes: [2, 3])
        try solo.acknowledge(2)
        try solo.acknowledge(3)
        solo.node.readIndex(context: 42)
        let beats = solo.drain().of(.heartbeat)
        #expect(beats.map(\.to) == [2, 3, 4, 5])
        let context = try #require(beats.first?.context)
        try solo.step(Message(type: .heartbeatResponse, from: 2, term: 1, context: context))
        #expect(solo.readStates.isEmpty)
        try solo.step(Message(type: .heartbeatResponse, from: 3, term: 1, context: context))
        #expect(solo.readStates == [ReadState(index: 1, context: 42)])
    }

    @Test func `alone too, a leader serves no read before its first commit in the term`() throws {
        // What it had answered for before a restart may be beyond the commit index it stored.
        let solo = SoloNode(of: 1, terms: [1, 1], hardState: HardState(term: 1, commit: 1))
        solo.isDiskStalled = true
        try solo.node.campaign()
        solo.drain()
        _ = solo.write()
        solo.drain()
        #expect(solo.node.role == .leader)
        solo.node.readIndex(context: 7)
        solo.drain()
        #expect(solo.readStates.isEmpty)
        _ = solo.write()
        solo.drain()
        #expect(solo.readStates == [ReadState(index: 3, context: 7)])
    }

    @Test func `a later confirmation confirms all earlier reads, each with its index`() throws {
        let solo = SoloNode()
        try solo.lead()
        try solo.acknowledge(2)
        solo.node.readIndex(context: 1)
        solo.drain()
        try solo.propose("x")
        solo.drain()
        try solo.acknowledge(2)
        solo.node.readIndex(context: 2)
        let context = try #require(solo.drain().of(.heartbeat).first?.context)
        try solo.step(Message(type: .heartbeatResponse, from: 3, term: 1, context: context))
        #expect(
            solo.readStates
                == [ReadState(index: 1, context: 1), ReadState(index: 2, context: 2)]
        )
    }

    @Test func `answers to earlier heartbeats confirm nothing`() throws {
        let solo = SoloNode()
        try solo.lead()
        try solo.acknowledge(2)
        solo.tick(1)
        #expect(solo.drain().of(.heartbeat).map(\.context) == [nil, nil])
        solo.node.readIndex(context: 1)
        solo.drain()
        try solo.step(Message(type: .heartbeatResponse, from: 2, term: 1))
        #expect(solo.readStates.isEmpty)
    }

    @Test func `a new leader postpones reads until it has committed in its term`() throws {
        let solo = SoloNode(terms: [1, 1], hardState: HardState(term: 1, vote: 0, commit: 2))
        try solo.lead()
        solo.node.readIndex(context: 7)
        #expect(solo.drain().of(.heartbeat).isEmpty)
        let sent = try solo.acknowledge(2)
        let context = try #require(sent.of(.heartbeat).first?.context)
        try solo.step(Message(type: .heartbeatResponse, from: 3, term: 2, context: context))
        #expect(solo.readStates == [ReadState(index: 3, context: 7)])
    }

    @Test func `a deposed leader that does not know it confirms no read`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster.isolate(1)
        cluster[2].forgetLeader()
        cluster[3].forgetLeader()
        cluster.elect(2)
        cluster[1].readIndex(context: 1)
        cluster.settle()
        #expect(cluster[1].role == .leader)
        #expect(cluster.readStates(1).isEmpty)
        cluster.heal()
        cluster.tick(1)
        cluster.settle()
        #expect(cluster[1].role == .follower)
        #expect(cluster.readStates(1).isEmpty)
    }

    @Test func `a follower asks the leader`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        try cluster.propose(1, "x")
        cluster.settle()
        cluster[3].readIndex(context: 5)
        cluster.settle()
        #expect(cluster.readStates(3) == [ReadState(index: 2, context: 5)])
        #expect(cluster.readStates(1).isEmpty)
    }

    @Test func `a single voter answers at once`() throws {
        let cluster = TestCluster(1)
        cluster.elect(1)
        cluster[1].readIndex(context: 5)
        cluster.settle()
        #expect(cluster.readStates(1) == [ReadState(index: 1, context: 5)])
    }

    @Test func `with a lease the leader answers at once`() throws {
        let solo = SoloNode(configure: {
            $0.checkQuorum = true
            $0.readOnlyOption = .leaseBased
        })
        try solo.lead()
        try solo.acknowledge(2)
        solo.node.readIndex(context: 3)
        #expect(solo.drain().of(.heartbeat).isEmpty)
        #expect(solo.readStates == [ReadState(index: 1, context: 3)])
    }

    @Test func `a joint configuration needs both majorities for a read`() throws {
        let storage = MemoryStorage(
            confState: ConfState(voters: [1, 2, 3], votersOutgoing: [1, 4, 5])
        )
        let solo = SoloNode(hardState: HardState(), storage: storage)
        try solo.lead(votes: [2, 4])
        for id: NodeID in [2, 4] { try solo.acknowledge(id) }
        solo.node.readIndex(context: 1)
        let context = try #require(solo.drain().of(.heartbeat).first?.context)
        for id: NodeID in [2, 3] {
            try solo.step(Message(type: .heartbeatResponse, from: id, term: 1, context: context))
        }
        #expect(solo.readStates.isEmpty)
        try solo.step(Message(type: .heartbeatResponse, from: 5, term: 1, context: context))
        #expect(solo.readStates.count == 1)
    }

    @Test func `a position that was never sent confirms nothing more`() throws {
        let solo = SoloNode()
        try solo.lead()
        try solo.acknowledge(2)
        for id: NodeID in [2, 3] {
            try solo.step(Message(type: .heartbeatResponse, from: id, term: 1, context: .max))
        }
        solo.node.readIndex(context: 1)
        solo.drain()
        #expect(solo.readStates.isEmpty)
    }
}
