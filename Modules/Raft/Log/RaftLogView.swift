import Model

/// The whole log of a replica: the stable part in storage and the unstable end in memory.
///
/// - Invariant: `applied <= applying <= committed <= lastIndex`.
package struct RaftLogView {
    private let storage: any LogStorage
    private(set) var unstable: UnstableLog
    /// The highest index known to be on a quorum.
    private(set) var committed: LogIndex
    /// The highest index handed out for applying.
    private(set) var applying: LogIndex
    /// The highest index that was applied.
    private(set) var applied: LogIndex

    private let applyingBytesMax: Int
    private(set) var applyingBytes = 0
    private(set) var isApplyingPaused = false
    /// Whether committed entries are being read from disk.
    private var isWaitingForEntries = false
    private let sink: LogSink

    init(storage: any LogStorage, applyingBytesMax: Int, sink: LogSink) {
        let lastIndex = storage.lastIndex
        let beforeFirst: LogIndex = storage.firstIndex - 1
        self.storage = storage
        self.unstable = UnstableLog(offset: lastIndex + 1, sink: sink)
        self.committed = beforeFirst
        self.applying = beforeFirst
        self.applied = beforeFirst
        self.applyingBytesMax = applyingBytesMax
        self.sink = sink
    }

    var firstIndex: LogIndex { unstable.firstIndex ?? storage.firstIndex }
    var lastIndex: LogIndex { unstable.lastIndex ?? storage.lastIndex }
    var hasUnstableEntries: Bool { !unstable.entries.isEmpty }
    var hasUnstableSnapshot: Bool { unstable.snapshot != nil }
    /// The last entry that is known to be stored; nil while a snapshot is being installed.
    package var stableIndex: LogIndex? { hasUnstableSnapshot ? nil : unstable.offset - 1 }

    /// The term of the last entry, or of the snapshot that stands for it.
    var lastTerm: Term {
        let last = lastIndex
        do {
            return try term(at: last)
        } catch {
            preconditionFailure("unexpected error when getting the last term at \(last): \(error)")
        }
    }

    func term(at index: LogIndex) throws(LogStorageError) -> Term {
        if let term = unstable.term(at: index) { return term }
        // The entry before the first one is known by its term alone, for the matching rule.
        if index + 1 < firstIndex { throw .compacted }
        if index > lastIndex { throw .unavailable }
        return try storage.term(at: index)
    }

    /// The term of an entry; 0, which no entry has, if the log does not reach it.
    func termOrZero(at index: LogIndex) -> Term { (try? term(at: index)) ?? 0 }

    func matches(_ index: LogIndex, term: Term) -> Bool {
        // New entries are asked for all the time: no error is thrown for them.
        guard index <= lastIndex, let ours = try? self.term(at: index) else { return false }
        return ours == term
    }

    /// Whether a log that ends like this is at least as good as ours.
    ///
    /// - Source: Raft thesis 3.6.1.
    func isUpToDate(lastIndex index: LogIndex, lastTerm term: Term) -> Bool {
        let ours = lastTerm
        return term > ours || (term == ours && index >= lastIndex)
    }

    /// A snapshot to send: the one that is being installed here, or storage's.
    func snapshot() throws(LogStorageError) -> Snapshot {
        if let snapshot = unstable.snapshot { return snapshot }
        return try storage.snapshot()
    }

    /// The state in etcd's words.
    var description: String {
        "committed=\(committed), applied=\(applied), applying=\(applying), "
            + "unstable.offset=\(unstable.offset), "
            + "unstable.offsetInProgress=\(unstable.handedOver), "
            + "len(unstable.Entries)=\(unstable.entries.count)"
    }
}

// MARK: Appending

extension RaftLogView {
    /// Appends at the end, or replaces an uncommitted end, by the entries from a place on.
    package mutating func append(_ entries: EntryList, from place: Int = 0) {
        guard place < entries.count else { return }
        let first = entries.index(at: place)
        precondition(
            first > committed,
            "after(\(first)) is out of range [committed(\(committed))]"
        )
        unstable.replaceSuffix(entries, from: place)
    }

