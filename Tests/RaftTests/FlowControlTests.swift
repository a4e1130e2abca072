import Model
import Raft
import Testing

@Suite struct FlowControlTests {
    /// A leader of three whose followers have acknowledged its first entry.
    private func leader(configure: @escaping (inout RaftConfig) -> Void) throws -> SoloNode {
        let solo = SoloNode(configure: configure)
        try solo.lead()
        try solo.acknowledge(2)
        try solo.acknowledge(3)
        return solo
    }

    private func appends(_ messages: [Message], to id: NodeID) -> [Message] {
        messages.of(.append).filter { $0.to == id }
    }

    @Test func `an unknown log is probed with one append at a time`() throws {
        let solo = SoloNode()
        try solo.lead()
        #expect(solo.node.progress(of: 2)?.state == .probe)
        for text in ["a", "b", "c"] { try solo.propose(text) }
        #expect(appends(solo.drain(), to: 2).isEmpty)
        solo.tick(1)
        solo.drain()
        let sent = try solo.step(Message(type: .heartbeatResponse, from: 2, term: 1))
        #expect(appends(sent, to: 2).count == 1)
        #expect(try solo.step(Message(type: .heartbeatResponse, from: 3, term: 1)).count == 1)
    }

    @Test func `a known log is sent everything at once, up to the window`() throws {
        let solo = try leader { $0.maxInflightMessages = 4 }
        for number in 0..<10 { try solo.propose("\(number)") }
        #expect(appends(solo.drain(), to: 2).filter { !$0.entries.isEmpty }.count == 4)
        #expect(solo.node.progress(of: 2)?.isPaused == true)
        #expect(solo.node.progress(of: 2)?.inflightCount == 4)
    }

    @Test func `an acknowledgement opens the window`() throws {
        let solo = try leader { $0.maxInflightMessages = 4 }
        for number in 0..<4 { try solo.propose("\(number)") }
        solo.drain()
        try solo.propose("4")
        #expect(appends(solo.drain(), to: 2).isEmpty)
        let sent = appends(try solo.acknowledge(2, 3), to: 2)
        #expect(sent.flatMap(\.entries).map(\.index) == [6])
        #expect(solo.node.progress(of: 2)?.inflightCount == 3)
    }

    @Test func `a full window does not stop the search for lost appends`() throws {
        let solo = try leader { $0.maxInflightMessages = 2 }
        for number in 0..<5 { try solo.propose("\(number)") }
        solo.drain()
        for _ in 0..<3 {
            let sent = try solo.step(Message(type: .heartbeatResponse, from: 2, term: 1))
            #expect(appends(sent, to: 2).map(\.entries.count) == [0])
        }
    }

    @Test func `a window in bytes is overshot by one message at most`() throws {
        let solo = try leader {
            $0.maxBytesPerMessage = 100
            $0.maxInflightBytes = 150
        }
        for _ in 0..<5 { try solo.node.propose([Payload(Array(repeating: 0, count: 90))]) }
        let sent = appends(solo.drain(), to: 2).filter { !$0.entries.isEmpty }
        #expect(sent.count == 2)
    }

    @Test func `an append carries no more than its limit, but always one entry`() throws {
        let solo = SoloNode(configure: { $0.maxBytesPerMessage = 1_000 })
        try solo.lead()
        for _ in 0..<10 { try solo.node.propose([Payload(Array(repeating: 0, count: 400))]) }
        try solo.node.propose([Payload(Array(repeating: 0, count: 5_000))])
        solo.drain()
        let sent = appends(try solo.acknowledge(2, 1), to: 2)
        #expect(sent.map(\.entries.count) == [2, 2, 2, 2, 2, 1])
    }

    @Test func `an unreachable member is probed again`() throws {
        let solo = try leader { _ in }
        for number in 0..<5 { try solo.propose("\(number)") }
        solo.drain()
        solo.node.reportUnreachable(2)
        #expect(solo.node.progress(of: 2)?.state == .probe)
        #expect(solo.node.progress(of: 2)?.next == 2)
    }

    @Test func `lost appends are sent again after a rejection`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster.loses = { $0.type == .append && $0.to == 2 }
        for number in 0..<5 { try cluster.propose(1, "\(number)") }
        cluster.settle()
        cluster.heal()
        try cluster.propose(1, "5")
        cluster.settle()
        cluster.tick(1)
        cluster.settle()
        #expect(cluster.texts(2) == ["0", "1", "2", "3", "4", "5"])
    }

    @Test func `answers out of order and repeated ones do no harm`() throws {
        let solo = try leader { _ in }
        for number in 0..<5 { try solo.propose("\(number)") }
        solo.drain()
        try solo.acknowledge(2, 6)
        let before = solo.node.progress(of: 2)?.match
        try solo.acknowledge(2, 3)
        try solo.acknowledge(2, 6)
        try solo.step(
            Message(
                type: .appendResponse,
                from: 2,
                term: 1,
                index: 2,
                reject: true,
                rejectHint: 0
            )
        )
        #expect(solo.node.progress(of: 2)?.match == before)
        #expect(solo.node.progress(of: 2)?.state == .replicate)
        #expect(solo.node.commit == 6)
    }
}

