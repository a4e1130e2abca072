public import NIOCore

/// The bounds of the inter-broker wire format.
public enum InterBrokerLimits {
    /// No request or answer carries more bytes of JSON; 16 MiB.
    public static let frameBytesMax = 16 << 20
    /// The bytes before a request's JSON: type and length.
    public static let requestHeaderBytes = 8
    /// The bytes before an answer's JSON: the length.
    public static let responseHeaderBytes = 4
}

/// Why bytes are no frame; the connection that carried them is of no more use.
public enum FrameError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The length is below zero.
    case lengthNegative(Int32)
    /// The length is above the limit.
    case lengthOverLimit(Int, limit: Int)
    /// No request of this number exists.
    case unknownType(Int32)

    /// A sentence for the log and for the answer.
    public var description: String {
        switch self {
        case .lengthNegative(let length): "negative frame length \(length)"
        case .lengthOverLimit(let length, let limit):
            "frame length \(length) exceeds the limit of \(limit) bytes"
        case .unknownType(let type): "unknown request type \(type)"
        }
    }
}

/// One whole request as it came from the wire.
public struct RequestFrame: Equatable, Sendable {
    /// What is asked.
    public var type: InterBrokerRequestType
    /// The JSON text, not looked at yet.
    public var body: ByteBuffer

    /// Joins a type and its JSON.
    public init(type: InterBrokerRequestType, body: ByteBuffer) {
        self.type = type
        self.body = body
    }

    /// Appends the frame to `buffer`.
    ///
    /// - Shape: int32 type, int32 length, JSON; big endian.
    /// - Throws: `lengthOverLimit`, with nothing written.
    public func write(to buffer: inout ByteBuffer) throws(FrameError) {
        let length = try checkedLength(body.readableBytes, InterBrokerLimits.frameBytesMax)
        buffer.writeInteger(type.rawValue)
        buffer.writeInteger(length)
        buffer.writeImmutableBuffer(body)
    }
}

/// Appends an answer to `buffer`.
///
/// - Shape: int32 length, JSON; big endian.
/// - Throws: `lengthOverLimit`, with nothing written.
public func writeResponseFrame(
    _ body: ByteBuffer,
    to buffer: inout ByteBuffer
) throws(FrameError) {
    let length = try checkedLength(body.readableBytes, InterBrokerLimits.frameBytesMax)
    buffer.writeInteger(length)
    buffer.writeImmutableBuffer(body)
}

private func checkedLength(_ count: Int, _ limit: Int) throws(FrameError) -> Int32 {
    guard count <= limit else { throw .lengthOverLimit(count, limit: limit) }
    return Int32(count)
}

/// Refuses a length from outside before anything is allocated for it.
private func validateLength(_ length: Int32, limit: Int) throws(FrameError) -> Int {
    guard length >= 0 else { throw .lengthNegative(length) }
    guard length <= limit else { throw .lengthOverLimit(Int(length), limit: limit) }
    return Int(length)
}

/// Cuts a byte stream into requests, whatever the pieces in which it arrives.
///
/// - Invariant: holds no more than one read's bytes beyond a frame within the limit, and nothing
///   of a frame whose type or length is refused. After an error the decoder is not used again.
public struct RequestFrameDecoder: Sendable {
    private let limit: Int
    private var accumulated = ByteBuffer()

    /// Makes a decoder that refuses frames with more than `limit` bytes of JSON.
    public init(limit: Int = InterBrokerLimits.frameBytesMax) {
        self.limit = min(limit, InterBrokerLimits.frameBytesMax)
    }

    /// Takes bytes as they arrived.
    public mutating func append(_ bytes: ByteBuffer) {
        accumulate(bytes, into: &accumulated)
    }

    /// The next whole request, or nil until more bytes arrive.
    public mutating func next() throws(FrameError) -> RequestFrame? {
        let start = accumulated.readerIndex
        guard let rawType = accumulated.getInteger(at: start, as: Int32.self) else { return nil }
        guard let type = InterBrokerRequestType(rawValue: rawType) else {
            throw .unknownType(rawType)
        }
        guard let rawLength = accumulated.getInteger(at: start + 4, as: Int32.self) else {
            return nil
        }
        let length = try validateLength(rawLength, limit: limit)
        let whole = InterBrokerLimits.requestHeaderBytes + length
        guard accumulated.readableBytes >= whole, var frame = accumulated.readSlice(length: whole)
        else { return nil }
        frame.moveReaderIndex(forwardBy: InterBrokerLimits.requestHeaderBytes)
        return RequestFrame(type: type, body: frame)
    }

    /// The bytes that belong to no whole request yet.
    public var pendingBytes: Int { accumulated.readableBytes }
}

/// Cuts a byte stream into answers, whatever the pieces in which it arrives.
///
/// - Invariant: as for `RequestFrameDecoder`.
public struct ResponseFrameDecoder: Sendable {
    private let limit: Int
    private var accumulated = ByteBuffer()

    /// Makes a decoder that refuses frames with more than `limit` bytes of JSON.
    public init(limit: Int = InterBrokerLimits.frameBytesMax) {
        self.limit = min(limit, InterBrokerLimits.frameBytesMax)
    }

    /// Takes bytes as they arrived.
    public mutating func append(_ bytes: ByteBuffer) {
        accumulate(bytes, into: &accumulated)
    }

    /// The next whole answer's JSON, or nil until more bytes arrive.
    public mutating func next() throws(FrameError) -> ByteBuffer? {
        let start = accumulated.readerIndex
        guard let rawLength = accumulated.getInteger(at: start, as: Int32.self) else { return nil }
        let length = try validateLength(rawLength, limit: limit)
        let whole = InterBrokerLimits.responseHeaderBytes + length
        guard accumulated.readableBytes >= whole, var frame = accumulated.readSlice(length: whole)
        else { return nil }
        frame.moveReaderIndex(forwardBy: InterBrokerLimits.responseHeaderBytes)
        return frame
    }

    /// The bytes that belong to no whole answer yet.
    public var pendingBytes: Int { accumulated.readableBytes }
}

private func accumulate(_ bytes: ByteBuffer, into accumulated: inout ByteBuffer) {
    if accumulated.readableBytes == 0 {
        accumulated = bytes
    } else {
        accumulated.discardReadBytes()
        accumulated.writeImmutableBuffer(bytes)
    }
}
