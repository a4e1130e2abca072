import Model

/// A stable log in memory, for tests and simulations.
///
/// - Invariant: `entries[i].index == firstIndex + i`.
public final class MemoryStorage: LogStorage {
    /// What a restarted replica would find, the vote above all.
    public var hardState = HardState()
    /// The state that stands for the log's beginning, or for more than that.
    public private(set) var lastSnapshot = Snapshot()
    private var base: (index: LogIndex, term: Term) = (0, 0)
    private var log: [Entry] = []

    /// Makes an empty log of a replica without members.
    public init() {}

    /// Makes an empty log of a replica that knows its members.
    public init(confState: ConfState) { lastSnapshot.metadata.confState = confState }

    /// The hard state, and the members of the snapshot.
    public var initialState: (HardState, ConfState) {
        (hardState, lastSnapshot.metadata.confState)
    }

    /// The first entry that was not compacted away.
    public var firstIndex: LogIndex { base.index + 1 }

    /// The last entry.
    public var lastIndex: LogIndex { base.index + UInt64(log.count) }

    /// All entries.
    public var entries: [Entry] { log }

    /// The term of an entry, or of the one before the first.
    public func term(at index: LogIndex) throws(LogStorageError) -> Term {
        if index < base.index { throw .compacted }
        if index == base.index { return base.term }
        if index > lastIndex { throw .unavailable }
        return log[place(index)].term
    }

    /// One entry of the log.
    public func entry(at index: LogIndex) throws(LogStorageError) -> Entry {
        if index < firstIndex { throw .compacted }
        if index > lastIndex { throw .unavailable }
        return log[place(index)]
    }

    /// Entries of a range, as many as fit, at least one.
    public func entries(
        from: LogIndex,
        to: LogIndex,
        maxBytes: Int
    ) throws(LogStorageError) -> [Entry] {
        if from < firstIndex { throw .compacted }
        guard from <= to, to <= lastIndex + 1 else { throw .unavailable }
        let range = log[place(from)..<place(to)]
        return Array(range.prefix(range.countFitting(maxBytes)))
    }

    /// The snapshot that was made or installed last.
    public func snapshot() throws(LogStorageError) -> Snapshot {
        if lastSnapshot.isEmpty { throw .snapshotTemporarilyUnavailable }
        return lastSnapshot
    }

    /// Appends entries, replacing whatever stands at their indexes and after.
    public func append(_ entries: some Collection<Entry>) {
        let new = entries.drop { $0.index < firstIndex }
        guard let first = new.first?.index else { return }
        precondition(
            first <= lastIndex + 1,
            "missing log entry [last: \(lastIndex), append at: \(first)]"
        )
        log.removeSubrange(place(first)...)
        log.append(contentsOf: new)
    }

    /// Replaces the log by a snapshot; an older one than the last is ignored.
    public func install(_ snapshot: Snapshot) {
        guard snapshot.metadata.index > lastSnapshot.metadata.index else { return }
        lastSnapshot = snapshot
        base = (snapshot.metadata.index, snapshot.metadata.term)
        log = []
    }

    /// Remembers a state of the application, without dropping entries.
    public func create(_ snapshot: Snapshot) {
        precondition(
            snapshot.metadata.index <= lastIndex,
            "snapshot \(snapshot.metadata.index) is after the last entry \(lastIndex)"
        )
        lastSnapshot = snapshot
    }

    /// Drops the entries up to an index, which must be in the log.
    public func compact(to index: LogIndex) {
        precondition(
            index > base.index && index <= lastIndex,
            "compact \(index) is out of bound [\(base.index), \(lastIndex)]"
        )
        let term = log[place(index)].term
        log.removeFirst(place(index) + 1)
        base = (index, term)
    }

    /// Carries out a `storageAppend`: afterwards its responses may be delivered.
    public func write(_ message: Message) {
        precondition(message.type == .storageAppend, "not a write: \(message.type)")
        let state = HardState(term: message.term, vote: message.vote, commit: message.commit)
        if !state.isEmpty { hardState = state }
        if let snapshot = message.snapshot { install(snapshot) }
        append(message.entries)
    }

    private func place(_ index: LogIndex) -> Int { Int(index.rawValue - firstIndex.rawValue) }
}
