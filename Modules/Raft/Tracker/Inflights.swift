import Model

/// The appends that a peer has not answered, oldest first, limited by number and bytes.
///
/// A ring that grows on demand: a group at rest keeps no memory for it.
/// - Invariant: `count <= countMax`; `bytes` is the sum of what the ring holds.
package struct Inflights: Sendable {
    private struct Sent {
        var last: LogIndex = 0
        var bytes = 0
    }

    private let countMax: Int
    private let bytesMax: Int
    private var ring: [Sent] = []
    private var start = 0
    /// How many messages are unanswered.
    package private(set) var count = 0
    /// How many bytes are unanswered.
    package private(set) var bytes = 0

    /// Limits the ring; 0 bytes stand for no limit.
    package init(countMax: Int, bytesMax: Int) {
        self.countMax = countMax
        self.bytesMax = bytesMax
    }

    /// Whether no more may be sent; the last message may have gone over the limit in bytes.
    package var isFull: Bool { count == countMax || (bytesMax != 0 && bytes >= bytesMax) }

    /// Notes a message by its last entry.
    package mutating func add(_ last: LogIndex, bytes: Int) {
        precondition(!isFull, "cannot add into a full window of \(count) messages")
        if count == ring.count { grow() }
        ring[(start + count) % ring.count] = Sent(last: last, bytes: bytes)
        count += 1
        self.bytes += bytes
    }

    /// Forgets the messages whose last entry is at or below the acknowledged one.
    package mutating func free(upTo acknowledged: LogIndex) {
        while count > 0, ring[start].last <= acknowledged {
            bytes -= ring[start].bytes
            start = (start + 1) % ring.count
            count -= 1
        }
        if count == 0 { start = 0 }
    }

    /// Forgets everything and gives the memory back.
    package mutating func reset() {
        ring = []
        start = 0
        count = 0
        bytes = 0
    }

    private mutating func grow() {
        var larger: [Sent] = []
        larger.reserveCapacity(min(max(ring.count * 2, 4), countMax))
        for step in 0..<count { larger.append(ring[(start + step) % ring.count]) }
        let missing = min(max(ring.count * 2, 4), countMax) - count
        larger.append(contentsOf: repeatElement(Sent(), count: missing))
        ring = larger
        start = 0
    }
}
