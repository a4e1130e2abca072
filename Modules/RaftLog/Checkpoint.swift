import Disk
import Model

/// A place in the write-ahead log, and the number that the frame there has or will have.
struct WALPosition: Equatable, Sendable {
    var file: UInt64
    var position: UInt64
    var frame: UInt64
}

/// The state of all groups at a place in the write-ahead log; everything before it is not needed.
///
/// - Shape: magic 8, version 4, bytes 4, directory id 16, sequence 8, WAL file 8, position 8,
///   frame 8, group count 4, groups, tombstone count 4, tombstones, CRC-32C 4. Two files hold the
///   same checkpoint and are written one after the other, so that one of them always verifies.
struct Checkpoint: Equatable, Sendable {
    var sequence: UInt64
    var replayFrom: WALPosition
    var groups: [GroupState]
    /// Deleted groups whose directory may still be there.
    var tombstones: [GroupIdentity]

    /// `MRTLTCKP` in the file's byte order.
    static let magic: UInt64 = 0x504b_4354_4c54_524d
    static let version: UInt32 = 1
    static let names = ["checkpoint.a", "checkpoint.b"]
    private static let bytesMax = 1 << 30

    func encoded(_ directory: DirectoryID) -> [UInt8] {
        var body = ByteWriter()
        body.put(directory.id)
        body.put(sequence)
        body.put(replayFrom.file)
        body.put(replayFrom.position)
        body.put(replayFrom.frame)
        body.put(UInt32(groups.count))
        for group in groups { group.write(to: &body) }
        body.put(UInt32(tombstones.count))
        for identity in tombstones { identity.write(to: &body) }
        var writer = ByteWriter()
        writer.put(Self.magic)
        writer.put(Self.version)
        writer.put(UInt32(16 + body.bytes.count + 4))
        writer.put(raw: body.bytes)
        writer.putCRC()
        return writer.bytes
    }

    /// Reads a file's bytes; nil when they are no whole checkpoint of this directory.
    init?(
        reading bytes: [UInt8],
        _ directory: DirectoryID,
        path: String
    ) throws(RaftLogError) {
        do {
            var head = ByteReader(bytes)
            guard try head.take(UInt64.self) == Self.magic else { return nil }
            let version = try head.take(UInt32.self)
            let count = Int(try head.take(UInt32.self))
            guard count >= 20, count <= bytes.count else { return nil }
            var crc = ByteReader(bytes[(count - 4)..<count])
            guard try crc.take(UInt32.self) == Checksum.crc(Array(bytes[..<(count - 4)])) else {
                return nil
            }
            guard version == Self.version else {
                throw RaftLogError.unsupportedVersion(path: path, version: version)
            }
            var reader = ByteReader(bytes[16..<(count - 4)])
            guard try reader.takeID() == directory.id else { return nil }
            try self.init(fields: &reader)
        } catch let error as RaftLogError { throw error } catch {
            throw RaftLogError.damaged(path: path, reason: "\(error)")
        }
    }

    private init(fields reader: inout ByteReader) throws(FormatError) {
        sequence = try reader.take(UInt64.self)
        let file = try reader.take(UInt64.self)
        let position = try reader.take(UInt64.self)
        replayFrom = WALPosition(
            file: file,
            position: position,
            frame: try reader.take(UInt64.self)
        )
        groups = []
        for _ in 0..<(try reader.takeCount(bytesMin: 100)) {
            groups.append(try GroupState(reading: &reader))
        }
        tombstones = []
        for _ in 0..<(try reader.takeCount(bytesMin: 40)) {
            tombstones.append(try GroupIdentity(reading: &reader))
        }
    }

    init(
        sequence: UInt64,
        replayFrom: WALPosition,
        groups: [GroupState],
        tombstones: [GroupIdentity]
    ) {
        self.sequence = sequence
        self.replayFrom = replayFrom
        self.groups = groups
        self.tombstones = tombstones
    }

    /// Writes both files, the second after the first is durable.
    ///
    /// - Parameter last: the file that is written last: the only whole one, if only one is.
    func write(
        to directory: String,
        _ id: DirectoryID,
        _ files: any FileStore,
        last: String = Checkpoint.names[1]
    ) throws(DiskError) {
        let bytes = encoded(id)
        precondition(bytes.count < Self.bytesMax, "a checkpoint of \(bytes.count) bytes")
        for name in Self.names.filter({ $0 != last }) + [last] {
            let isNew = files.kind(of: "\(directory)/\(name)") == nil
            let file = try files.open("\(directory)/\(name)", .create)
            try file.write(bytes, at: 0)
            try file.sync()
            if isNew { try files.syncDirectory(directory) }
        }
    }

    /// The newest whole checkpoint; nil when none was ever written.
    static func read(
        from directory: String,
        _ id: DirectoryID,
        _ files: any FileStore
    ) throws(RaftLogError) -> Checkpoint? {
        try newest(in: directory, id, files, syncs: false)?.checkpoint
    }

    /// The newest whole checkpoint and the file it is in.
    ///
    /// - Parameter syncs: whether both files are made durable before they are read.
    static func newest(
        in directory: String,
        _ id: DirectoryID,
        _ files: any FileStore,
        syncs: Bool
    ) throws(RaftLogError) -> (checkpoint: Checkpoint, name: String)? {
        var newest: (checkpoint: Checkpoint, name: String)?
        var found = false
        for name in names where files.kind(of: "\(directory)/\(name)") == .file {
            let path = "\(directory)/\(name)"
            let bytes = try reading { () throws(DiskError) -> [UInt8]? in
                let file = try files.open(path, syncs ? .write : .read)
                if syncs { try file.sync() }
                do throws(DiskError) {
                    return try file.read(Int(clamping: try file.size()), at: 0)
                } catch {
                    // That is what the other one is for.
                    if error.isUnreadable { return nil }
                    throw error
                }
            }
            if bytes != [] { found = true }
            guard let bytes else { continue }
            guard let one = try Checkpoint(reading: bytes, id, path: path) else { continue }
            if one.sequence >= (newest?.checkpoint.sequence ?? 0) { newest = (one, name) }
        }
        if newest == nil, found {
            throw .damaged(path: "\(directory)/\(names[0])", reason: "no whole checkpoint")
        }
        return newest
    }
}

/// Turns a disk's error into the log's: a file that should be there and is not is damage.
func reading<Value>(_ body: () throws(DiskError) -> Value) throws(RaftLogError) -> Value {
    do throws(DiskError) { return try body() } catch {
        guard error.operation == .open, error.isMissing else { throw .disk(error) }
        throw .damaged(path: error.path, reason: "the file is missing")
    }
}

/// The same for the files of one group: what cannot be read there is damage of that group alone.
func readingGroup<Value>(_ body: () throws(DiskError) -> Value) throws(RaftLogError) -> Value {
    do throws(RaftLogError) { return try reading(body) } catch {
        guard case .disk(let failure) = error, failure.isUnreadable else { throw error }
        throw .damaged(path: failure.path, reason: "\(failure)")
    }
}
