/// The lines about disks that whoever carries out a replica's writes adds to its trace.
public enum DiskLine {
    /// A write of a replica has returned.
    ///
    /// - Parameters:
    ///   - state: what was written of term, vote and commit index; zeros if nothing was.
    ///   - snapshot: the last entry of a snapshot that was installed; zeros if there was none.
    ///   - entries: index and term of what was written, in order.
    public static func stored(
        node: UInt64,
        state: (term: UInt64, vote: UInt64, commit: UInt64),
        snapshot: (index: UInt64, term: UInt64),
        entries: some Sequence<(index: UInt64, term: UInt64)>
    ) -> String {
        line(.stored, node, state, snapshot, entries)
    }

    /// A replica is about to start with what its disk holds.
    ///
    /// - Parameters:
    ///   - snapshot: the entry before the first one.
    ///   - entries: index and term of everything after it, in order.
    public static func recovered(
        node: UInt64,
        state: (term: UInt64, vote: UInt64, commit: UInt64),
        snapshot: (index: UInt64, term: UInt64),
        entries: some Sequence<(index: UInt64, term: UInt64)>
    ) -> String {
        line(.recovered, node, state, snapshot, entries)
    }

    private static func line(
        _ name: DiskReport.Name,
        _ node: UInt64,
        _ state: (term: UInt64, vote: UInt64, commit: UInt64),
        _ snapshot: (index: UInt64, term: UInt64),
        _ entries: some Sequence<(index: UInt64, term: UInt64)>
    ) -> String {
        var runs: [DiskReport.Entries] = []
        for (index, term) in entries {
            if runs.last?.term == term {
                runs[runs.count - 1].last = index
            } else {
                runs.append(DiskReport.Entries(term: term, first: index, last: index))
            }
        }
        let list = runs.map { "[\($0.term),\($0.first),\($0.last)]" }.joined(separator: ",")
        return "{\"tag\":\"simulator\",\"event\":{\"name\":\"\(name.rawValue)\",\"nid\":\"\(node)\""
            + ",\"state\":{\"term\":\(state.term),\"vote\":\"\(state.vote)\""
            + ",\"commit\":\(state.commit)},\"snapshot\":{\"index\":\(snapshot.index)"
            + ",\"term\":\(snapshot.term)},\"entries\":[\(list)]}}"
    }
}
