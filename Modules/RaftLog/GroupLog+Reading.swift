import Model
import Raft

/// Entries that were read from disk for consensus and wait to be asked for again.
struct FetchedRange {
    /// What is to be read.
    struct Request: Equatable {
        var from: LogIndex
        var to: LogIndex
        var maxBytes: Int
    }

    var entries: [Entry]
    var first: LogIndex
    var last: LogIndex

    /// How many ranges are kept, and how many are being read: about one per slow follower.
    static let countMax = 8
}

extension GroupLog: LogStorage {
    /// What was stored when the group was opened.
    public var initialState: (HardState, ConfState) { (hardState, confState) }
    /// The first entry that can be read.
    public var firstIndex: LogIndex { start.index + 1 }
    /// The last entry.
    public var lastIndex: LogIndex { end.index }

    /// The term of an entry.
    public func term(at index: LogIndex) throws(LogStorageError) -> Term {
        if index == end.index { return end.term }
        if index == start.index { return start.term }
        guard index > start.index else { throw .compacted }
        guard index < end.index, let term = terms.term(at: index) else { throw .unavailable }
        return term
    }

    /// Whether an entry's payload is among those that have not left memory yet.
    public func isInMemory(_ index: LogIndex) -> Bool { index >= tail.firstPayload }

    /// One entry from memory; if it is not there it is wanted, as by `entries`.
    public func entry(at index: LogIndex) throws(LogStorageError) -> Entry {
        if index >= tail.firstPayload, let entry = tail.entry(at: index) { return Entry(entry) }
        guard let entry = try entries(from: index, to: index + 1, maxBytes: .max).first else {
            throw .unavailable
        }
        return entry
    }

    /// Entries from memory; those that are not there are wanted by ``takeWantedRange()`` then.
    public func entries(
        from: LogIndex,
        to: LogIndex,
        maxBytes: Int
    ) throws(LogStorageError) -> [Entry] {
        guard from > start.index else { throw .compacted }
        guard to <= end.index + 1 else { throw .unavailable }
        guard from < to else { return [] }
        if from >= tail.firstPayload {
            return collect(from: from, to: to, maxBytes) { tail.entry(at: $0).map(Entry.init) }
        }
        if let range = fetched.first(where: { $0.first <= from && from <= $0.last }) {
            return collect(from: from, to: min(to, range.last + 1), maxBytes) {
                range.entries[Int($0 - range.first)]
            }
        }
        let request = FetchedRange.Request(
            from: from,
            to: min(to, max(tail.firstPayload, from + 1)),
            maxBytes: min(maxBytes, 4 << 20)
        )
        // Asked for again and again until it is there, it must not be read as many times.
        let isKnown = (wanted + reading).contains { $0.from == from }
        if !isKnown, wanted.count + reading.count < FetchedRange.countMax {
            wanted.append(request)
        }
        throw .temporarilyUnavailable
    }

    private func collect(
        from: LogIndex,
        to: LogIndex,
        _ maxBytes: Int,
        _ entry: (LogIndex) -> Entry?
    ) -> [Entry] {
        var result: [Entry] = []
        var bytes = 0
        var index = from
        while index < to, let next = entry(index) {
            bytes += next.sizeBytes
            if bytes > maxBytes, !result.isEmpty { break }
            result.append(next)
            index += 1
        }
        return result
    }

    /// The newest snapshot, its data in the shape of ``SnapshotState``.
    ///
    /// One that is older than the newest members is not given away: a replica that was added
    /// since could not find itself in it, and would refuse it for ever.
    public func snapshot() throws(LogStorageError) -> Snapshot {
        adoptSavedSnapshot()
        guard let latestSnapshot, latestSnapshot.metadata.index >= confIndex else {
            throw .snapshotTemporarilyUnavailable
        }
        return latestSnapshot
    }

    /// The next range that consensus asked for in vain, to be read by
    /// ``LogDirectory/readEntries(_:from:to:maxBytes:completion:)``; ``finishRead(from:_:)`` must
    /// follow, whatever comes of it.
    public func takeWantedRange() -> (LogIndex, LogIndex, Int)? {
        guard !wanted.isEmpty else { return nil }
        let request = wanted.removeFirst()
        reading.append(request)
        return (request.from, request.to, request.maxBytes)
    }

    /// Ends the reading of a wanted range; without entries it has failed.
    ///
    /// They are kept until consensus asks for them again, unless the log no longer holds them as
    /// they were read.
    public func finishRead(from index: LogIndex, _ entries: [Entry]) {
        reading.removeAll { $0.from == index }
        guard let first = entries.first, let last = entries.last else { return }
        guard first.index > start.index, last.index <= end.index,
            terms.term(at: first.index) == first.term, terms.term(at: last.index) == last.term
        else { return }
        if fetched.count >= FetchedRange.countMax { fetched.removeFirst() }
        fetched.append(FetchedRange(entries: entries, first: first.index, last: last.index))
    }

    /// Whole batches from memory, from the one that holds `from` on, all of them before `below`.
    ///
    /// nil when the first one is not in memory: the directory reads it then. The first batch is
    /// always whole, whatever `maxBytes` says.
    public func tailBatches(from: Offset, below: Offset, maxBytes: Int) -> [BatchPayload]? {
        guard from < below else { return [] }
        guard var index = tail.entry(holding: from) else { return nil }
        var batches: [BatchPayload] = []
        var bytes = 0
        while let entry = tail.entry(at: index), entry.row.nextOffset <= below {
            index += 1
            guard let batch = entry.payload.storage as? BatchPayload, entry.row.isBatch else {
                continue
            }
            bytes += batch.count
            if bytes > maxBytes, !batches.isEmpty { break }
            batches.append(batch)
        }
        return batches
    }
}

extension Entry {
    fileprivate init(_ logged: LoggedEntry) {
        self.init(
            term: logged.row.term,
            index: logged.row.index,
            type: logged.row.type,
            payload: logged.payload
        )
    }
}
