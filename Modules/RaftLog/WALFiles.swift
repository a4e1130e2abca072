import Disk
import Model

/// A file of the write-ahead log.
struct WALFile {
    var file: any OpenFile
    /// Which file of the log it is, or was before it became free.
    var sequence: UInt64
    var bytes: UInt64
}

/// The write-ahead log's files: the one that is written, full ones, free ones, and the making of
/// new ones.
///
/// - Thread: the writer's only; new files are zeroed on the reader's.
/// - Invariant: a file is zero-written once, before its first use; then it is renamed and
///   overwritten for ever, never extended and never unlinked.
final class WALFiles {
    let directory: String
    private let id: DirectoryID
    private let files: any FileStore
    private let bytes: UInt64
    private let countMax: Int
    private var spareNumber: UInt64 = 0
    private(set) var full: [WALFile] = []
    private(set) var free: [WALFile] = []
    /// Whether a spare file is being zeroed.
    private(set) var isMakingSpare = false

    init(root: String, id: DirectoryID, files: any FileStore, options: RaftLogOptions) {
        directory = "\(root)/wal"
        self.id = id
        self.files = files
        bytes = UInt64(options.walFileBytes)
        countMax = max(2, options.walFilesMax)
    }

    /// Takes over the files that recovery found; none of them is needed any more.
    func adopt(_ found: [WALFile]) { free = found }

    /// Gives a new file its size, its zeros and its header; blocks.
    static func fill(
        _ path: String,
        bytes: UInt64,
        _ id: DirectoryID,
        _ files: any FileStore
    ) throws(DiskError) -> any OpenFile {
        let file = try files.open(path, .create)
        try file.write(WALFormat.fileHeader(id, sequence: 0), at: 0)
        try file.writeZeros(from: UInt64(WALFormat.blockBytes), to: bytes)
        try file.sync()
        return file
    }

    private func nextSparePath() -> String {
        repeat {
            spareNumber += 1
        } while files.kind(of: "\(directory)/spare-\(spareNumber).wal") != nil
        return "\(directory)/spare-\(spareNumber).wal"
    }

    /// Makes a file on the spot: only when there is none at all.
    func makeFirst() throws(DiskError) {
        let path = nextSparePath()
        let file = try Self.fill(path, bytes: bytes, id, files)
        try files.syncDirectory(directory)
        free.append(WALFile(file: file, sequence: 0, bytes: bytes))
    }

    /// Whether another file should be made in the background.
    func wantsSpare(current: Bool) -> Bool {
        !isMakingSpare && free.isEmpty && full.count + free.count + (current ? 1 : 0) < countMax
    }

    /// Begins to make a file: the path for the reader's job.
    func beginSpare() -> String {
        isMakingSpare = true
        return nextSparePath()
    }

    func endSpare(_ file: any OpenFile) {
        isMakingSpare = false
        free.append(WALFile(file: file, sequence: 0, bytes: bytes))
    }

    /// Takes a free file for `sequence`, renamed and with a new header; nil when there is none.
    ///
    /// The header is not synced here: the first frame's sync takes it along, and until then a
    /// reader finds either header and no frame.
    func take(sequence: UInt64) throws(DiskError) -> WALFile? {
        guard !free.isEmpty else { return nil }
        let old = free.removeFirst()
        let path = Self.path(directory, sequence)
        try files.rename(old.file.path, to: path)
        let file = try files.open(path, .write)
        try file.write(WALFormat.fileHeader(id, sequence: sequence), at: 0)
        return WALFile(file: file, sequence: sequence, bytes: old.bytes)
    }

    func retire(_ file: WALFile) { full.append(file) }

    /// A checkpoint made all files before `sequence` free.
    func release(before sequence: UInt64) {
        free.append(contentsOf: full.filter { $0.sequence < sequence })
        full.removeAll { $0.sequence < sequence }
    }

    static func path(_ directory: String, _ sequence: UInt64) -> String {
        let digits = String(sequence, radix: 16)
        return "\(directory)/" + String(repeating: "0", count: 16 - digits.count) + digits + ".wal"
    }
}
