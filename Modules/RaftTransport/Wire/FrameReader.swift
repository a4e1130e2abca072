import NIOCore
import RecordBatch

/// Cuts a stream into frames and checks them.
///
/// A frame that lies within one read is a slice of it; any other is put together in memory of
/// exactly its size. A small frame whose payloads will be kept is copied out of a large read, so
/// that a few bytes never hold on to a quarter of a megabyte.
/// - Invariant: memory is taken only for a length within the limit; `collected` and `input` are
///   never both filled once `next` has given nil.
struct FrameReader {
    private var input = ByteBuffer()
    private var collected = ByteBuffer()
    private let allocator: ByteBufferAllocator

    init(allocator: ByteBufferAllocator) {
        self.allocator = allocator
    }

    /// Takes bytes as they arrived; only after `next` has given nil.
    mutating func append(_ bytes: ByteBuffer) {
        precondition(input.readableBytes == 0, "unread input of \(input.readableBytes) bytes")
        input = bytes
    }

    /// The records of the next whole frame, or nil until more bytes arrive.
    mutating func next() throws(StreamError) -> ByteBuffer? {
        if collected.readableBytes > 0 { return try continueCollecting() }
        guard input.readableBytes >= StreamFrame.headerBytes else {
            if input.readableBytes > 0 {
                collect(upTo: StreamFrame.headerBytes)
            }
            input = ByteBuffer()
            return nil
        }
        let total = try validateHeader(input)
        if let frame = input.readSlice(length: total) {
            let isLargeShare = total * 4 >= input.storageCapacity
            let carries = frame.getInteger(at: frame.readerIndex + 9, as: UInt8.self) ?? 0
            if input.readableBytes == 0 { input = ByteBuffer() }
            if isLargeShare || carries & StreamFrame.carriesPayloads == 0 {
                return try records(of: frame)
            }
            var copy = allocator.buffer(capacity: total)
            copy.writeImmutableBuffer(frame)
            return try records(of: copy)
        }
        collected = allocator.buffer(capacity: total)
        collect(upTo: total)
        return nil
    }

    private mutating func continueCollecting() throws(StreamError) -> ByteBuffer? {
        collect(upTo: StreamFrame.headerBytes)
        guard collected.readableBytes >= StreamFrame.headerBytes else { return nil }
        let total = try validateHeader(collected)
        if collected.capacity < total {
            var larger = allocator.buffer(capacity: total)
            larger.writeImmutableBuffer(collected)
            collected = larger
        }
        collect(upTo: total)
        guard collected.readableBytes == total else { return nil }
        let frame = collected
        collected = ByteBuffer()
        return try records(of: frame)
    }

    /// Moves input to `collected` until that holds `total` bytes or the input is empty.
    private mutating func collect(upTo total: Int) {
        let missing = max(0, total - collected.readableBytes)
        if let piece = input.readSlice(length: min(missing, input.readableBytes)) {
            collected.writeImmutableBuffer(piece)
        }
        if input.readableBytes == 0 { input = ByteBuffer() }
    }

    /// The length of the whole frame, once it is known to be one that may be.
    private func validateHeader(_ bytes: ByteBuffer) throws(StreamError) -> Int {
        let start = bytes.readerIndex
        guard
            let length = bytes.getInteger(at: start, endianness: .little, as: UInt32.self),
            let version = bytes.getInteger(at: start + 8, as: UInt8.self),
            let flags = bytes.getInteger(at: start + 9, as: UInt8.self)
        else { throw .recordTruncated }
        guard version == StreamFrame.version else { throw .versionUnknown(version) }
        guard flags & ~StreamFrame.carriesPayloads == 0 else { throw .flagsUnknown(flags) }
        guard length > 0, length <= UInt32(StreamFrame.bytesMax - StreamFrame.headerBytes) else {
            throw .lengthOutOfRange(length)
        }
        return StreamFrame.headerBytes + Int(length)
    }

    private func records(of frame: ByteBuffer) throws(StreamError) -> ByteBuffer {
        let stored = frame.getInteger(
            at: frame.readerIndex + 4,
            endianness: .little,
            as: UInt32.self
        )
        let computed = frame.withUnsafeReadableBytes { bytes in
            crc32c(UnsafeRawBufferPointer(rebasing: bytes[StreamFrame.checkedFrom...]))
        }
        guard stored == computed else { throw .checksumWrong }
        var records = frame
        records.moveReaderIndex(forwardBy: StreamFrame.headerBytes)
        return records
    }
}
