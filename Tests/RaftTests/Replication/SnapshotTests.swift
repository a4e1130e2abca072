import Model
import Raft
import Testing

@Suite struct SnapshotTests {
    private let members = ConfState(voters: [1, 2, 3])

    private func snapshot(_ index: LogIndex, _ term: Term, _ members: ConfState? = nil) -> Snapshot
    {
        Snapshot(
            metadata: SnapshotMetadata(
                index: index,
                term: term,
                confState: members ?? self.members
            ),
            data: Payload([1, 2, 3])
        )
    }

    /// A leader whose log begins after a snapshot, with a member 2 that lacks what is in it.
    private func leaderAfterSnapshot() throws -> SoloNode {
        let storage = MemoryStorage(confState: members)
        storage.install(snapshot(10, 1))
        let solo = SoloNode(
            hardState: HardState(term: 1, vote: 0, commit: 10),
            storage: storage
        )
        try solo.lead()
        return solo
    }

    private func reject(_ solo: SoloNode) throws -> [Message] {
        try solo.step(
            Message(
                type: .appendResponse,
                from: 2,
                term: solo.node.term,
                index: 10,
                reject: true,
                rejectHint: 0
            )
        )
    }

    @Test func `a member that lacks compacted entries is sent a snapshot and then nothing`() throws
    {
        let solo = try leaderAfterSnapshot()
        let sent = try reject(solo)
        #expect(sent.of(.snapshot).map(\.to) == [2])
        #expect(sent.of(.snapshot).first?.snapshot == snapshot(10, 1))
        #expect(solo.node.progress(of: 2)?.state == .snapshot)
        #expect(solo.node.progress(of: 2)?.pendingSnapshot == 10)
        try solo.propose("x")
        #expect(!solo.drain().contains { $0.to == 2 })
    }

    @Test func `a snapshot that arrived resumes replication after it`() throws {
        let solo = try leaderAfterSnapshot()
        _ = try reject(solo)
        try solo.acknowledge(2, 10)
        #expect(solo.node.progress(of: 2)?.state == .replicate)
        #expect(solo.node.progress(of: 2)?.match == 10)
    }

    @Test func `a snapshot that failed is tried again at the next answer`() throws {
        let solo = try leaderAfterSnapshot()
        _ = try reject(solo)
        solo.node.reportSnapshot(2, failed: true)
        #expect(solo.node.progress(of: 2)?.state == .probe)
        #expect(solo.node.progress(of: 2)?.next == 1)
        #expect(solo.node.progress(of: 2)?.isPaused == true)
        let sent = try solo.step(
            Message(type: .heartbeatResponse, from: 2, term: solo.node.term)
        )
        #expect(sent.of(.snapshot).count == 1)
    }

    @Test func `a snapshot that succeeded is followed by a probe after it`() throws {
        let solo = try leaderAfterSnapshot()
        _ = try reject(solo)
        solo.node.reportSnapshot(2, failed: false)
        #expect(solo.node.progress(of: 2)?.state == .probe)
        #expect(solo.node.progress(of: 2)?.next == 11)
    }

    @Test func `a follower replaces log and members by a snapshot`() throws {
        let solo = SoloNode(terms: [1, 1])
        let sent = try solo.step(
            Message(
                type: .snapshot,
                from: 2,
                term: 3,
                snapshot: snapshot(20, 2, ConfState(voters: [1, 2, 3, 4]))
            )
        )
        #expect(sent.map(\.index) == [20])
        #expect(solo.node.commit == 20)
        #expect(solo.node.applied == 20)
        #expect(solo.node.lastIndex == 20)
        #expect(solo.storage.entries.isEmpty)
        #expect(solo.node.confState().voters == [1, 2, 3, 4])
    }

    @Test func `a snapshot is acknowledged only when it is durable`() throws {
        let solo = SoloNode()
        solo.isDiskStalled = true
        let early = try solo.step(
            Message(type: .snapshot, from: 2, term: 1, snapshot: snapshot(5, 1))
        )
        #expect(early.isEmpty)
        try solo.node.campaign()
        #expect(solo.node.role == .follower, "a snapshot that is not installed forbids campaigns")
        #expect(solo.write().map(\.index) == [5])
        #expect(solo.node.applied == 5)
    }

    @Test func `entries after a snapshot wait until it is installed`() throws {
        let solo = SoloNode()
        solo.isDiskStalled = true
        try solo.step(Message(type: .snapshot, from: 2, term: 1, snapshot: snapshot(5, 1)))
        try solo.step(
            Message(
                type: .append,
                from: 2,
                term: 1,
                logTerm: 1,
                index: 5,
                entries: [Entry(term: 1, index: 6)],
                commit: 6
            )
        )
        #expect(solo.node.commit == 6)
        #expect(solo.applied.isEmpty)
        _ = solo.write()
        solo.drain()
        #expect(solo.applied.map(\.index) == [6])
    }

    @Test func `an old snapshot is ignored`() throws {
        let solo = SoloNode(terms: [1, 1, 1], hardState: HardState(term: 1, vote: 0, commit: 3))
        solo.drain()
        let sent = try solo.step(
            Message(type: .snapshot, from: 2, term: 1, snapshot: snapshot(2, 1))
        )
        #expect(sent.map(\.index) == [3])
        #expect(solo.storage.entries.count == 3)
    }

    @Test func `a snapshot of entries that are there only moves the commit index`() throws {
        let solo = SoloNode(terms: [1, 1, 1])
        try solo.step(Message(type: .snapshot, from: 2, term: 1, snapshot: snapshot(3, 1)))
        #expect(solo.node.commit == 3)
        #expect(solo.storage.entries.count == 3)
        #expect(solo.applied.count == 3)
    }

    @Test func `a snapshot of a group without this replica is ignored`() throws {
        let solo = SoloNode()
        try solo.step(
            Message(
                type: .snapshot,
                from: 2,
                term: 1,
                snapshot: snapshot(9, 1, ConfState(voters: [2, 3]))
            )
        )
        #expect(solo.node.lastIndex == 0)
    }

    @Test func `a snapshot with impossible members is refused before anything changes`() throws {
        let solo = SoloNode()
        let impossible = ConfState(voters: [1, 2], learners: [2])
        #expect(throws: RaftError.self) {
            try solo.step(
                Message(
                    type: .snapshot,
                    from: 2,
                    term: 1,
                    snapshot: snapshot(9, 1, impossible)
                )
            )
        }
        #expect(solo.node.lastIndex == 0)
        #expect(solo.node.confState().voters == [1, 2, 3])
    }

    @Test func `a far lagging follower catches up by snapshot and log`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster.isolate(3)
        for number in 0..<30 { try cluster.propose(1, "\(number)") }
        cluster.settle()
        cluster.storage(1).create(snapshot(20, 1))
        cluster.storage(1).compact(to: 20)
        cluster.heal()
        for _ in 0..<3 {
            cluster.tick(1)
            cluster.settle()
        }
        #expect(cluster[3].applied == 31)
        #expect(cluster.storage(3).firstIndex == 21)
        #expect(cluster.texts(3) == (19..<30).map(String.init))
    }
}
