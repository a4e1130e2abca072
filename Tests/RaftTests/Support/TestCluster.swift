import Model
import Raft

/// Replicas, their storages and a network between them, all under the test's control.
///
/// Storage writes are asynchronous: they wait in `writes` until the test lets them happen.
final class TestCluster {
    private final class Replica {
        var node: RaftNode
        let storage: MemoryStorage
        var writes: [Message] = []
        var applies: [Message] = []
        var applied: [Entry] = []
        var readStates: [ReadState] = []

        init(node: consuming RaftNode, storage: MemoryStorage) {
            self.node = node
            self.storage = storage
        }
    }

    private var replicas: [Replica] = []
    /// Messages between replicas, in the order in which they were sent.
    var network: [Message] = []
    /// Decides which messages get lost.
    var loses: (Message) -> Bool = { _ in false }
    /// Whose writes do not happen for now.
    var stalledDisks: Set<NodeID> = []
    /// Who does not apply what is committed for now.
    var stalledApplies: Set<NodeID> = []
    /// How replicas are configured when they are started; it may look at the id.
    var configure: (inout RaftConfig) -> Void
    /// The same for all replicas and rounds, as an owner does it.
    private var ready = Ready()
    /// Receives the steps of all replicas, in their order.
    private let trace: TraceHook?

    init(
        _ count: Int,
        learners: [NodeID] = [],
        seed: UInt64 = 1,
        configure: @escaping (inout RaftConfig) -> Void = { _ in },
        trace: TraceHook? = nil
    ) {
        self.configure = configure
        self.trace = trace
        let ids = (1...UInt64(count)).map { NodeID($0) }
        let state = ConfState(
            voters: ids.filter { !learners.contains($0) },
            learners: learners
        )
        for id in ids { add(id, MemoryStorage(confState: state), seed: seed) }
    }

    private func add(_ id: NodeID, _ storage: MemoryStorage, seed: UInt64) {
        replicas.append(
            Replica(node: start(id, storage, seed: seed, applied: 0), storage: storage)
        )
    }

    private func start(
        _ id: NodeID,
        _ storage: any LogStorage,
        seed: UInt64,
        applied: LogIndex
    ) -> RaftNode {
        var config = RaftConfig(id: id)
        config.applied = applied
        configure(&config)
        return RaftNode(
            config: config,
            storage: storage,
            seed: seed &+ id.rawValue,
            trace: trace
        )
    }

    private func place(_ id: NodeID) -> Int { Int(id.rawValue) - 1 }

    subscript(_ id: NodeID) -> RaftNode {
        _read { yield replicas[place(id)].node }
        _modify { yield &replicas[place(id)].node }
    }

    func storage(_ id: NodeID) -> MemoryStorage { replicas[place(id)].storage }

    func applied(_ id: NodeID) -> [Entry] { replicas[place(id)].applied }

    func readStates(_ id: NodeID) -> [ReadState] { replicas[place(id)].readStates }

    /// Gives a replica a log of the given terms, as if it had been written in another life.
    func preload(_ id: NodeID, _ terms: [Term], term: Term, vote: NodeID = .none) {
        let storage = storage(id)
        storage.append(entries(terms))
        storage.hardState = HardState(term: term, vote: vote)
        restart(id)
    }

    /// Crashes a replica: what was not written is gone, what it applied is applied again.
    func restart(_ id: NodeID, seed: UInt64 = 77) {
        let storage = storage(id)
        replicas[place(id)].node = start(id, storage, seed: seed, applied: 0)
        replicas[place(id)].writes = []
        replicas[place(id)].applies = []
        replicas[place(id)].applied = []
        network.removeAll { $0.from == id || $0.to == id }
    }
}

// MARK: Running

extension TestCluster {
    /// Lets everything happen until nothing is left to do.
    func settle() {
        var rounds = 0
        while true {
            rounds += 1
            precondition(rounds < 10_000, "the cluster does not come to rest")
            var isIdle = true
            for place in replicas.indices {
                let id = replicas[place].node.id
                if collect(id) { isIdle = false }
                if !stalledDisks.contains(id), write(id) { isIdle = false }
                if !stalledApplies.contains(id), apply(id) { isIdle = false }
            }
            if deliver() { isIdle = false }
            if isIdle { return }
        }
    }

