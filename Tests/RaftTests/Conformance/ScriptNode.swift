import Model
import Raft

/// One replica of an interaction script.
final class ScriptNode {
    let config: RaftConfig
    let storage: ScriptStorage
    var appendWork: [Message] = []
    var applyWork: [Message] = []
    var node: RaftNode
    private let seed: UInt64
    private let output: ScriptOutput
    private let trace: ScriptTrace

    init(
        config: RaftConfig,
        snapshot: Snapshot,
        seed: UInt64,
        output: ScriptOutput,
        trace: ScriptTrace
    ) throws {
        self.config = config
        self.storage = try ScriptStorage(snapshot)
        self.seed = seed
        self.output = output
        self.trace = trace
        trace.recovered(config.id, storage)
        self.node = RaftNode(
            config: config,
            storage: storage,
            seed: seed,
            log: { output.log($0, $1) },
            trace: { trace.read($0()) }
        )
    }

    /// Starts anew from what was written; the state machine keeps what it has applied.
    func restart() {
        appendWork = []
        applyWork = []
        var config = config
        config.applied = storage.history.last?.metadata.index ?? 0
        let (output, trace) = (output, trace)
        trace.recovered(config.id, storage)
        node = RaftNode(
            config: config,
            storage: storage,
            seed: seed &+ 1,
            log: { output.log($0, $1) },
            trace: { trace.read($0()) }
        )
    }

    /// Carries out a write.
    func write(_ state: HardState?, _ entries: EntryList, _ snapshot: Snapshot?) throws {
        try storage.append(state, entries, snapshot)
        trace.stored(id, state, entries, snapshot)
    }

    var id: NodeID { config.id }

    func apply(_ entries: EntryList) throws {
        for entry in entries {
            guard var snapshot = storage.history.last else { return }
            var update = entry.payload.copyBytes()
            if entry.type != .normal {
                let change = try ConfChange(bytes: update)
                update = change.context
                snapshot.metadata.confState = node.applyConfChange(change)
            }
            snapshot.data = Payload(snapshot.data.copyBytes() + update)
            snapshot.metadata.index = entry.index
            snapshot.metadata.term = entry.term
            storage.history.append(snapshot)
        }
    }
}

/// A log in memory whose snapshot is the state after the last applied entry.
final class ScriptStorage: LogStorage {
    let log = MemoryStorage()
    /// The state after each applied entry.
    var history: [Snapshot]
    /// Entries up to this one have to be fetched before they can be read.
    var coldUpTo: LogIndex = 0

    init(_ snapshot: Snapshot) throws {
        self.history = [snapshot]
        if snapshot != Snapshot() { try install(snapshot) }
    }

    // MARK: Reading

    var initialState: (HardState, ConfState) {
        (log.hardState, history.last?.metadata.confState ?? log.initialState.1)
    }
    var firstIndex: LogIndex { log.firstIndex }
    var lastIndex: LogIndex { log.lastIndex }

    func term(at index: LogIndex) throws(LogStorageError) -> Term { try log.term(at: index) }

    func entries(
        from: LogIndex,
        to: LogIndex,
        maxBytes: Int
    ) throws(LogStorageError) -> [Entry] {
        if from <= coldUpTo { throw .temporarilyUnavailable }
        return try log.entries(from: from, to: to, maxBytes: maxBytes)
    }

    func snapshot() throws(LogStorageError) -> Snapshot {
        guard let last = history.last else { throw .snapshotTemporarilyUnavailable }
        return last
    }

    // MARK: Writing

    private func install(_ snapshot: Snapshot) throws {
        let known = log.lastSnapshot.metadata.index
        if known != 0, known >= snapshot.metadata.index {
            throw ScriptError("requested index is older than the existing snapshot")
        }
        log.install(snapshot)
    }

    func append(
        _ state: HardState?,
        _ entries: EntryList,
        _ snapshot: Snapshot?
    ) throws {
        if let state, !state.isEmpty { log.hardState = state }
        guard let snapshot, !snapshot.isEmpty else { return log.append(entries) }
        if !entries.isEmpty {
            throw ScriptError("can't apply snapshot and entries at the same time")
        }
        try install(snapshot)
    }
}
