import Disk
import Metadata
import Model
import RecordBatch

/// What a broker's metadata journal consists of: all metadata, or one command that changes them.
///
/// - Shape: CRC-32C 4 (of all that follows), text bytes 4, kind 4, version before 8, version after
///   8, text; little endian. The text is JSON as the controllers wrote it.
struct MetadataFrame: Equatable, Sendable {
    enum Kind: UInt32 {
        /// Everything, in place of whatever was known before.
        case snapshot = 1
        /// One command.
        case command = 2
    }

    let kind: Kind
    /// The version that a command follows, as versions have gaps; 0 for a snapshot.
    let previous: MetadataVersion
    let version: MetadataVersion
    let text: [UInt8]

    private static let headBytes = 28

    static func snapshot(_ text: [UInt8], at version: MetadataVersion) -> Self {
        Self(kind: .snapshot, previous: 0, version: version, text: text)
    }

    static func command(
        _ text: String,
        at version: MetadataVersion,
        after previous: MetadataVersion
    ) -> Self {
        Self(kind: .command, previous: previous, version: version, text: Array(text.utf8))
    }

    var byteCount: Int { Self.headBytes + text.count }

    func write(to bytes: inout [UInt8]) {
        let start = bytes.count
        bytes.append(UInt32(0))
        bytes.append(UInt32(text.count))
        bytes.append(kind.rawValue)
        bytes.append(previous.rawValue)
        bytes.append(version.rawValue)
        bytes += text
        let checksum = bytes.withUnsafeBytes {
            crc32c(UnsafeRawBufferPointer(rebasing: $0[(start + 4)...]))
        }
        withUnsafeBytes(of: checksum.littleEndian) { little in
            for (place, byte) in little.enumerated() { bytes[start + place] = byte }
        }
    }

    /// Reads the frame that begins at a place of a file of `size` bytes.
    static func read(
        from file: any OpenFile,
        at position: UInt64,
        size: UInt64
    ) throws -> MetadataFrame {
        let head = try file.read(headBytes, at: position)
        guard head.count == headBytes else { throw Unreadable(reason: "ends early") }
        let count = head.word(at: 4, as: UInt32.self)
        // Before so much is read: what the head says may be anything.
        guard UInt64(count) <= size - position - UInt64(headBytes) else {
            throw Unreadable(reason: "ends early")
        }
        let text = try file.read(Int(count), at: position + UInt64(headBytes))
        let headChecksum = head.withUnsafeBytes {
            crc32c(UnsafeRawBufferPointer(rebasing: $0[4...]))
        }
        let checksum = text.withUnsafeBytes { crc32c($0, continuing: headChecksum) }
        guard checksum == head.word(at: 0, as: UInt32.self) else {
            throw Unreadable(reason: "wrong checksum")
        }
        let number = head.word(at: 8, as: UInt32.self)
        guard let kind = Kind(rawValue: number) else {
            throw Unreadable(reason: "unknown kind \(number)")
        }
        return MetadataFrame(
            kind: kind,
            previous: MetadataVersion(head.word(at: 12, as: UInt64.self)),
            version: MetadataVersion(head.word(at: 20, as: UInt64.self)),
            text: text
        )
    }

    /// Bytes that are no frame, or none that may stand here.
    struct Unreadable: Error, CustomStringConvertible {
        let reason: String
        var description: String { reason }
    }
}

/// What could be read of a journal.
struct MetadataJournalContent {
    let metadata: ClusterMetadata
    /// The bytes of the snapshot at the beginning, with all that stands before it.
    let snapshotEnd: UInt64
    /// Where the last frame ends that could be used.
    private(set) var end: UInt64
    /// Why it ends there, if the file does not.
    private(set) var damage: String?

    /// `MRTLTMDJ` in the file's byte order, and the version of its form.
    private static let magic: UInt64 = 0x4a44_4d54_4c54_524d
    private static let form: UInt64 = 1
    private static let headBytes = 16

    /// A journal's bytes up to and with its snapshot.
    static func beginning(with snapshot: MetadataFrame) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(headBytes + snapshot.byteCount)
        bytes.append(magic)
        bytes.append(form)
        snapshot.write(to: &bytes)
        return bytes
    }

    /// Reads a journal up to its end, or up to the first frame that is damaged or follows another
    /// version than the one before it.
    ///
    /// - Throws: if not even its snapshot can be used.
    init(of file: any OpenFile) throws {
        let size = try file.size()
        let head = try file.read(Self.headBytes, at: 0)
        guard head.count == Self.headBytes, head.word(at: 0, as: UInt64.self) == Self.magic,
            head.word(at: 8, as: UInt64.self) == Self.form
        else { throw MetadataFrame.Unreadable(reason: "not a journal of this form") }
        end = UInt64(Self.headBytes)
        let snapshot = try MetadataFrame.read(from: file, at: end, size: size)
        guard snapshot.kind == .snapshot else {
            throw MetadataFrame.Unreadable(reason: "no snapshot at the beginning")
        }
        var metadata = try ClusterMetadata(json: snapshot.text)
        end += UInt64(snapshot.byteCount)
        snapshotEnd = end
        do {
            while end < size {
                let frame = try MetadataFrame.read(from: file, at: end, size: size)
                guard frame.kind == .command, frame.previous == metadata.version,
                    frame.version > metadata.version
                else {
                    throw MetadataFrame.Unreadable(
                        reason: "version \(frame.version) follows \(frame.previous)"
                    )
                }
                _ = metadata.apply(try MetadataCommand(json: frame.text), at: frame.version)
                end += UInt64(frame.byteCount)
            }
        } catch {
            damage = "\(error)"
        }
        self.metadata = metadata
    }
}

extension [UInt8] {
    fileprivate mutating func append<Word: FixedWidthInteger>(_ word: Word) {
        Swift.withUnsafeBytes(of: word.littleEndian) { append(contentsOf: $0) }
    }

    /// The little-endian number at a place, which must lie within.
    fileprivate func word<Word: FixedWidthInteger>(at position: Int, as _: Word.Type) -> Word {
        withUnsafeBytes {
            Word(littleEndian: $0.loadUnaligned(fromByteOffset: position, as: Word.self))
        }
    }
}
