import Model
import Raft

/// A log's newest entries in memory: rows without gaps up to the last one, and of most of them the
/// very payloads that were appended.
struct TailEntries {
    /// The entries before `head` are gone; the array is cut when they are the larger part.
    private var entries: [LoggedEntry] = []
    private var head = 0
    /// The index of the first row.
    private(set) var first: LogIndex
    /// The first entry whose payload is here; the ones before it have rows only.
    private(set) var firstPayload: LogIndex
    /// The payloads' bytes.
    private(set) var payloadBytes = 0

    init(after index: LogIndex) {
        first = index + 1
        firstPayload = index + 1
    }

    init(after last: LogIndex, loaded: [LoggedEntry], payloadsFrom: LogIndex) {
        entries = loaded
        first = loaded.first?.row.index ?? last + 1
        firstPayload = max(payloadsFrom, first)
        payloadBytes = loaded.reduce(0) { $0 + $1.payload.count }
    }

    /// The index after the last entry.
    var next: LogIndex { first + UInt64(entries.count - head) }

    func row(at index: LogIndex) -> EntryRow? { entry(at: index)?.row }

    func entry(at index: LogIndex) -> LoggedEntry? {
        guard index >= first, index < next else { return nil }
        return entries[head + Int(index - first)]
    }

    /// Appends entries; returns how many payload bytes came in.
    mutating func append(_ new: [LoggedEntry]) -> Int {
        entries.append(contentsOf: new)
        var bytes = 0
        for entry in new { bytes += entry.payload.count }
        payloadBytes += bytes
        return bytes
    }

    /// Cuts entries from `index` on; returns how many payload bytes went.
    mutating func cut(from index: LogIndex) -> Int {
        guard index >= first else {
            defer { self = TailEntries(after: index - 1) }
            return payloadBytes
        }
        var bytes = 0
        while next > index {
            let entry = entries.removeLast()
            if entry.row.index >= firstPayload { bytes += entry.payload.count }
        }
        firstPayload = min(firstPayload, next)
        payloadBytes -= bytes
        return bytes
    }

    /// Drops entries from the front, but none at or above `keep`, until `bytes` payload bytes
    /// went; returns how many did.
    mutating func drop(below keep: LogIndex, atLeast bytes: Int) -> Int {
        var dropped = 0
        while first < keep, head < entries.count, dropped < bytes || first < firstPayload {
            dropped += dropFirst()
        }
        // The last applied entry's row stays: it says where the next one's records begin.
        if dropped < bytes, first == keep, firstPayload == first, head < entries.count {
            dropped += entries[head].payload.count
            entries[head].payload = .empty
            firstPayload += 1
        }
        compact()
        payloadBytes -= dropped
        return dropped
    }

    /// Drops all entries up to `index`; returns how many payload bytes went.
    mutating func dropRows(through index: LogIndex) -> Int {
        var dropped = 0
        while first <= index, head < entries.count { dropped += dropFirst() }
        compact()
        payloadBytes -= dropped
        return dropped
    }

    private mutating func dropFirst() -> Int {
        let bytes = first >= firstPayload ? entries[head].payload.count : 0
        entries[head].payload = .empty
        head += 1
        first += 1
        firstPayload = max(firstPayload, first)
        return bytes
    }

    private mutating func compact() {
        if head == entries.count {
            entries = []
            head = 0
        } else if head > 64, head > entries.count / 2 {
            entries.removeFirst(head)
            head = 0
        }
    }

    /// The first entry whose payload is here and whose records end after `offset`; nil when the
    /// one that holds `offset` is not here.
    func entry(holding offset: Offset) -> LogIndex? {
        var (low, high) = (firstPayload, next)
        guard low < high, let oldest = row(at: low), oldest.baseOffset <= offset else { return nil }
        while low < high {
            let middle = low + (high - low) / 2
            guard let row = row(at: middle) else { return nil }
            if row.nextOffset > offset { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
