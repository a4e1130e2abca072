public import Model

/// The header of a Kafka record batch of format 2.
///
/// - Shape: 61 bytes, big endian: base offset 0, length 8, leader epoch 12, magic 16, CRC 17,
///   attributes 21, last offset delta 23, base timestamp 27, max timestamp 35, producer id 43,
///   producer epoch 51, base sequence 53, record count 57; the records follow.
/// - Invariant: the CRC covers everything from the attributes on, so that the leader may stamp
///   base offset and epoch without touching it.
/// - Source: Kafka message format v2 (KIP-98).
public struct RecordBatchHeader: Equatable, Sendable {
    /// The size of a header: no batch is smaller.
    public static let size = 61
    /// The bytes before those that the length counts.
    public static let lengthPrefix = 12
    /// The bytes that a leader stamps: base offset, length and leader epoch.
    public static let stampedSize = 16

    /// The offset of the first record.
    public var baseOffset: Offset
    /// The batch's size less 12.
    public var length: Int32
    /// The term in which the leader appended it.
    public var leaderEpoch: Int32
    /// The format; only 2 exists here.
    public var magic: Int8
    /// The checksum that the producer computed.
    public var crc: UInt32
    /// The flags and the codec.
    public var attributes: Attributes
    /// The offset of the last record less the base offset.
    public var lastOffsetDelta: Int32
    /// Milliseconds since 1970 that the records' deltas start from.
    public var baseTimestamp: Int64
    /// The greatest timestamp of a record.
    public var maxTimestamp: Int64
    /// The idempotent producer, or -1.
    public var producerID: Int64
    /// The producer's epoch, or -1.
    public var producerEpoch: Int16
    /// The sequence number of the first record, or -1.
    public var baseSequence: Int32
    /// How many records follow.
    public var recordCount: Int32

    /// The flags of a batch.
    public struct Attributes: OptionSet, Sendable {
        /// The bits.
        public let rawValue: Int16
        /// Takes the bits.
        public init(rawValue: Int16) { self.rawValue = rawValue }
        /// The broker set the timestamps.
        public static let logAppendTime = Attributes(rawValue: 1 << 3)
        /// The batch belongs to a transaction.
        public static let transactional = Attributes(rawValue: 1 << 4)
        /// The batch holds a marker instead of data.
        public static let control = Attributes(rawValue: 1 << 5)
        /// The number of the codec: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
        public var codec: Int { Int(rawValue & 7) }
    }

    /// Reads a header; nil when there are too few bytes for one.
    public init?(_ bytes: UnsafeRawBufferPointer) {
        guard bytes.count >= Self.size else { return nil }
        func load<T: FixedWidthInteger>(_ position: Int, _ type: T.Type) -> T {
            T(bigEndian: bytes.loadUnaligned(fromByteOffset: position, as: T.self))
        }
        baseOffset = Offset(load(0, Int64.self))
        length = load(8, Int32.self)
        leaderEpoch = load(12, Int32.self)
        magic = load(16, Int8.self)
        crc = load(17, UInt32.self)
        attributes = Attributes(rawValue: load(21, Int16.self))
        lastOffsetDelta = load(23, Int32.self)
        baseTimestamp = load(27, Int64.self)
        maxTimestamp = load(35, Int64.self)
        producerID = load(43, Int64.self)
        producerEpoch = load(51, Int16.self)
        baseSequence = load(53, Int32.self)
        recordCount = load(57, Int32.self)
    }

    /// Reads a header from the start of an array; nil when it is too short.
    public init?(_ bytes: [UInt8]) {
        guard let header = bytes.withUnsafeBytes({ RecordBatchHeader($0) }) else { return nil }
        self = header
    }

    /// The size of the whole batch in bytes, as its length field says.
    public var batchSize: Int { Int(length) + Self.lengthPrefix }
    /// How many offsets the batch takes.
    public var offsetCount: Int32 { lastOffsetDelta &+ 1 }
    /// The offset of the last record.
    public var lastOffset: Offset { Offset(baseOffset.rawValue &+ Int64(lastOffsetDelta)) }
    /// The sequence number of the last record; wraps from `Int32.max` to 0.
    public var lastSequence: Int32 {
        guard baseSequence >= 0 else { return -1 }
        return (baseSequence &+ lastOffsetDelta) & Int32.max
    }
    /// Whether an idempotent producer wrote it.
    public var hasProducer: Bool { producerID >= 0 }
}

/// Why a batch from a producer is refused.
public enum RecordBatchError: Error, Equatable, Sendable {
    /// Fewer bytes than a header has, or another size than its length says.
    case badSize
    /// Not format 2.
    case badMagic(Int8)
    /// The bytes are not those of the checksum.
    case badChecksum
    /// No records, or a count that does not fit the offsets.
    case badCount
    /// A codec that does not exist.
    case unknownCodec(Int)
    /// A marker, a broker's timestamp or a producer without sequence, which clients cannot send.
    case badAttributes
}

extension RecordBatchHeader {
    /// Checks the only batch of a produce request, without decompressing anything.
    ///
    /// - Source: Kafka's `LogValidator`; records inside are not looked at.
    public static func validate(
        _ bytes: UnsafeRawBufferPointer
    ) -> Result<RecordBatchHeader, RecordBatchError> {
        guard let header = RecordBatchHeader(bytes) else { return .failure(.badSize) }
        guard header.magic == 2 else { return .failure(.badMagic(header.magic)) }
        guard header.length >= 0, header.batchSize == bytes.count else { return .failure(.badSize) }
        guard crc32c(UnsafeRawBufferPointer(rebasing: bytes[21...])) == header.crc else {
            return .failure(.badChecksum)
        }
        guard header.recordCount > 0, header.lastOffsetDelta == header.recordCount - 1 else {
            return .failure(.badCount)
        }
        guard header.attributes.codec <= 4 else {
            return .failure(.unknownCodec(header.attributes.codec))
        }
        guard !header.attributes.contains(.control), !header.attributes.contains(.logAppendTime),
            !header.hasProducer || (header.baseSequence >= 0 && header.producerEpoch >= 0)
        else { return .failure(.badAttributes) }
        return .success(header)
    }
}
