/// A codec of Kafka's record batches; the raw value stands in the batch's attributes.
public enum CompressionCodec: Int, CaseIterable, Sendable {
    /// The records as they are.
    case none = 0
    /// RFC 1952, by zlib.
    case gzip = 1
    /// Snappy, bare or in the framing of Java's library.
    case snappy = 2
    /// The LZ4 frame format.
    case lz4 = 3
    /// Zstandard.
    case zstd = 4

    /// Kafka's name of the codec, as in `compression.type`.
    public var name: String { "\(self)" }

    /// Finds a codec by its name; nil for an unknown one.
    public init?(name: some StringProtocol) {
        guard let codec = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = codec
    }
}

/// Why bytes could not be compressed or decompressed.
public enum CompressionError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The bytes are not a whole, sound stream of the codec.
    case damaged(CompressionCodec)
    /// The stream holds more than the caller takes.
    case tooLarge(limit: Int)
    /// The library failed, mostly for lack of memory.
    case failed(CompressionCodec)

    /// One sentence for a person.
    public var description: String {
        switch self {
        case .damaged(let codec): "damaged \(codec.name) stream"
        case .tooLarge(let limit): "more than \(limit) bytes when decompressed"
        case .failed(let codec): "the \(codec.name) library failed"
        }
    }
}

extension CompressionCodec {
    /// Compresses the records of a batch.
    ///
    /// - Throws: ``CompressionError/failed(_:)`` when the library has no memory.
    public func compress(_ bytes: [UInt8]) throws(CompressionError) -> [UInt8] {
        switch self {
        case .none: bytes
        case .gzip: try GzipStream.compress(bytes)
        case .snappy: try SnappyBlocks.compress(bytes)
        case .lz4: try LZ4Frame.compress(bytes)
        case .zstd: try ZstdFrame.compress(bytes)
        }
    }

    /// Decompresses the records of a batch into at most `limit` bytes.
    ///
    /// - Throws: ``CompressionError/tooLarge(limit:)`` as soon as it is known that there are more
    ///   bytes than that, ``CompressionError/damaged(_:)`` for anything but a whole stream.
    public func decompress(
        _ bytes: UnsafeRawBufferPointer,
        limit: Int
    ) throws(CompressionError) -> [UInt8] {
        precondition(limit >= 0, "a limit of \(limit) bytes")
        switch self {
        case .none:
            guard bytes.count <= limit else { throw .tooLarge(limit: limit) }
            return [UInt8](bytes)
        case .gzip: return try GzipStream.decompress(bytes, limit: limit)
        case .snappy: return try SnappyBlocks.decompress(bytes, limit: limit)
        case .lz4: return try LZ4Frame.decompress(bytes, limit: limit)
        case .zstd: return try ZstdFrame.decompress(bytes, limit: limit)
        }
    }

    /// Decompresses an array; see ``decompress(_:limit:)-(UnsafeRawBufferPointer,_)``.
    public func decompress(_ bytes: [UInt8], limit: Int) throws(CompressionError) -> [UInt8] {
        let result = bytes.withUnsafeBytes { input in
            Result { () throws(CompressionError) in try decompress(input, limit: limit) }
        }
        return try result.get()
    }
}
