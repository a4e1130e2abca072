import Model
import Raft

/// One replica among members that exist only in the test's imagination.
final class SoloNode {
    var node: RaftNode
    let storage: MemoryStorage
    private(set) var applied: [Entry] = []
    private(set) var readStates: [ReadState] = []
    /// The members after each change that was applied.
    private(set) var confStates: [ConfState] = []
    /// Writes that the disk has not done; only used while `isDiskStalled`.
    private(set) var writes: [Message] = []
    var isDiskStalled = false
    private var applies: [Message] = []
    /// The same for all rounds, as an owner does it.
    private var ready = Ready()
    var isApplyingStalled = false

    /// Starts member 1 of a group of `count`, with a log of the given terms from index 1.
    init(
        of count: UInt64 = 3,
        learners: [NodeID] = [],
        terms: [Term] = [],
        hardState: HardState? = nil,
        storage: MemoryStorage? = nil,
        seed: UInt64 = 1,
        log: LogHook? = nil,
        configure: (inout RaftConfig) -> Void = { _ in }
    ) {
        let voters = (1...count).map { NodeID($0) }.filter { !learners.contains($0) }
        let storage =
            storage ?? MemoryStorage(confState: ConfState(voters: voters, learners: learners))
        var index: LogIndex = 0
        for term in terms {
            index += 1
            storage.append([Entry(term: term, index: index)])
        }
        storage.hardState = hardState ?? HardState(term: terms.last ?? 0)
        var config = RaftConfig(id: 1)
        config.preVote = false
        config.checkQuorum = false
        configure(&config)
        self.storage = storage
        self.node = RaftNode(config: config, storage: storage, seed: seed, log: log)
    }

    /// Carries out what is ready and returns what was sent to the other members.
    @discardableResult
    func drain() -> [Message] {
        var sent: [Message] = []
        while node.hasReady {
            node.ready(into: &ready)
            readStates += ready.readStates
            for message in ready.messages {
                switch message.to {
                case .localAppendThread: writes.append(message)
                case .localApplyThread: applies.append(message)
                default: sent.append(message)
                }
            }
            if !isDiskStalled { sent += write() }
            if !isApplyingStalled { apply() }
        }
        return sent
    }

    /// Applies all that waits for it, changes of members included.
    func apply() {
        let todo = applies
        applies = []
        for message in todo {
            applied += message.entries
            for entry in message.entries where entry.type != .normal {
                guard let change = try? ConfChange(bytes: entry.payload.copyBytes()) else {
                    continue
                }
                confStates.append(node.applyConfChange(change))
            }
            for response in message.responses { try? node.step(response) }
        }
    }

    /// Does all writes that wait and returns what they allowed to be sent.
    func write() -> [Message] {
        var sent: [Message] = []
        let todo = writes
        writes = []
        for write in todo {
            storage.write(write)
            for response in write.responses {
                if response.to == node.id {
                    try? node.step(response)
                } else {
                    sent.append(response)
                }
            }
        }
        return sent
    }

    /// Steps a message of a member and returns what was sent in answer.
    @discardableResult
    func step(_ message: Message) throws -> [Message] {
        var message = message
        message.to = node.id
        try node.step(message)
        return drain()
    }

    /// Makes the replica the leader by the others' votes, and drops what it sends.
    func lead(votes: [NodeID] = [2, 3]) throws {
        try node.campaign()
        drain()
        if node.role == .preCandidate {
            for voter in votes {
                try step(Message(type: .preVoteResponse, from: voter, term: node.term + 1))
            }
        }
        for voter in votes where node.role == .candidate {
            try step(Message(type: .voteResponse, from: voter, term: node.term))
        }
    }

    /// Lets a member acknowledge everything up to an index.
    @discardableResult
    func acknowledge(_ id: NodeID, _ index: LogIndex? = nil) throws -> [Message] {
        try step(
            Message(
                type: .appendResponse,
                from: id,
                term: node.term,
                index: index ?? node.lastIndex
            )
        )
    }

    func propose(_ text: String) throws { try node.propose([Payload(Array(text.utf8))]) }

    func tick(_ count: Int) {
        for _ in 0..<count { node.tick() }
    }
}

extension [Message] {
    func of(_ type: MessageType) -> [Message] { filter { $0.type == type } }
}
