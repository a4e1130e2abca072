import Disk
import Model
import Raft

/// How the reading of a write-ahead log ended.
enum WALEnd: Equatable, Sendable {
    /// After a whole frame, or after the torn last one, which was never acknowledged.
    case tail(WALPosition)
    /// At a bad frame with a valid one after it: something acknowledged is missing.
    case hole(WALPosition)
}

/// One whole, verified frame.
struct ScannedFrame {
    var header: FrameHeader
    /// Which of the scanner's files it is in, and where its payloads begin.
    var file: Int
    var payloads: UInt64
    var records: [(group: RaftGroupID, record: WALRecord)]
    var bytes: [UInt8]
}

/// Reads the frames of a write-ahead log in order, verifies them, and says how it ends.
///
/// - Thread: any; writes nothing.
struct WALScanner {
    /// A file and where it stands in the log.
    struct File {
        var file: any OpenFile
        var sequence: UInt64
        var bytes: UInt64
    }

    /// All files with a sequence, in its order.
    let files: [File]
    private let id: DirectoryID
    private var place: WALPosition
    private(set) var end: WALEnd?
    /// Whether the log ends with a frame of which only a part was written.
    private(set) var hasTornEnd = false

    init(files: [File], id: DirectoryID, from place: WALPosition) {
        self.files = files.sorted { $0.sequence < $1.sequence }
        self.id = id
        self.place = place
    }

    /// Opens the log's files; with `syncs` each is synced first, so that nothing is believed that
    /// only the page cache has.
    ///
    /// - Parameter opened: called with the number of files after each of them.
    static func open(
        _ directory: String,
        _ id: DirectoryID,
        _ files: any FileStore,
        syncs: Bool,
        opened: (Int) -> Void = { _ in }
    ) throws(RaftLogError) -> [File] {
        var found: [File] = []
        let names = try reading { () throws(DiskError) in try files.list(directory) }
        for name in names where name.hasSuffix(".wal") {
            let path = "\(directory)/\(name)"
            let (file, size, block) = try reading { () throws(DiskError) in
                let file = try files.open(path, syncs ? .write : .read)
                if syncs { try file.sync() }
                return (file, try file.size(), try file.read(WALFormat.blockBytes, at: 0))
            }
            var sequence = try WALFormat.fileSequence(in: block, id, path: path)
            let first = UInt64(WALFormat.blockBytes)
            if let known = sequence {
                // A header that the disk has lost is an earlier life's; the first frame is not.
                sequence = max(known, try probe(file, first, id, size: size) ?? 0)
            } else {
                // Nor is the first frame that verifies, if the disk has lost what stood before it.
                for position in stride(from: first, to: size, by: WALFormat.blockBytes) {
                    guard let told = try probe(file, position, id, size: size) else { continue }
                    sequence = max(told, sequence ?? 0)
                }
            }
            found.append(File(file: file, sequence: sequence ?? 0, bytes: size))
            opened(found.count)
        }
        return found
    }

    /// The sequence that a frame says its file has; nil if no frame verifies there.
    private static func probe(
        _ file: any OpenFile,
        _ position: UInt64,
        _ id: DirectoryID,
        size: UInt64
    ) throws(RaftLogError) -> UInt64? {
        guard position < size else { return nil }
        let block = try reading { () throws(DiskError) in
            try file.read(WALFormat.frameHeaderBytes, at: position)
        }
        guard let header = block.withUnsafeBytes({ FrameHeader($0, left: size - position) }) else {
            return nil
        }
        let candidate = File(file: file, sequence: header.file, bytes: size)
        return try head(candidate, position, id) == nil ? nil : header.file
    }

    /// The next frame; nil at the end, which ``end`` then describes.
    mutating func next() throws(RaftLogError) -> ScannedFrame? {
        guard end == nil else { return nil }
        if let here = files.firstIndex(where: { $0.sequence == place.file }) {
            if let frame = try frame(here, place.position), frame.header.frame == place.frame,
                frame.header.recordCount > 0
            {
                place.position += UInt64(frame.header.bytes)
                place.frame += 1
                return frame
            }
        }
        // The log may go on in the next file, where its first frame then stands.
        let following = files.firstIndex { $0.sequence == place.file + 1 }
        let block = UInt64(WALFormat.blockBytes)
        if let following, let frame = try frame(following, block),
            frame.header.frame == place.frame
        {
            place = WALPosition(file: place.file + 1, position: block, frame: place.frame)
            if frame.header.recordCount > 0 { return try next() }
        }
        end = try hasLaterFrame() ? .hole(place) : .tail(place)
        if end == .tail(place) { hasTornEnd = try isTorn(place) }
        return nil
    }

