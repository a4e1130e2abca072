import Model
import Raft

/// One replica of an interaction script.
final class ScriptNode: LogStorage {
    let config: RaftConfig
    let storage = MemoryStorage()
    var appendWork: [Message] = []
    var applyWork: [Message] = []
    /// The state after each applied entry, so that the newest can be sent as a snapshot.
    var history: [Snapshot]
    private var started: RaftNode?

    init(config: RaftConfig, snapshot: Snapshot, seed: UInt64, output: ScriptOutput) throws {
        self.config = config
        self.history = [snapshot]
        if snapshot != Snapshot() { try install(snapshot) }
        started = RaftNode(config: config, storage: storageView, seed: seed) { level, line in
            output.log(level, line)
        }
    }

    private var storageView: any LogStorage { self }

    var node: RaftNode {
        get {
            guard let started else { preconditionFailure("used before it was started") }
            return started
        }
        _modify {
            guard var node = started.take() else { preconditionFailure("used while in use") }
            defer { started = node }
            yield &node
        }
    }

    var id: NodeID { config.id }

    // MARK: LogStorage

    var initialState: (HardState, ConfState) { storage.initialState }
    var firstIndex: LogIndex { storage.firstIndex }
    var lastIndex: LogIndex { storage.lastIndex }

    func term(at index: LogIndex) throws(LogStorageError) -> Term { try storage.term(at: index) }

    func entries(
        from: LogIndex,
        to: LogIndex,
        maxBytes: Int
    ) throws(LogStorageError) -> [Entry] {
        try storage.entries(from: from, to: to, maxBytes: maxBytes)
    }

    func snapshot() throws(LogStorageError) -> Snapshot {
        guard let last = history.last else { throw .snapshotTemporarilyUnavailable }
        return last
    }

    // MARK: Work

    private func install(_ snapshot: Snapshot) throws {
        let known = storage.lastSnapshot.metadata.index
        if known != 0, known >= snapshot.metadata.index {
            throw ScriptError("requested index is older than the existing snapshot")
        }
        storage.install(snapshot)
    }

    func append(_ state: HardState?, _ entries: [Entry], _ snapshot: Snapshot?) throws {
        if let state, !state.isEmpty { storage.hardState = state }
        guard let snapshot, !snapshot.isEmpty else { return storage.append(entries) }
        if !entries.isEmpty {
            throw ScriptError("can't apply snapshot and entries at the same time")
        }
        try install(snapshot)
    }

    func apply(_ entries: [Entry]) throws {
        for entry in entries {
            guard var snapshot = history.last else { return }
            var update = entry.payload.copyBytes()
            if entry.type != .normal {
                let change = try ConfChange(bytes: update)
                update = change.context
                snapshot.metadata.confState = node.applyConfChange(change)
            }
            snapshot.data = Payload(snapshot.data.copyBytes() + update)
            snapshot.metadata.index = entry.index
            snapshot.metadata.term = entry.term
            history.append(snapshot)
        }
    }
}