    /// Takes a leader's entries if the log holds the one before them.
    ///
    /// Returns the index up to which the log now is the leader's, or nil if it does not match.
    mutating func maybeAppend(
        after index: LogIndex,
        term: Term,
        _ entries: EntryList,
        leaderCommit: LogIndex
    ) throws(RaftError) -> LogIndex? {
        guard matches(index, term: term) else { return nil }
        let last = index + UInt64(entries.count)
        if let place = firstNew(entries) {
            let conflict = entries.index(at: place)
            if conflict <= committed {
                throw .conflictsWithCommitted(index: conflict, commit: committed)
            }
            append(entries, from: place)
        }
        try commit(to: min(leaderCommit, last))
        return last
    }

    /// Where in the entries those begin that the log lacks or holds with another term.
    ///
    /// Entries that are there already stay: a late repetition must not cut what came after.
    private func firstNew(_ entries: EntryList) -> Int? {
        for place in 0..<entries.count {
            let (index, term) = (entries.index(at: place), entries.term(at: place))
            if matches(index, term: term) { continue }
            if index <= lastIndex {
                sink.info(
                    "found conflict at index \(index) [existing term: "
                        + "\(termOrZero(at: index)), conflicting term: \(term)]"
                )
            }
            return place
        }
        return nil
    }

    /// The last index up to the given one whose term is not above the given one.
    ///
    /// Everything between that index and the given one cannot match a log whose entry there has
    /// that term. Without a term where the log does not reach so far.
    func lastPossibleMatch(_ index: LogIndex, term: Term) -> (index: LogIndex, term: Term) {
        var index = index
        while index > 0 {
            guard let ours = try? self.term(at: index) else { return (index, 0) }
            if ours <= term { return (index, ours) }
            index = index - 1
        }
        return (0, 0)
    }
}

// MARK: Committing and applying

extension RaftLogView {
    mutating func commit(to index: LogIndex) throws(RaftError) {
        guard index > committed else { return }
        if index > lastIndex { throw .lostEntries(commit: index, lastIndex: lastIndex) }
        committed = index
    }

    /// Commits by counting, which is allowed for entries of the given, own term only.
    ///
    /// - Source: Raft thesis 3.6.2.
    mutating func maybeCommit(_ index: LogIndex, term: Term) -> Bool {
        guard term != 0, index > committed, matches(index, term: term) else { return false }
        committed = index
        return true
    }

    /// Takes over the stored commit index when a replica starts.
    ///
    /// It may lie before the snapshot's end: a commit index alone is never synced.
    mutating func load(committed index: LogIndex) {
        precondition(
            index <= lastIndex,
            "state.commit \(index) is out of range [\(committed), \(lastIndex)]"
        )
        committed = max(committed, index)
    }

    mutating func restore(_ snapshot: Snapshot) {
        let metadata = snapshot.metadata
        sink.info(
            "log [\(description)] starts to restore snapshot "
                + "[index: \(metadata.index), term: \(metadata.term)]"
        )
        committed = metadata.index
        isWaitingForEntries = false
        unstable.restore(snapshot)
    }

    private func appliable(_ allowUnstable: Bool) -> LogIndex {
        allowUnstable ? committed : min(committed, unstable.offset - 1)
    }

    /// Whether committed entries can be handed out for applying.
    func hasNextCommitted(allowUnstable: Bool) -> Bool {
        // After a snapshot nothing may be applied before the snapshot itself is.
        !isApplyingPaused && !isWaitingForEntries && !hasUnstableSnapshot
            && applying < appliable(allowUnstable)
    }

    /// The next committed entries, as many as the budget for unapplied ones allows.
    mutating func nextCommitted(allowUnstable: Bool) -> EntryList {
        guard hasNextCommitted(allowUnstable: allowUnstable) else { return EntryList() }
        let budget = applyingBytesMax - applyingBytes
        precondition(budget > 0, "applying entry size \(applyingBytes) exceeds its limit")
        do {
            return try slice(applying + 1, appliable(allowUnstable) + 1, bytesMax: budget)
        } catch .temporarilyUnavailable {
            isWaitingForEntries = true
            return EntryList()
        } catch {
            preconditionFailure("unexpected error when getting unapplied entries (\(error))")
        }
    }

