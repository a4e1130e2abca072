import Model
import Raft
import Testing

/// What a replica wants done, in the order in which an owner sees it.
@Suite struct ReadyTests {
    /// A replica whose owner writes and applies within `ready` and `advance`.
    private func node(
        _ storage: any LogStorage,
        configure: (inout RaftConfig) -> Void = { _ in }
    ) -> RaftNode {
        var config = RaftConfig(id: 1)
        config.makePlain()
        config.asyncStorageWrites = false
        configure(&config)
        return RaftNode(config: config, storage: storage, seed: 1)
    }

    /// Takes what is ready, carries it out and says what it was.
    private func work(_ node: inout RaftNode, _ storage: MemoryStorage) -> Ready {
        let ready = node.ready()
        if let hardState = ready.hardState { storage.hardState = hardState }
        storage.append(ready.entries)
        node.advance()
        return ready
    }

    @Test func `a first leader writes, commits and applies, each in its turn`() throws {
        let storage = MemoryStorage()
        storage.install(snapshot(1, 0, ConfState(voters: [1])))
        var node = node(storage)
        var isReady = node.hasReady
        #expect(!isReady)
        try node.campaign()
        let vote = work(&node, storage)
        #expect(vote.hardState == HardState(term: 1, vote: 1, commit: 1))
        #expect(vote.mustSync)
        try node.propose([Payload(Array("foo".utf8))])
        let append = work(&node, storage)
        #expect(append.softState == SoftState(leader: 1, role: .leader))
        #expect(append.entries == [Entry(term: 1, index: 2), entry(1, 3, "foo")])
        #expect(append.committedEntries.isEmpty)
        #expect(append.mustSync)
        let commit = work(&node, storage)
        #expect(commit.hardState == HardState(term: 1, vote: 1, commit: 3))
        #expect(commit.entries.isEmpty)
        #expect(commit.committedEntries == append.entries)
        #expect(!commit.mustSync, "a commit index alone needs no sync")
        isReady = node.hasReady
        #expect(!isReady)
    }

    @Test func `a restarted replica applies what was committed and writes nothing`() {
        let storage = MemoryStorage(confState: ConfState(voters: [1]))
        storage.append([Entry(term: 1, index: 1), entry(1, 2, "foo")])
        storage.hardState = HardState(term: 1, vote: 0, commit: 1)
        var node = node(storage)
        let text = work(&node, storage).description
        #expect(text == "Ready MustSync=false:\nCommittedEntries:\n1/1 EntryNormal \"\"\n")
        let isReady = node.hasReady
        #expect(!isReady)
    }

    @Test func `a replica that restarts from a snapshot applies only what follows it`() {
        let storage = MemoryStorage()
        storage.install(snapshot(2, 1, ConfState(voters: [1, 2])))
        storage.append([entry(1, 3, "foo")])
        storage.hardState = HardState(term: 1, vote: 0, commit: 3)
        var node = node(storage)
        let ready = work(&node, storage)
        #expect(ready.committedEntries == [entry(1, 3, "foo")])
        #expect(ready.hardState == nil)
        #expect(!ready.mustSync)
        let isReady = node.hasReady
        #expect(!isReady)
    }

    @Test func `what is ready is given once`() throws {
        let solo = SoloNode()
        try solo.step(Message(type: .heartbeat, from: 2, term: 1))
        solo.tick(19)
        let first = solo.node.ready()
        let writes = first.messages.of(.storageAppend)
        #expect(writes.flatMap(\.responses).of(.vote).count == 2)
        #expect(first.softState?.role == .candidate)
        let isReady = solo.node.hasReady
        #expect(!isReady)
        let second = solo.node.ready()
        #expect(second.description == "<empty Ready>")
    }

    @Test func `a status shows the members only of a leader`() throws {
        let solo = SoloNode()
        #expect(solo.node.status.progress.isEmpty)
        try solo.lead()
        let status = solo.node.status
        #expect(status.softState == SoftState(leader: 1, role: .leader))
        #expect(status.hardState == HardState(term: 1, vote: 1, commit: 0))
        #expect(status.confState == ConfState(voters: [1, 2, 3]))
        #expect(status.progress.map(\.id) == [1, 2, 3])
        #expect(status.progress[0].match == 1)
    }

