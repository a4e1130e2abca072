import Model
import Raft
import Testing

/// Raft thesis 4 and 5: the members that a snapshot brings, and who is sent one.
@Suite struct SnapshotRestoreTests {
    /// A replica of the given group, after a leader 2 has sent it a snapshot with other members.
    private func restored(_ before: ConfState, _ after: ConfState) throws -> SoloNode {
        let solo = SoloNode(storage: MemoryStorage(confState: before))
        let sent = try solo.step(
            Message(type: .snapshot, from: 2, term: 12, snapshot: snapshot(11, 11, after))
        )
        #expect(sent.map(\.index) == [11])
        #expect(solo.node.confState() == after)
        #expect(solo.node.lastIndex == 11)
        #expect(try solo.storage.term(at: 11) == 11)
        return solo
    }

    @Test func `a snapshot tells who leads`() throws {
        let solo = try restored(ConfState(voters: [1, 2]), ConfState(voters: [1, 2]))
        #expect(solo.node.leader == 2)
        #expect(solo.node.term == 12)
    }

    @Test func `a snapshot brings learners and keeps a learner one`() throws {
        let solo = try restored(
            ConfState(voters: [2, 3], learners: [1]),
            ConfState(voters: [2, 3], learners: [1, 4])
        )
        #expect(solo.node.progress(of: 1)?.isLearner == true)
        #expect(solo.node.progress(of: 2)?.isLearner == false)
        #expect(solo.node.progress(of: 4)?.isLearner == true)
        solo.tick(40)
        #expect(solo.node.role == .follower)
    }

    // Thesis 4.3: an outgoing voter still belongs to the group.
    @Test func `an outgoing voter takes a snapshot of a joint configuration`() throws {
        let state = ConfState(voters: [2, 3, 4], votersOutgoing: [1, 2, 3])
        let solo = try restored(ConfState(voters: [1, 2]), state)
        for id: NodeID in [1, 2, 3, 4] { #expect(solo.node.progress(of: id) != nil) }
        solo.tick(40)
        #expect(solo.node.role == .candidate, "it votes in the outgoing half")
    }

    @Test func `a snapshot that is not installed forbids elections by timeout too`() throws {
        let solo = SoloNode(storage: MemoryStorage(confState: ConfState(voters: [1, 2])))
        solo.isDiskStalled = true
        let state = ConfState(voters: [2, 3, 4], votersOutgoing: [1, 2, 3])
        try solo.step(
            Message(type: .snapshot, from: 2, term: 12, snapshot: snapshot(11, 11, state))
        )
        solo.tick(40)
        #expect(solo.node.role == .follower)
    }

    @Test func `a voter becomes a learner by a snapshot, or a learner a voter`() throws {
        let demoted = try restored(
            ConfState(voters: [1, 2, 3]),
            ConfState(voters: [2, 3], learners: [1])
        )
        demoted.tick(40)
        #expect(demoted.node.role == .follower)
        let promoted = try restored(
            ConfState(voters: [2, 3], learners: [1]),
            ConfState(voters: [1, 2, 3])
        )
        promoted.tick(40)
        #expect(promoted.node.role == .candidate)
    }

    @Test func `a learner that lags is sent a snapshot`() throws {
        let cluster = TestCluster(2, learners: [2])
        cluster.storage(1).install(snapshot(11, 11, ConfState(voters: [1], learners: [2])))
        cluster.storage(1).hardState = HardState(term: 11, vote: 0, commit: 11)
        cluster.restart(1)
        cluster.elect(1)
        cluster.tick(1)
        cluster.settle()
        #expect(cluster[2].commit == cluster[1].commit)
        #expect(cluster.storage(2).firstIndex == 12)
    }

    // Who does not answer would not take a snapshot either.
    @Test func `a member that is silent is sent no snapshot before it answers`() throws {
        let solo = SoloNode(
            terms: Array(repeating: 1, count: 20),
            configure: { $0.checkQuorum = true }
        )
        try solo.lead()
        try solo.acknowledge(3)
        // Member 2 lacks what follows entry 5, and then falls silent.
        try solo.step(
            Message(
                type: .appendResponse,
                from: 2,
                term: solo.node.term,
                index: 20,
                reject: true,
                rejectHint: 5
            )
        )
        for _ in 0..<20 {
            solo.tick(1)
            solo.drain()
            try solo.step(Message(type: .heartbeatResponse, from: 3, term: solo.node.term))
        }
        #expect(solo.node.role == .leader)
        #expect(solo.node.progress(of: 2)?.isRecentlyActive == false)
        solo.storage.create(snapshot(15, 1, ConfState(voters: [1, 2, 3])))
        solo.storage.compact(to: 15)
        solo.node.reportUnreachable(2)
        try solo.propose("some data")
        #expect(!solo.drain().contains { $0.to == 2 })
        let answer = Message(type: .heartbeatResponse, from: 2, term: solo.node.term)
        #expect(try solo.step(answer).map(\.type) == [.snapshot])
    }

    // A snapshot is one way to catch up; any other is as good.
    @Test func `a member under a snapshot that acknowledges its end is sent the rest`() throws {
        let storage = MemoryStorage(confState: ConfState(voters: [1, 2]))
        storage.install(snapshot(11, 11, ConfState(voters: [1, 2])))
        let solo = SoloNode(
            hardState: HardState(term: 11, vote: 0, commit: 11),
            storage: storage
        )
        try solo.lead(votes: [2])
        try solo.step(
            Message(
                type: .appendResponse,
                from: 2,
                term: 12,
                index: 11,
                reject: true,
                rejectHint: 0
            )
        )
        #expect(solo.node.progress(of: 2)?.pendingSnapshot == 11)
        try solo.propose("some data")
        #expect(solo.drain().isEmpty)
        let sent = try solo.acknowledge(2, 11)
        #expect(sent.flatMap(\.entries).map(\.index) == [12, 13])
        #expect(solo.node.progress(of: 2)?.pendingSnapshot == 0)
        #expect(solo.node.progress(of: 2)?.next == 14)
        #expect(solo.node.progress(of: 2)?.inflightCount == 1)
    }
}