    /// Whether the frame at a place was begun: its header has the right numbers, and it does not
    /// verify.
    private func isTorn(_ place: WALPosition) throws(RaftLogError) -> Bool {
        guard let here = files.firstIndex(where: { $0.sequence == place.file }),
            place.position < files[here].bytes
        else { return false }
        let file = files[here]
        let block = try reading { () throws(DiskError) in
            try file.file.read(WALFormat.frameHeaderBytes, at: place.position)
        }
        let header = block.withUnsafeBytes { FrameHeader($0, left: file.bytes - place.position) }
        // A seal has no records, and nobody misses it.
        guard let header, header.file == place.file, header.frame == place.frame,
            header.recordCount > 0
        else { return false }
        return try frame(here, place.position) == nil
    }

    /// Whether any frame with a higher number verifies: then the one at the place was durable.
    ///
    /// A frame of the same number proves nothing: it is a seal, or the torn frame itself.
    private func hasLaterFrame() throws(RaftLogError) -> Bool {
        for file in files where file.sequence >= place.file {
            var position = file.sequence == place.file ? place.position : 4096
            while position < file.bytes {
                if let header = try Self.head(file, position, id)?.header {
                    if header.frame > place.frame { return true }
                }
                position += UInt64(WALFormat.blockBytes)
            }
        }
        return false
    }

    /// A frame whose header and records verify.
    private static func head(
        _ file: File,
        _ position: UInt64,
        _ id: DirectoryID
    ) throws(RaftLogError) -> (header: FrameHeader, bytes: [UInt8])? {
        let handle = file.file
        guard position < file.bytes else { return nil }
        let first = try reading { () throws(DiskError) in
            try handle.read(WALFormat.frameHeaderBytes, at: position)
        }
        let header = first.withUnsafeBytes { FrameHeader($0, left: file.bytes - position) }
        guard let header, header.file == file.sequence else { return nil }
        let length = WALFormat.frameHeaderBytes + header.recordBytes
        let bytes = try reading { () throws(DiskError) in try handle.read(length, at: position) }
        guard bytes.count == length else { return nil }
        let seed = WALFormat.seed(id, file: file.sequence, position: position)
        let isRight = bytes.withUnsafeBytes { all in
            let own = Checksum.crc(UnsafeRawBufferPointer(rebasing: all[..<60]), seed: seed)
            let records = UnsafeRawBufferPointer(rebasing: all[WALFormat.frameHeaderBytes...])
            let stored = all.loadUnaligned(fromByteOffset: 60, as: UInt32.self)
            return Checksum.crc(records, seed: own) == UInt32(littleEndian: stored)
        }
        return isRight ? (header, bytes) : nil
    }

    /// A frame that verifies wholly, payloads included.
    private func frame(_ index: Int, _ position: UInt64) throws(RaftLogError) -> ScannedFrame? {
        let file = files[index]
        guard let (header, head) = try Self.head(file, position, id) else { return nil }
        let start = UInt64(head.count)
        let handle = file.file
        let payloads = try reading { () throws(DiskError) in
            try handle.read(header.payloadBytes, at: position + start)
        }
        guard payloads.count == header.payloadBytes else { return nil }
        var records: [(group: RaftGroupID, record: WALRecord)] = []
        do {
            var reader = ByteReader(head[WALFormat.frameHeaderBytes...])
            for _ in 0..<header.recordCount { records.append(try WALRecord.read(&reader)) }
        } catch {
            // The checksum is right: written by a program that knows more than this one.
            throw .damaged(path: handle.path, reason: "frame \(header.frame): \(error)")
        }
        for (_, record) in records {
            guard case .entry(let row) = record else { continue }
            guard row.position <= UInt64(payloads.count),
                row.length <= payloads.count - Int(row.position)
            else { return nil }
            let from = Int(row.position)
            let crc = payloads.withUnsafeBytes {
                Checksum.crc(UnsafeRawBufferPointer(rebasing: $0[from..<from + row.length]))
            }
            guard crc == row.payloadCRC else { return nil }
        }
        return ScannedFrame(
            header: header,
            file: index,
            payloads: position + start,
            records: records,
            bytes: payloads
        )
    }
}
