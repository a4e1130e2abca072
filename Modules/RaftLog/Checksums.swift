import Model
import RecordBatch

/// The checksums of the formats.
enum Checksum {
    /// CRC-32C of some bytes, going on from `seed`.
    static func crc(_ bytes: UnsafeRawBufferPointer, seed: UInt32 = 0) -> UInt32 {
        crc32c(bytes, continuing: seed)
    }

    /// CRC-32C of an array.
    static func crc(_ bytes: [UInt8], seed: UInt32 = 0) -> UInt32 {
        bytes.withUnsafeBytes { crc($0, seed: seed) }
    }
}

/// The running hash of a log: equal exactly where two logs are equal up to an index.
///
/// - Source: ARCHITECTURE.md section 5; H is XXH64 with seed 0 over little-endian fields.
enum Chain {
    /// The hash before the first entry: H(group id, topic UUID, partition).
    static func start(_ group: RaftGroupID, _ topic: TopicID, _ partition: PartitionID) -> UInt64 {
        withUnsafeTemporaryAllocation(byteCount: 28, alignment: 8) { bytes in
            bytes.storeBytes(of: group.rawValue.littleEndian, toByteOffset: 0, as: UInt64.self)
            bytes.storeBytes(of: topic.id.high.bigEndian, toByteOffset: 8, as: UInt64.self)
            bytes.storeBytes(of: topic.id.low.bigEndian, toByteOffset: 16, as: UInt64.self)
            bytes.storeBytes(of: partition.rawValue.littleEndian, toByteOffset: 24, as: Int32.self)
            return xxh64(UnsafeRawBufferPointer(bytes), seed: 0)
        }
    }

    /// The hash after an entry: H(previous, term, index, type, payload CRC).
    static func next(
        after previous: UInt64,
        term: Term,
        index: LogIndex,
        type: UInt8,
        payloadCRC: UInt32
    ) -> UInt64 {
        withUnsafeTemporaryAllocation(byteCount: 29, alignment: 8) { bytes in
            bytes.storeBytes(of: previous.littleEndian, toByteOffset: 0, as: UInt64.self)
            bytes.storeBytes(of: term.rawValue.littleEndian, toByteOffset: 8, as: UInt64.self)
            bytes.storeBytes(of: index.rawValue.littleEndian, toByteOffset: 16, as: UInt64.self)
            bytes.storeBytes(of: type, toByteOffset: 24, as: UInt8.self)
            bytes.storeBytes(of: payloadCRC.littleEndian, toByteOffset: 25, as: UInt32.self)
            return xxh64(UnsafeRawBufferPointer(bytes), seed: 0)
        }
    }
}
