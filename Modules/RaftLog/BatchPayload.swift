import Model
import NIOCore
import Raft

/// A Kafka record batch as an entry's payload: 16 bytes that the leader stamps, and the rest.
///
/// The batch's own CRC does not cover the first 16 bytes (base offset, length, leader epoch and,
/// at 16, the magic byte follows), so that stamping copies nothing of what the producer sent.
///
/// - Invariant: at least 61 bytes, the length field is that of the bytes, and magic is 2.
public final class BatchPayload: PayloadStorage {
    /// Bytes 0 to 7: base offset, as in memory order.
    private let word0: UInt64
    /// Bytes 8 to 15: length and leader epoch, as in memory order.
    private let word1: UInt64
    /// The bytes from 16 on, never copied.
    public let body: ByteBuffer
    /// All bytes together.
    public let count: Int

    /// The bytes that a leader stamps.
    public static let headBytes = 16
    /// The smallest batch in bytes: a header without records.
    public static let bytesMin = 61

    /// Takes a whole batch, the readable bytes; nil when they are not one batch of magic 2.
    public init?(batch: ByteBuffer) {
        let start = batch.readerIndex
        guard batch.readableBytes >= Self.bytesMin,
            let length = batch.getInteger(at: start + 8, as: Int32.self),
            Int(length) == batch.readableBytes - 12,
            batch.getInteger(at: start + 16, as: UInt8.self) == 2,
            let word0 = batch.getInteger(at: start, endianness: .host, as: UInt64.self),
            let word1 = batch.getInteger(at: start + 8, endianness: .host, as: UInt64.self)
        else { return nil }
        self.word0 = word0
        self.word1 = word1
        var body = batch
        body.moveReaderIndex(forwardBy: Self.headBytes)
        self.body = body
        self.count = batch.readableBytes
    }

    /// Takes a whole batch; nil when the bytes are not one batch of magic 2.
    public convenience init?(bytes: [UInt8]) { self.init(batch: ByteBuffer(bytes: bytes)) }

    private init(word0: UInt64, word1: UInt64, body: ByteBuffer) {
        self.word0 = word0
        self.word1 = word1
        self.body = body
        self.count = Self.headBytes + body.readableBytes
    }

    /// The same batch at another place in the log; shares the body.
    public func stamped(baseOffset: Offset, epoch: Int32) -> BatchPayload {
        let length = UInt32(count - 12).bigEndian
        let epoch = UInt32(bitPattern: epoch).bigEndian
        return BatchPayload(
            word0: UInt64(bitPattern: baseOffset.rawValue).bigEndian,
            word1: Self.join(length, epoch),
            body: body
        )
    }

    /// Two halves in memory order.
    private static func join(_ first: UInt32, _ second: UInt32) -> UInt64 {
        withUnsafeBytes(of: (first, second)) { $0.loadUnaligned(as: UInt64.self) }
    }

    /// The first record's offset.
    public var baseOffset: Offset { Offset(Int64(bitPattern: UInt64(bigEndian: word0))) }
    /// The term in which the batch was appended.
    public var leaderEpoch: Int32 {
        withUnsafeBytes(of: word1) { bytes in
            Int32(bigEndian: bytes.load(fromByteOffset: 4, as: Int32.self))
        }
    }
    /// The last record's offset less the first one's.
    public var lastOffsetDelta: Int32 { field(at: 23) }
    /// How many offsets the batch takes.
    public var offsetCount: Int32 { lastOffsetDelta &+ 1 }
    /// The largest timestamp in Unix milliseconds.
    public var maxTimestamp: Int64 { field(at: 35) }
    /// The stamped bytes, as in memory order.
    public var head: (UInt64, UInt64) { (word0, word1) }

    private func field<Value: FixedWidthInteger>(at place: Int) -> Value {
        body.getInteger(at: body.readerIndex + place - Self.headBytes) ?? 0
    }

    /// The two parts, in order.
    public func withUnsafeParts(_ body: (UnsafeRawBufferPointer) -> Void) {
        withUnsafeBytes(of: (word0, word1)) { body($0) }
        self.body.withUnsafeReadableBytes { body($0) }
    }

    /// The whole batch in one buffer; copies.
    public func buffer(allocator: ByteBufferAllocator = ByteBufferAllocator()) -> ByteBuffer {
        var buffer = allocator.buffer(capacity: count)
        write(to: &buffer)
        return buffer
    }

    /// Appends the whole batch to a buffer.
    public func write(to buffer: inout ByteBuffer) {
        _ = withUnsafeBytes(of: (word0, word1)) { buffer.writeBytes($0) }
        buffer.writeImmutableBuffer(body)
    }
}
