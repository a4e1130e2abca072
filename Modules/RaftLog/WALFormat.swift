import Model

/// The write-ahead log's fixed numbers and headers.
///
/// - Shape: a WAL file is a header block of 4096 bytes and then frames; a frame is one group
///   commit, begins at a multiple of 4096 and is padded to one. Everything is little endian.
enum WALFormat {
    /// Frames begin and end at multiples of this.
    static let blockBytes = 4096
    static let version: UInt16 = 1
    /// `MRTLTWAL` in the file's byte order.
    static let fileMagic: UInt64 = 0x4c41_5754_4c54_524d
    /// `MRTF` in the file's byte order.
    static let frameMagic: UInt32 = 0x4654_524d
    static let frameHeaderBytes = 64
    static let recordHeaderBytes = 16
    /// An entry's record: record header, index, row.
    static let entryRecordBytes = recordHeaderBytes + 8 + EntryRow.diskBytes

    static func padded(_ bytes: Int) -> Int {
        (bytes + blockBytes - 1) / blockBytes * blockBytes
    }

    /// What a frame's checksum starts from: bytes of another directory, of the file's earlier
    /// life or of another place never verify.
    static func seed(_ directory: DirectoryID, file: UInt64, position: UInt64) -> UInt32 {
        let words = (
            directory.id.high.littleEndian, directory.id.low.littleEndian,
            file.littleEndian, position.littleEndian
        )
        return withUnsafeBytes(of: words) { Checksum.crc($0) }
    }

    /// The first block of a WAL file; `sequence` 0 marks a file that was never used.
    static func fileHeader(_ directory: DirectoryID, sequence: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(fileMagic)
        writer.put(UInt32(version))
        writer.put(UInt32(blockBytes))
        writer.put(directory.id)
        writer.put(sequence)
        writer.putCRC()
        writer.pad(to: blockBytes)
        return writer.bytes
    }

    /// The sequence in a file's first block; nil when it is not a header of this directory.
    static func fileSequence(
        in block: [UInt8],
        _ directory: DirectoryID,
        path: String
    ) throws(RaftLogError) -> UInt64? {
        guard block.count >= 44 else { return nil }
        var reader = ByteReader(block[..<44])
        do {
            guard try reader.take(UInt64.self) == fileMagic else { return nil }
            let version = try reader.take(UInt32.self)
            _ = try reader.take(UInt32.self)
            let owner = try reader.takeID()
            let sequence = try reader.take(UInt64.self)
            let crc = try reader.take(UInt32.self)
            guard crc == Checksum.crc(Array(block[..<40])) else { return nil }
            guard version == UInt32(Self.version) else {
                throw RaftLogError.unsupportedVersion(path: path, version: version)
            }
            guard owner == directory.id else { return nil }
            return sequence
        } catch let error as RaftLogError { throw error } catch { return nil }
    }
}

/// The first 64 bytes of a frame.
///
/// - Shape: magic 4, version 2, zero 2, file 8, frame 8, padded bytes 4, records 4, record bytes 4,
///   payload bytes 4, zero 20, CRC-32C 4 of the other header bytes and the records. Payloads follow
///   the records; each is covered by the payload CRC in its entry's record.
struct FrameHeader: Equatable {
    var file: UInt64
    var frame: UInt64
    var bytes: Int
    var recordCount: Int
    var recordBytes: Int
    var payloadBytes: Int

    func store(to target: UnsafeMutableRawPointer, seed: UInt32, records: UnsafeRawBufferPointer) {
        target.initializeMemory(as: UInt8.self, repeating: 0, count: WALFormat.frameHeaderBytes)
        func put<Value: FixedWidthInteger>(_ value: Value, _ place: Int) {
            target.storeBytes(of: value.littleEndian, toByteOffset: place, as: Value.self)
        }
        put(WALFormat.frameMagic, 0)
        put(WALFormat.version, 4)
        put(file, 8)
        put(frame, 16)
        put(UInt32(bytes), 24)
        put(UInt32(recordCount), 28)
        put(UInt32(recordBytes), 32)
        put(UInt32(payloadBytes), 36)
        let own = Checksum.crc(UnsafeRawBufferPointer(start: target, count: 60), seed: seed)
        put(Checksum.crc(records, seed: own), 60)
    }

    /// Reads a header without verifying it; nil when its numbers cannot be right.
    init?(_ header: UnsafeRawBufferPointer, left: UInt64) {
        guard header.count >= WALFormat.frameHeaderBytes else { return nil }
        func word(_ place: Int) -> UInt64 {
            UInt64(littleEndian: header.loadUnaligned(fromByteOffset: place, as: UInt64.self))
        }
        func half(_ place: Int) -> Int {
            Int(UInt32(littleEndian: header.loadUnaligned(fromByteOffset: place, as: UInt32.self)))
        }
        let version = header.loadUnaligned(fromByteOffset: 4, as: UInt16.self)
        guard half(0) == Int(WALFormat.frameMagic),
            UInt16(littleEndian: version) == WALFormat.version
        else { return nil }
        file = word(8)
        frame = word(16)
        bytes = half(24)
        recordCount = half(28)
        recordBytes = half(32)
        payloadBytes = half(36)
        let content = WALFormat.frameHeaderBytes + recordBytes + payloadBytes
        guard WALFormat.padded(content) == bytes, UInt64(bytes) <= left,
            recordCount <= recordBytes / WALFormat.recordHeaderBytes
        else { return nil }
    }

    init(
        file: UInt64,
        frame: UInt64,
        recordCount: Int,
        recordBytes: Int,
        payloadBytes: Int
    ) {
        self.file = file
        self.frame = frame
        self.bytes = WALFormat.padded(WALFormat.frameHeaderBytes + recordBytes + payloadBytes)
        self.recordCount = recordCount
        self.recordBytes = recordBytes
        self.payloadBytes = payloadBytes
    }
}