/// Entries that are on disk and not in memory.
@Suite struct ColdEntriesTests {
    /// A log whose entries up to an index have to be fetched first.
    private final class ColdStorage: LogStorage {
        let log: MemoryStorage
        var coldUpTo: LogIndex
        private(set) var misses = 0

        init(_ log: MemoryStorage, coldUpTo: LogIndex) {
            self.log = log
            self.coldUpTo = coldUpTo
        }

        var initialState: (HardState, ConfState) { log.initialState }
        var firstIndex: LogIndex { log.firstIndex }
        var lastIndex: LogIndex { log.lastIndex }

        func term(at index: LogIndex) throws(LogStorageError) -> Term { try log.term(at: index) }

        func snapshot() throws(LogStorageError) -> Snapshot { try log.snapshot() }

        func entries(
            from: LogIndex,
            to: LogIndex,
            maxBytes: Int
        ) throws(LogStorageError) -> [Entry] {
            if from <= coldUpTo {
                misses += 1
                throw .temporarilyUnavailable
            }
            return try log.entries(from: from, to: to, maxBytes: maxBytes)
        }
    }

    private func storage(_ commit: LogIndex) -> MemoryStorage {
        let log = MemoryStorage(confState: ConfState(voters: [1, 2]))
        log.append((1...10).map { Entry(term: 1, index: LogIndex($0), payload: Payload([1])) })
        log.hardState = HardState(term: 1, vote: 0, commit: commit)
        return log
    }

    private func run(_ node: inout RaftNode, _ log: MemoryStorage) -> [Message] {
        var sent: [Message] = []
        while node.hasReady {
            for message in node.ready().messages {
                if message.to == .localAppendThread { log.write(message) }
                if !message.to.isLocalThread { sent.append(message) }
                for response in message.responses where response.to == 1 {
                    try? node.step(response)
                }
            }
        }
        return sent
    }

    @Test func `a peer waits while its entries are read, and nothing else does`() throws {
        let log = storage(10)
        let cold = ColdStorage(log, coldUpTo: 0)
        var config = RaftConfig(id: 1)
        config.preVote = false
        config.applied = 10
        var node = RaftNode(config: config, storage: cold, seed: 1)
        try node.campaign()
        _ = run(&node, log)
        try node.step(Message(type: .voteResponse, to: 1, from: 2, term: 2))
        _ = run(&node, log)
        #expect(node.role == .leader)
        cold.coldUpTo = 10
        // The follower's log ends at 3: entries 4 to 11 are wanted.
        try node.step(
            Message(
                type: .appendResponse,
                to: 1,
                from: 2,
                term: 2,
                logTerm: 1,
                index: 10,
                reject: true,
                rejectHint: 3
            )
        )
        #expect(run(&node, log).of(.append).isEmpty)
        #expect(node.progress(of: 2)?.isWaitingForEntries == true)
        try node.propose([Payload([9])])
        node.tick()
        #expect(run(&node, log).map(\.type) == [.heartbeat])
        #expect(cold.misses == 1)
        cold.coldUpTo = 0
        node.entriesFetched()
        let sent = run(&node, log).of(.append)
        #expect(sent.flatMap(\.entries).map(\.index) == (4...12).map { LogIndex($0) })
        #expect(node.progress(of: 2)?.isWaitingForEntries == false)
    }

    @Test func `a heartbeat's answer makes a waiting peer ask for its entries again`() throws {
        let log = storage(10)
        let cold = ColdStorage(log, coldUpTo: 10)
        var config = RaftConfig(id: 1)
        config.preVote = false
        config.applied = 10
        var node = RaftNode(config: config, storage: cold, seed: 1)
        try node.campaign()
        _ = run(&node, log)
        try node.step(Message(type: .voteResponse, to: 1, from: 2, term: 2))
        _ = run(&node, log)
        try node.step(
            Message(
                type: .appendResponse,
                to: 1,
                from: 2,
                term: 2,
                logTerm: 1,
                index: 10,
                reject: true,
                rejectHint: 3
            )
        )
        #expect(cold.misses == 1)
        try node.step(Message(type: .heartbeatResponse, to: 1, from: 2, term: 2))
        #expect(cold.misses == 2)
    }

    @Test func `applying waits for its entries without making the node busy`() throws {
        let log = storage(10)
        let cold = ColdStorage(log, coldUpTo: 10)
        var node = RaftNode(config: RaftConfig(id: 1), storage: cold, seed: 1)
        #expect(node.ready().committedEntries.isEmpty)
        var hasReady = node.hasReady
        #expect(!hasReady)
        cold.coldUpTo = 0
        node.entriesFetched()
        hasReady = node.hasReady
        #expect(hasReady)
        #expect(node.ready().committedEntries.count == 10)
    }

    @Test func `nobody campaigns while unapplied entries cannot be looked at`() throws {
        let log = storage(10)
        let cold = ColdStorage(log, coldUpTo: 10)
        var node = RaftNode(config: RaftConfig(id: 1), storage: cold, seed: 1)
        try node.campaign()
        #expect(node.role == .follower)
        cold.coldUpTo = 0
        try node.campaign()
        #expect(node.role == .preCandidate)
    }
}