    mutating func acceptApplying(_ index: LogIndex, bytes: Int, allowUnstable: Bool) {
        precondition(
            index <= committed,
            "applying(\(index)) is out of range [prevApplying(\(applying)), "
                + "committed(\(committed))]"
        )
        applying = index
        applyingBytes += bytes
        // When the budget has cut the entries, the rest waits for an answer even if a byte is free:
        // otherwise the next call would hand out one entry more than the limit allows.
        isApplyingPaused = applyingBytes >= applyingBytesMax || index < appliable(allowUnstable)
    }

    mutating func applied(to index: LogIndex, bytes: Int) {
        precondition(
            index >= applied && index <= committed,
            "applied(\(index)) is out of range [prevApplied(\(applied)), committed(\(committed))]"
        )
        applied = index
        applying = max(applying, index)
        applyingBytes = max(0, applyingBytes - bytes)
        isApplyingPaused = applyingBytes >= applyingBytesMax
    }

    mutating func entriesFetched() { isWaitingForEntries = false }
}

// MARK: Storage

extension RaftLogView {
    mutating func handOverUnstable() { unstable.handOver() }

    /// Gives back the memory that is kept for the next entries.
    mutating func releaseSpareMemory() { unstable.releaseSpareMemory() }

    mutating func becameStable(_ index: LogIndex, term: Term) {
        unstable.becameStable(index, term: term)
    }

    mutating func snapshotBecameStable(_ index: LogIndex) {
        unstable.snapshotBecameStable(index)
    }
}

// MARK: Reading

extension RaftLogView {
    /// The entries from an index to the end, as many as fit.
    func entries(from index: LogIndex, bytesMax: Int) throws(LogStorageError) -> EntryList {
        let last = lastIndex
        return index > last ? EntryList() : try slice(index, last + 1, bytesMax: bytesMax)
    }

    /// Whether a condition holds for some entry of `from ..< to`, read page by page.
    func contains(
        from: LogIndex,
        to: LogIndex,
        where condition: (Entry) -> Bool
    ) throws(LogStorageError) -> Bool {
        var next = from
        while next < to {
            let page = try slice(next, to, bytesMax: applyingBytesMax)
            precondition(!page.isEmpty, "got 0 entries in [\(next), \(to))")
            for entry in page where condition(entry) { return true }
            next += UInt64(page.count)
        }
        return false
    }

    /// Entries of `from ..< to`, as many from the front as fit, at least one.
    func slice(
        _ from: LogIndex,
        _ to: LogIndex,
        bytesMax: Int
    ) throws(LogStorageError) -> EntryList {
        precondition(from <= to, "invalid slice \(from) > \(to)")
        if from < firstIndex { throw .compacted }
        precondition(
            to <= lastIndex + 1,
            "slice[\(from),\(to)) out of bound [\(firstIndex),\(lastIndex)]"
        )
        if from == to { return EntryList() }
        let boundary = unstable.offset
        if from >= boundary {
            let all = unstable.slice(from, to)
            return EntryList(all.prefix(all.countFitting(bytesMax)))
        }
        let cut = min(to, boundary)
        var entries = try stored(from, cut, bytesMax: bytesMax)
        guard to > boundary, UInt64(entries.count) == cut - from else { return entries }
        // Storage has given all it has: go on with the unstable part, as far as there is room.
        let rest = unstable.slice(boundary, to)
        var room = bytesMax - entries.sizeBytes
        var count = 0
        for entry in rest {
            room -= entry.sizeBytes
            if room < 0 { break }
            count += 1
        }
        entries.append(rest.prefix(count))
        return entries
    }

    /// Entries of `from ..< to` from storage, which has at least one of them.
    private func stored(
        _ from: LogIndex,
        _ to: LogIndex,
        bytesMax: Int
    ) throws(LogStorageError) -> EntryList {
        do {
            if to == from + 1 { return EntryList(try storage.entry(at: from)) }
            let entries = try storage.entries(from: from, to: to, maxBytes: bytesMax)
            precondition(
                !entries.isEmpty && UInt64(entries.count) <= to - from,
                "storage gave \(entries.count) entries for [\(from), \(to))"
            )
            return EntryList(entries)
        } catch .unavailable {
            preconditionFailure("entries[\(from):\(to)) is unavailable from storage")
        }
    }
}