    @Test func `committed entries are handed out within the budget of one round`() throws {
        let storage = MemoryStorage(confState: ConfState(voters: [1]))
        var node = node(storage) { $0.maxCommittedBytesPerReady = 2_048 }
        try node.campaign()
        for _ in 0..<3 { _ = work(&node, storage) }
        let blob = Payload(Array(repeating: 0, count: 1_000))
        for _ in 0..<3 { try node.propose([blob]) }
        #expect(work(&node, storage).entries.count == 3)
        #expect(work(&node, storage).committedEntries.count == 2)
        #expect(work(&node, storage).committedEntries.count == 1)
    }

    @Test func `with asynchronous writes the budget counts what is not applied yet`() throws {
        let solo = SoloNode(
            of: 1,
            configure: { $0.maxCommittedBytesPerReady = 2_048 }
        )
        try solo.lead(votes: [])
        #expect(solo.applied.count == 1)
        solo.isApplyingStalled = true
        let blob = Payload(Array(repeating: 0, count: 1_024))
        var handedOut: [LogIndex] = []
        var responses: [Message] = []
        func round() {
            while solo.node.hasReady {
                for message in solo.node.ready().messages {
                    if message.to == .localApplyThread {
                        handedOut += message.entries.map(\.index)
                        responses += message.responses
                    } else {
                        solo.storage.write(message)
                        for response in message.responses { try? solo.node.step(response) }
                    }
                }
            }
        }
        for _ in 0..<3 {
            try solo.node.propose([blob])
            round()
        }
        // Two make 2096 bytes with what every entry costs: the limit is overshot by one entry.
        #expect(handedOut == [2, 3])
        try solo.node.step(responses.removeFirst())
        round()
        #expect(handedOut == [2, 3, 4])
        for response in responses { try solo.node.step(response) }
        #expect(solo.node.applied == 4)
    }

    /// Storage that gives more than it was asked for.
    private final class GenerousStorage: LogStorage {
        let log = MemoryStorage(confState: ConfState(voters: [1]))

        var initialState: (HardState, ConfState) { log.initialState }
        var firstIndex: LogIndex { log.firstIndex }
        var lastIndex: LogIndex { log.lastIndex }

        func term(at index: LogIndex) throws(LogStorageError) -> Term { try log.term(at: index) }

        func entries(
            from: LogIndex,
            to: LogIndex,
            maxBytes: Int
        ) throws(LogStorageError) -> [Entry] {
            try log.entries(from: from, to: to, maxBytes: .max)
        }

        func snapshot() throws(LogStorageError) -> Snapshot { try log.snapshot() }
    }

    @Test func `entries are applied without a gap, even if storage gives more than asked for`()
        throws
    {
        let storage = GenerousStorage()
        storage.log.append((1...11).map { entry(1, LogIndex($0), "a") })
        storage.log.hardState = HardState(term: 1, vote: 1, commit: 10)
        let size = Entry.overheadBytes + 1
        var node = node(storage) { $0.maxCommittedBytesPerReady = size * 9 + 1 }
        var applied: LogIndex = 0
        while applied != 11 {
            let ready = node.ready()
            let first = try #require(ready.committedEntries.first)
            #expect(first.index == applied + 1)
            applied = try #require(ready.committedEntries.last).index
            node.advance()
            try node.step(Message(type: .heartbeat, to: 1, from: 2, term: 1, commit: 11))
        }
    }

    @Test func `modes of storage writes are not mixed`() async {
        await #expect(processExitsWith: .failure) {
            SoloNode().node.advance()
        }
        await #expect(processExitsWith: .failure) {
            let storage = MemoryStorage(confState: ConfState(voters: [1]))
            var node = ReadyTests().node(storage)
            try node.campaign()
            _ = node.ready()
            try node.campaign()
            _ = node.ready()
        }
    }

    @Test func `a replica does not start from a state that contradicts its log`() async {
        await #expect(processExitsWith: .failure) {
            _ = SoloNode(terms: [1], hardState: HardState(term: 1, vote: 0, commit: 2))
        }
        await #expect(processExitsWith: .failure) {
            var config = RaftConfig(id: 1)
            config.electionTicks = 0
            _ = RaftNode(config: config, storage: MemoryStorage(), seed: 1)
        }
        await #expect(processExitsWith: .failure) { try SoloNode().node.propose([]) }
    }
}
