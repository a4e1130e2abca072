public import NIOCore

/// Why a client's bytes are no Kafka frame; the connection that carried them is closed.
public enum KafkaFrameError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The size is below zero.
    case sizeNegative(Int32)
    /// The size is above the limit.
    case sizeOverLimit(Int, limit: Int)
    /// The frame is too short to hold a request header.
    case tooShort(Int)

    /// A sentence for the log.
    public var description: String {
        switch self {
        case .sizeNegative(let size): "negative frame size \(size)"
        case .sizeOverLimit(let size, let limit): "frame size \(size) exceeds the limit of \(limit) bytes"
        case .tooShort(let size): "frame of \(size) bytes holds no request header"
        }
    }
}

/// Cuts a client's byte stream into Kafka frames, whatever the pieces in which it arrives.
///
/// - Shape: int32 size, big endian, then `size` bytes.
/// - Invariant: a frame that lies whole in one read is a slice of it and is not copied; one that
///   spans reads is copied once, into a buffer that never grows past what has arrived by more
///   than twice. So a hostile size costs nothing until its bytes come.
public struct KafkaFrameSplitter: Sendable {
    /// Kafka's own default limit, `socket.request.max.bytes`: 100 MiB.
    public static let frameBytesMax = 100 << 20
    /// The smallest request: API key, version, correlation id; a client id may be missing.
    static let frameBytesMin = 8

    private let limit: Int
    /// What was read and not yet cut: empty, or the rest of the latest read.
    private var rest = ByteBuffer()
    /// The frame that spans reads; its readable bytes are what has arrived of it.
    private var partial = ByteBuffer()
    /// The whole size of `partial`; 0 while no frame spans reads.
    private var partialSize = 0

    /// Makes a splitter that refuses frames above `limit` bytes.
    public init(limit: Int = KafkaFrameSplitter.frameBytesMax) {
        self.limit = limit
    }

    /// Takes bytes as they arrived; nothing is cut before `next()`.
    public mutating func append(_ bytes: ByteBuffer) {
        if rest.readableBytes == 0 {
            rest = bytes
        } else {
            // Only a paused connection, or a size split over two reads, comes here.
            rest.discardReadBytes()
            rest.writeImmutableBuffer(bytes)
        }
    }

    /// The next whole frame without its size, or nil until more bytes arrive.
    public mutating func next() throws(KafkaFrameError) -> ByteBuffer? {
        if partialSize > 0 { return fillPartial() }
        guard let size = rest.getInteger(at: rest.readerIndex, as: Int32.self) else { return nil }
        guard size >= 0 else { throw .sizeNegative(size) }
        guard Int(size) <= limit else { throw .sizeOverLimit(Int(size), limit: limit) }
        guard Int(size) >= Self.frameBytesMin else { throw .tooShort(Int(size)) }
        rest.moveReaderIndex(forwardBy: 4)
        if let frame = rest.readSlice(length: Int(size)) { return frame }
        partialSize = Int(size)
        partial = ByteBuffer()
        return fillPartial()
    }

    private mutating func fillPartial() -> ByteBuffer? {
        let missing = partialSize - partial.readableBytes
        let count = min(missing, rest.readableBytes)
        if let piece = rest.readSlice(length: count), count > 0 {
            reserve(count)
            partial.writeImmutableBuffer(piece)
        }
        guard partial.readableBytes == partialSize else { return nil }
        partialSize = 0
        defer { partial = ByteBuffer() }
        return partial
    }

    private mutating func reserve(_ count: Int) {
        let needed = partial.readableBytes + count
        guard needed > partial.capacity else { return }
        partial.reserveCapacity(min(partialSize, max(needed, 2 * partial.capacity, 64 << 10)))
    }

    /// The bytes that arrived and belong to no frame that was handed out.
    public var pendingBytes: Int { rest.readableBytes + partial.readableBytes }

    /// The memory that is held for the frame that spans reads.
    var capacity: Int { partial.capacity }
}
