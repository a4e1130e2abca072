import Model

/// The end of the log that storage has not confirmed yet, and a snapshot in the same state.
///
/// `entries[i]` has index `offset + i`. What was handed to storage lies below `handedOver`, but
/// may still be replaced by a later leader's entries.
/// - Invariant: `offset <= handedOver <= offset + entries.count`; a snapshot ends at `offset - 1`
///   or, after more was confirmed, before it.
struct UnstableLog {
    private(set) var snapshot: Snapshot?
    private(set) var entries: [Entry] = []
    private(set) var offset: LogIndex
    private(set) var isSnapshotHandedOver = false
    private(set) var handedOver: LogIndex
    /// How many entries' memory is kept when there are none.
    private static let capacityKept = 64
    private let sink: LogSink

    init(offset: LogIndex, sink: LogSink) {
        self.offset = offset
        self.handedOver = offset
        self.sink = sink
    }

    private var end: LogIndex { offset + UInt64(entries.count) }

    /// The first index after the snapshot, if there is one.
    var firstIndex: LogIndex? { snapshot.map { $0.metadata.index + 1 } }

    /// The last index, if entries or snapshot tell it.
    var lastIndex: LogIndex? {
        entries.isEmpty ? snapshot?.metadata.index : end - 1
    }

    /// The term of an entry, if this part of the log knows it.
    func term(at index: LogIndex) -> Term? {
        if index >= offset { return index < end ? entries[place(index)].term : nil }
        guard let metadata = snapshot?.metadata, metadata.index == index else { return nil }
        return metadata.term
    }

    /// Whether some entries were not handed to storage yet.
    var hasNextEntries: Bool { handedOver < end }

    /// The entries that were not handed to storage yet.
    var nextEntries: EntryList {
        hasNextEntries ? EntryList(entries[place(handedOver)...]) : EntryList()
    }

    /// The snapshot, unless it was handed to storage already.
    var nextSnapshot: Snapshot? { isSnapshotHandedOver ? nil : snapshot }

    /// The entries of a range that must lie inside.
    func slice(_ from: LogIndex, _ to: LogIndex) -> ArraySlice<Entry> {
        precondition(
            offset <= from && from <= to && to <= end,
            "unstable.slice[\(from),\(to)) out of bound [\(offset),\(end)]"
        )
        return entries[place(from)..<place(to)]
    }

    private func place(_ index: LogIndex) -> Int { Int(index.rawValue - offset.rawValue) }
}

// MARK: Storage

extension UnstableLog {
    /// Notes that everything here was handed to storage.
    mutating func handOver() {
        handedOver = end
        if snapshot != nil { isSnapshotHandedOver = true }
    }

    /// Drops the entries up to one that storage confirmed, unless that one was replaced since.
    mutating func becameStable(_ index: LogIndex, term: Term) {
        guard let ours = self.term(at: index) else {
            return sink.info("entry at index \(index) missing from unstable log; ignoring")
        }
        if index < offset {
            return sink.info("entry at index \(index) matched unstable snapshot; ignoring")
        }
        if ours != term {
            return sink.info(
                "entry at (index,term)=(\(index),\(term)) mismatched with "
                    + "entry at (\(index),\(ours)) in unstable log; ignoring"
            )
        }
        let count = place(index) + 1
        if count == entries.count {
            // The next entries find room, but a burst does not keep its memory for ever.
            entries.removeAll(keepingCapacity: entries.capacity <= Self.capacityKept)
        } else {
            entries.removeFirst(count)
        }
        offset = index + 1
        handedOver = max(handedOver, offset)
    }

    /// Gives back the memory that is kept for the next entries.
    mutating func releaseSpareMemory() { if entries.isEmpty { entries = [] } }

    /// Drops the snapshot that storage confirmed, unless there is another one.
    mutating func snapshotBecameStable(_ index: LogIndex) {
        guard snapshot?.metadata.index == index else { return }
        snapshot = nil
        isSnapshotHandedOver = false
    }
}

// MARK: Changes

extension UnstableLog {
    /// Replaces everything by a snapshot.
    mutating func restore(_ snapshot: Snapshot) {
        offset = snapshot.metadata.index + 1
        handedOver = offset
        entries = []
        self.snapshot = snapshot
        isSnapshotHandedOver = false
    }

    /// Appends entries from a place on, replacing whatever stands at their indexes and after.
    mutating func replaceSuffix(_ new: EntryList, from place: Int = 0) {
        guard place < new.count else { return }
        let from = new.index(at: place)
        if from != end { cut(from: from) }
        for place in place..<new.count { entries.append(new[place]) }
    }

    private mutating func cut(from index: LogIndex) {
        if index <= offset {
            // All of ours goes, and entries that storage has confirmed are unstable again.
            sink.info("replace the unstable entries from index \(index)")
            entries = []
            offset = index
            handedOver = index
        } else {
            precondition(index < end, "entries after \(end) leave a gap before \(index)")
            sink.info("truncate the unstable entries before index \(index)")
            entries.removeSubrange(place(index)...)
            handedOver = min(handedOver, index)
        }
    }
}
