import Model
import Raft
import RaftModel

/// What the replicas of an interaction script trace, held to the model.
final class ScriptTrace {
    private(set) var model = RaftModel()

    func read(_ line: String) { model.read(line) }

    /// A replica starts from what its storage holds.
    func recovered(_ node: NodeID, _ storage: ScriptStorage) {
        let (state, start) = (storage.initialState.0, storage.firstIndex.rawValue - 1)
        func term(_ index: UInt64) -> UInt64 {
            (try? storage.term(at: LogIndex(index)))?.rawValue ?? 0
        }
        read(
            DiskLine.recovered(
                node: node.rawValue,
                state: (state.term.rawValue, state.vote.rawValue, state.commit.rawValue),
                snapshot: (start, term(start)),
                entries: (start..<storage.lastIndex.rawValue).map { ($0 + 1, term($0 + 1)) }
            )
        )
    }

    /// A write of a replica has returned.
    func stored(
        _ node: NodeID,
        _ state: HardState?,
        _ entries: EntryList,
        _ snapshot: Snapshot?
    ) {
        let (state, last) = (state ?? HardState(), snapshot?.metadata)
        read(
            DiskLine.stored(
                node: node.rawValue,
                state: (state.term.rawValue, state.vote.rawValue, state.commit.rawValue),
                snapshot: (last?.index.rawValue ?? 0, last?.term.rawValue ?? 0),
                entries: entries.map { ($0.index.rawValue, $0.term.rawValue) }
            )
        )
    }
}
