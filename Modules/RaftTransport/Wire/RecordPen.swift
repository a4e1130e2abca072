/// Writes a record's fields into memory that is known to be large enough.
///
/// - Invariant: `count` never exceeds the memory: every write checks it.
struct RecordPen {
    private let memory: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ memory: UnsafeMutableRawBufferPointer) {
        self.memory = memory
    }

    mutating func byte(_ value: UInt8) {
        memory[count] = value
        count += 1
    }

    /// Seven bits per byte, the lowest first; the highest bit says that more follow.
    mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            byte(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        byte(UInt8(truncatingIfNeeded: rest))
    }

    mutating func fixed(_ value: UInt64) {
        precondition(count + 8 <= memory.count, "record is longer than its memory")
        memory.storeBytes(of: value.littleEndian, toByteOffset: count, as: UInt64.self)
        count += 8
    }

    /// The most bytes that a varint takes.
    static let varintBytesMax = 10
}

/// Reads a frame's records; every read is bounded by the frame.
struct RecordCursor {
    private let bytes: UnsafeRawBufferPointer
    private(set) var position = 0

    init(_ bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    var remaining: Int { bytes.count - position }

    mutating func byte() throws(StreamError) -> UInt8 {
        guard position < bytes.count else { throw .recordTruncated }
        defer { position += 1 }
        return bytes[position]
    }

    mutating func varint() throws(StreamError) -> UInt64 {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            let next = try byte()
            // The tenth byte has room for one bit only.
            guard shift < 63 || next <= 1 else { throw .recordInvalid("integer too large") }
            value |= UInt64(next & 0x7f) << shift
            if next & 0x80 == 0 { return value }
            shift += 7
        }
    }

    mutating func fixed() throws(StreamError) -> UInt64 {
        guard remaining >= 8 else { throw .recordTruncated }
        defer { position += 8 }
        return UInt64(
            littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self)
        )
    }

    /// A number of things that take at least `bytesEach` each, so that it can be believed.
    mutating func count(bytesEach: Int) throws(StreamError) -> Int {
        let count = try varint()
        guard count <= UInt64(remaining / bytesEach) else { throw .recordTruncated }
        return Int(count)
    }

    /// Skips a length that was read before, and gives the place where it began.
    mutating func skip(_ length: UInt64) throws(StreamError) -> Range<Int> {
        guard length <= UInt64(remaining) else { throw .recordTruncated }
        let start = position
        position += Int(length)
        return start..<position
    }
}
