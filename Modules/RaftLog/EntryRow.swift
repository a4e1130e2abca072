import Model
import Raft
import RecordBatch

/// Where an entry's payload lies.
public struct EntryFlags: OptionSet, Sendable {
    /// The bits, as on disk.
    public let rawValue: UInt8
    /// Takes the bits.
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    /// The payload is no record batch and lies in the side file.
    public static let side = EntryFlags(rawValue: 1)
    /// Reserved: the payload was replaced by compaction; `chain` still is the original's.
    public static let compacted = EntryFlags(rawValue: 2)
}

/// One entry without its payload: what the log's index keeps of it.
///
/// - Shape on disk: 64 bytes little endian: term 8, base offset 8, max timestamp 8, position 8,
///   chain 8, length 4, offset count 4, payload CRC-32C 4, type 1, flags 1, zero 6, row CRC 4.
///   The index is not stored: a row's place in its file says it, and the row's CRC is seeded with
///   group and index, so that a row in a wrong place does not verify.
public struct EntryRow: Equatable, Sendable {
    /// The entry's place in the log.
    public var index: LogIndex
    /// The term of the leader that appended it.
    public var term: Term
    /// The first offset of its records; without records, the next one.
    public var baseOffset: Offset
    /// The largest timestamp of its records in Unix milliseconds; -1 without records.
    public var maxTimestamp: Int64
    /// The payload's first byte in its segment's `.log` or `.side` file.
    public var position: UInt64
    /// The running hash up to and with this entry.
    public var chain: UInt64
    /// The payload's length in bytes.
    var lengthBytes: UInt32
    /// How many offsets the entry takes: last offset delta + 1, or 0 without records.
    public var offsetCount: Int32
    /// The payload's CRC-32C.
    public var payloadCRC: UInt32
    /// What the payload is, as `EntryType`.
    public var typeCode: UInt8
    /// Where the payload lies.
    public var flags: EntryFlags

    /// The payload's length in bytes.
    public var length: Int { Int(lengthBytes) }
    /// What the payload is.
    public var type: EntryType { EntryType(rawValue: typeCode) ?? .normal }
    /// The offset after the entry's last record.
    public var nextOffset: Offset { baseOffset + Int64(offsetCount) }
    /// Whether the entry is a record batch.
    public var isBatch: Bool { offsetCount > 0 }

    /// Where the batches end after this entry; means nothing for a row of the side file.
    var logEnd: UInt64 { isBatch ? position &+ UInt64(lengthBytes) : position }

    /// The size of a row on disk in bytes.
    public static let diskBytes = 64

    /// Writes the row's bytes to `target`, the CRC last.
    func store(to target: UnsafeMutableRawPointer, group: RaftGroupID) {
        storeFields(to: target)
        let seed = Self.seed(group, index)
        let crc = Checksum.crc(UnsafeRawBufferPointer(start: target, count: 60), seed: seed)
        target.storeBytes(of: crc.littleEndian, toByteOffset: 60, as: UInt32.self)
    }

    /// Writes the row's bytes with a zero in the place of the CRC.
    func storeFields(to target: UnsafeMutableRawPointer) {
        target.storeBytes(of: term.rawValue.littleEndian, toByteOffset: 0, as: UInt64.self)
        target.storeBytes(of: baseOffset.rawValue.littleEndian, toByteOffset: 8, as: Int64.self)
        target.storeBytes(of: maxTimestamp.littleEndian, toByteOffset: 16, as: Int64.self)
        target.storeBytes(of: position.littleEndian, toByteOffset: 24, as: UInt64.self)
        target.storeBytes(of: chain.littleEndian, toByteOffset: 32, as: UInt64.self)
        target.storeBytes(of: lengthBytes.littleEndian, toByteOffset: 40, as: UInt32.self)
        target.storeBytes(of: offsetCount.littleEndian, toByteOffset: 44, as: Int32.self)
        target.storeBytes(of: payloadCRC.littleEndian, toByteOffset: 48, as: UInt32.self)
        target.storeBytes(of: typeCode, toByteOffset: 52, as: UInt8.self)
        target.storeBytes(of: flags.rawValue, toByteOffset: 53, as: UInt8.self)
        target.storeBytes(of: 0, toByteOffset: 54, as: UInt16.self)
        target.storeBytes(of: 0, toByteOffset: 56, as: UInt64.self)
    }

    /// Reads a row at `index` of `group`; nil unless its CRC is right.
    init?(verifying bytes: UnsafeRawBufferPointer, group: RaftGroupID, index: LogIndex) {
        guard bytes.count >= Self.diskBytes else { return nil }
        let seed = Self.seed(group, index)
        let crc = Checksum.crc(UnsafeRawBufferPointer(rebasing: bytes[..<60]), seed: seed)
        let stored = bytes.loadUnaligned(fromByteOffset: 60, as: UInt32.self)
        guard crc == UInt32(littleEndian: stored) else { return nil }
        self.init(fields: bytes, index: index)
        guard EntryType(rawValue: typeCode) != nil else { return nil }
    }

    /// Reads the fields of a row whose checksum is somebody else's concern.
    init(fields bytes: UnsafeRawBufferPointer, index: LogIndex) {
        func word(_ place: Int) -> UInt64 {
            UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self))
        }
        func half(_ place: Int) -> UInt32 {
            UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self))
        }
        self.index = index
        term = Term(word(0))
        baseOffset = Offset(Int64(bitPattern: word(8)))
        maxTimestamp = Int64(bitPattern: word(16))
        position = word(24)
        chain = word(32)
        lengthBytes = half(40)
        offsetCount = Int32(bitPattern: half(44))
        payloadCRC = half(48)
        typeCode = bytes[52]
        flags = EntryFlags(rawValue: bytes[53])
    }

    /// An entry about to be appended; `position` is not known yet.
    init(
        index: LogIndex,
        term: Term,
        type: EntryType,
        flags: EntryFlags,
        baseOffset: Offset,
        offsetCount: Int32,
        maxTimestamp: Int64,
        length: Int,
        payloadCRC: UInt32,
        chain: UInt64
    ) {
        self.index = index
        self.term = term
        self.baseOffset = baseOffset
        self.maxTimestamp = maxTimestamp
        self.position = 0
        self.chain = chain
        self.lengthBytes = UInt32(length)
        self.offsetCount = offsetCount
        self.payloadCRC = payloadCRC
        self.typeCode = type.rawValue
        self.flags = flags
    }

    private static func seed(_ group: RaftGroupID, _ index: LogIndex) -> UInt32 {
        let words = (group.rawValue.littleEndian, index.rawValue.littleEndian)
        return withUnsafeBytes(of: words) { Checksum.crc($0) }
    }
}

extension EntryRow {
    /// Whether a batch that begins with these bytes may be this entry's.
    ///
    /// What no checksum covers without the whole batch is at least not a hole or another batch.
    func agrees(with header: [UInt8]) -> Bool {
        guard let header = RecordBatchHeader(header) else { return false }
        return header.magic == 2 && header.batchSize == length && header.baseOffset == baseOffset
            && header.offsetCount == offsetCount && header.maxTimestamp == maxTimestamp
    }
}
