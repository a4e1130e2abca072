import Model
import Raft
import Testing

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