    /// Takes what a replica has ready; its writes wait.
    @discardableResult
    func collect(_ id: NodeID) -> Bool {
        let place = place(id)
        guard replicas[place].node.hasReady else { return false }
        replicas[place].node.ready(into: &ready)
        replicas[place].readStates += ready.readStates
        for message in ready.messages {
            switch message.to {
            case .localAppendThread: replicas[place].writes.append(message)
            case .localApplyThread: replicas[place].applies.append(message)
            default: network.append(message)
            }
        }
        return true
    }

    /// Applies the oldest entries that were handed out for it, changes of members included.
    @discardableResult
    func apply(_ id: NodeID) -> Bool {
        let place = place(id)
        guard !replicas[place].applies.isEmpty else { return false }
        let message = replicas[place].applies.removeFirst()
        for entry in message.entries {
            replicas[place].applied.append(entry)
            guard entry.type != .normal,
                let change = try? ConfChange(bytes: entry.payload.copyBytes())
            else { continue }
            _ = replicas[place].node.applyConfChange(change)
        }
        for response in message.responses { try? replicas[place].node.step(response) }
        return true
    }

    /// Whether a replica has nothing left to write or to apply.
    func isIdle(_ id: NodeID) -> Bool {
        replicas[place(id)].writes.isEmpty && replicas[place(id)].applies.isEmpty
    }

    /// Carries out the oldest write of a replica and delivers what waited for it.
    @discardableResult
    func write(_ id: NodeID) -> Bool {
        let place = place(id)
        guard !replicas[place].writes.isEmpty else { return false }
        let write = replicas[place].writes.removeFirst()
        replicas[place].storage.write(write)
        for response in write.responses {
            if response.to == id {
                try? replicas[place].node.step(response)
            } else {
                network.append(response)
            }
        }
        return true
    }

    /// Delivers what is on the network now.
    @discardableResult
    func deliver() -> Bool {
        if network.isEmpty { return false }
        let messages = network
        network = []
        for message in messages where !loses(message) {
            guard replicas.indices.contains(place(message.to)) else { continue }
            try? replicas[place(message.to)].node.step(message)
        }
        return true
    }

    /// Lets so much time pass for one replica.
    func tick(_ id: NodeID, _ count: Int = 1) {
        for _ in 0..<count { replicas[place(id)].node.tick() }
    }

    /// Cuts replicas off from all others.
    func isolate(_ ids: NodeID...) {
        loses = { ids.contains($0.from) != ids.contains($0.to) }
    }

    /// Cuts the connections between pairs of replicas.
    func cut(_ pairs: (NodeID, NodeID)...) {
        loses = { message in
            pairs.contains {
                (message.from == $0.0 && message.to == $0.1)
                    || (message.from == $0.1 && message.to == $0.0)
            }
        }
    }

    func heal() { loses = { _ in false } }

    /// Lets a replica stand for election, with whatever outcome.
    func campaign(_ id: NodeID) {
        try? replicas[place(id)].node.campaign()
        settle()
    }

    /// Makes a replica the leader.
    func elect(_ id: NodeID) {
        campaign(id)
        precondition(self[id].role == .leader, "\(id) was not elected")
    }

    /// Delivers a message that no replica has sent just now.
    func step(_ message: Message) {
        try? replicas[place(message.to)].node.step(message)
        settle()
    }

    func propose(_ id: NodeID, _ text: String) throws {
        try replicas[place(id)].node.propose([Payload(Array(text.utf8))])
    }

    /// The roles of all replicas, in the order of their ids.
    var roles: [RaftRole] { replicas.map { $0.node.role } }

    /// The terms of all replicas, in the order of their ids.
    var terms: [Term] { replicas.map { $0.node.term } }

    /// The texts of the proposals that a replica has applied.
    func texts(_ id: NodeID) -> [String] {
        applied(id).filter { $0.type == .normal && $0.payload.count > 0 }
            .map { String(decoding: $0.payload.copyBytes(), as: UTF8.self) }
    }
}
