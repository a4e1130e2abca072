/// What is found under a path.
public enum FileKind: Sendable {
    /// A regular file.
    case file
    /// A directory.
    case directory
}

/// How a file is opened.
public enum OpenMode: Sendable {
    /// An existing file, for reading.
    case read
    /// An existing file, for reading and writing.
    case write
    /// For reading and writing; created empty when it is missing.
    case create
}

/// A file system, as much of it as the logs need: the real one, or one in memory with faults.
///
/// - Thread: any; the calls block.
/// - Invariant: a name is durable only after ``syncDirectory(_:)`` of the directory it is in,
///   bytes only after ``OpenFile/sync()``.
public protocol FileStore: Sendable {
    /// Opens a file.
    func open(_ path: String, _ mode: OpenMode) throws(DiskError) -> any OpenFile
    /// The names in a directory, sorted, without `.` and `..`.
    func list(_ directory: String) throws(DiskError) -> [String]
    /// What lies under a path; nil when nothing does or when it cannot be told.
    func kind(of path: String) -> FileKind?
    /// Creates a directory in an existing one; one that exists already is a success.
    func makeDirectory(_ path: String) throws(DiskError)
    /// Gives a file or directory another name, replacing a file of that name.
    func rename(_ path: String, to target: String) throws(DiskError)
    /// Removes a file; one that is missing is a success.
    func remove(_ path: String) throws(DiskError)
    /// Removes an empty directory; one that is missing is a success.
    func removeDirectory(_ path: String) throws(DiskError)
    /// Makes the names in a directory durable.
    func syncDirectory(_ path: String) throws(DiskError)
    /// Takes the lock of a directory, without waiting: `EWOULDBLOCK` when another holds it.
    func lock(_ directory: String) throws(DiskError) -> any DirectoryLock
}

extension FileStore {
    /// Creates a directory and those above it, as far as they are missing.
    public func makeDirectories(_ path: String) throws(DiskError) {
        var made = path.hasPrefix("/") ? "" : "."
        for part in path.split(separator: "/") {
            made += "/\(part)"
            if kind(of: made) == nil { try makeDirectory(made) }
        }
    }

    /// Gives a file new content as a whole: after a crash it holds the old bytes or the new ones.
    ///
    /// Durable when this returns. `NAME.new` beside it is used on the way.
    public func replace(
        _ name: String,
        in directory: String,
        with bytes: [UInt8]
    ) throws(DiskError) {
        let path = "\(directory)/\(name)"
        let file = try open("\(path).new", .create)
        try file.truncate(to: 0)
        try file.write(bytes, at: 0)
        try file.sync()
        try rename("\(path).new", to: path)
        try syncDirectory(directory)
    }
}

/// A lock that is held until it is released or forgotten.
public protocol DirectoryLock: AnyObject, Sendable {
    /// Gives the lock back; later calls do nothing.
    func release()
}

/// An open file; closed when the last reference goes.
///
/// - Thread: any; the calls block, and calls from several threads do not disturb each other.
public protocol OpenFile: AnyObject, Sendable {
    /// The path under which the file was opened.
    var path: String { get }
    /// The size in bytes.
    func size() throws(DiskError) -> UInt64
    /// Reads into the buffer from a position on, and returns the number of bytes that there were.
    ///
    /// - Invariant: fewer than asked only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at position: UInt64)
        throws(DiskError) -> Int
    /// Writes the parts one after the other from a position on, all of them or an error.
    func write(_ parts: [UnsafeRawBufferPointer], at position: UInt64) throws(DiskError)
    /// Writes the parts like ``write(_:at:)``, but past the page cache where that is worth it.
    ///
    /// For bulk that is seldom read from the file soon after.
    func writeBulk(_ parts: [UnsafeRawBufferPointer], at position: UInt64) throws(DiskError)
    /// Reserves space up to `end`; the file then has at least that size, and zeros where nothing
    /// was written.
    func allocate(from start: UInt64, to end: UInt64) throws(DiskError)
    /// Makes the bytes and the size durable.
    ///
    /// - Throws: after an error the bytes since the last sync may be lost although they still can
    ///   be read; a second call proves nothing.
    func sync() throws(DiskError)
    /// Cuts or extends the file.
    func truncate(to size: UInt64) throws(DiskError)
}

extension OpenFile {
    /// Writes through the page cache: what a file does that knows no other way.
    public func writeBulk(
        _ parts: [UnsafeRawBufferPointer],
        at position: UInt64
    ) throws(DiskError) {
        try write(parts, at: position)
    }

    /// Reads `count` bytes, or as many as there are up to the end of the file.
    public func read(_ count: Int, at position: UInt64) throws(DiskError) -> [UInt8] {
        var failure: DiskError?
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            do throws(DiskError) {
                filled = try read(into: UnsafeMutableRawBufferPointer(buffer), at: position)
            } catch {
                filled = 0
                failure = error
            }
        }
        if let failure { throw failure }
        return bytes
    }

    /// Writes bytes from a position on.
    public func write(_ bytes: [UInt8], at position: UInt64) throws(DiskError) {
        var failure: DiskError?
        bytes.withUnsafeBytes { buffer in
            do throws(DiskError) { try write([buffer], at: position) } catch { failure = error }
        }
        if let failure { throw failure }
    }

    /// Writes zeros, so that the blocks exist and a later overwrite changes no metadata.
    public func writeZeros(from start: UInt64, to end: UInt64) throws(DiskError) {
        let zeros = [UInt8](repeating: 0, count: Int(min(end - min(start, end), 1 << 20)))
        var position = start
        var failure: DiskError?
        zeros.withUnsafeBytes { buffer in
            while position < end, failure == nil {
                let count = Int(min(end - position, UInt64(buffer.count)))
                let part = UnsafeRawBufferPointer(rebasing: buffer[..<count])
                do throws(DiskError) {
                    try write([part], at: position)
                } catch { failure = error }
                position += UInt64(count)
            }
        }
        if let failure { throw failure }
    }
}
