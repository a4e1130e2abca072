import Disk
import Model
import Raft

/// A snapshot's data as Martlet's groups ship it: the place in the log, then the state's bytes.
///
/// - Shape: version 4, chain 8, next offset 8, then the state.
public struct SnapshotState: Equatable, Sendable {
    /// The running hash up to and with the last entry that is included.
    public let chain: UInt64
    /// The offset that the next record takes.
    public let nextOffset: Offset
    /// The state machine's own bytes.
    public let state: [UInt8]

    private static let version: UInt32 = 1

    /// Joins the three.
    public init(chain: UInt64, nextOffset: Offset, state: [UInt8]) {
        self.chain = chain
        self.nextOffset = nextOffset
        self.state = state
    }

    /// Takes a snapshot's data apart; nil when it is not of this shape and version.
    public init?(_ data: Payload) {
        var reader = ByteReader(data.copyBytes())
        guard let version = try? reader.take(UInt32.self), version == Self.version,
            let chain = try? reader.take(UInt64.self),
            let next = try? reader.take(Int64.self), next >= 0,
            let state = try? reader.takeRaw(reader.left)
        else { return nil }
        self.init(chain: chain, nextOffset: Offset(next), state: Array(state))
    }

    /// The data of a snapshot.
    public var payload: Payload {
        var writer = ByteWriter()
        writer.put(Self.version)
        writer.put(chain)
        writer.put(nextOffset.rawValue)
        writer.put(raw: state)
        return Payload(writer.bytes)
    }
}

/// A snapshot's file in its group's directory.
///
/// - Shape: magic 8, version 4, header bytes 4, cluster 16, group 8, topic 16, partition 4, zero 4,
///   place (32), configuration, data length 8, header CRC-32C 4, data CRC-32C 4, data. The name is
///   the index in 20 decimal digits and `.snapshot`.
enum SnapshotFile {
    /// `MRTLTSNP` in the file's byte order.
    static let magic: UInt64 = 0x504e_5354_4c54_524d
    static let version: UInt32 = 1

    static func name(_ index: LogIndex) -> String {
        let digits = "\(index)"
        return String(repeating: "0", count: max(0, 20 - digits.count)) + digits + ".snapshot"
    }

    static func encoded(
        _ snapshot: Snapshot,
        at point: LogPoint,
        _ identity: GroupIdentity,
        _ cluster: ClusterID
    ) -> [UInt8] {
        let data = snapshot.data.copyBytes()
        var fields = ByteWriter()
        fields.put(cluster.id)
        fields.put(identity.group.rawValue)
        fields.put(identity.topicID.id)
        fields.put(identity.partition.rawValue)
        fields.put(UInt32(0))
        point.write(to: &fields)
        snapshot.metadata.confState.write(to: &fields)
        fields.put(UInt64(data.count))
        var writer = ByteWriter()
        writer.put(magic)
        writer.put(version)
        writer.put(UInt32(16 + fields.bytes.count + 8))
        writer.put(raw: fields.bytes)
        writer.putCRC()
        writer.put(Checksum.crc(data))
        writer.put(raw: data)
        return writer.bytes
    }

    static func decode(
        _ bytes: [UInt8],
        _ identity: GroupIdentity,
        path: String
    ) throws(RaftLogError) -> (snapshot: Snapshot, point: LogPoint) {
        do {
            var reader = ByteReader(bytes)
            guard try reader.take(UInt64.self) == magic else { throw FormatError("no snapshot") }
            let version = try reader.take(UInt32.self)
            let headerBytes = Int(try reader.take(UInt32.self))
            guard headerBytes >= 100, headerBytes <= bytes.count else {
                throw FormatError("the snapshot ends early")
            }
            var sums = ByteReader(bytes[(headerBytes - 8)..<headerBytes])
            guard
                try sums.take(UInt32.self) == Checksum.crc(Array(bytes[..<(headerBytes - 8)]))
            else { throw FormatError("the snapshot's header is wrong") }
            guard version == Self.version else {
                throw RaftLogError.unsupportedVersion(path: path, version: version)
            }
            _ = try reader.takeID()
            let group = RaftGroupID(try reader.take(UInt64.self))
            let topic = TopicID(try reader.takeID())
            let partition = PartitionID(try reader.take(Int32.self))
            guard group == identity.group, topic == identity.topicID,
                partition == identity.partition
            else { throw FormatError("a snapshot of another group") }
            _ = try reader.take(UInt32.self)
            let point = try LogPoint(reading: &reader)
            let conf = try ConfState(reading: &reader)
            let count = Int(clamping: try reader.take(UInt64.self))
            let data = bytes[headerBytes...]
            guard data.count == count,
                try sums.take(UInt32.self) == Checksum.crc(Array(data))
            else { throw FormatError("the snapshot's data is wrong") }
            let metadata = SnapshotMetadata(index: point.index, term: point.term, confState: conf)
            return (Snapshot(metadata: metadata, data: Payload(Array(data))), point)
        } catch let error as RaftLogError { throw error } catch {
            throw .damaged(path: path, reason: "\(error)")
        }
    }

    /// Writes a snapshot so that it is durable under its name or not there at all.
    static func write(
        _ bytes: [UInt8],
        index: LogIndex,
        in directory: String,
        _ files: any FileStore
    ) throws(DiskError) {
        let path = "\(directory)/\(name(index))"
        let file = try files.open(path + ".tmp", .create)
        try file.truncate(to: 0)
        try file.write(bytes, at: 0)
        try file.sync()
        try files.rename(path + ".tmp", to: path)
        try files.syncDirectory(directory)
    }

    /// Reads the snapshot that a mark names.
    static func read(
        _ mark: SnapshotMark,
        _ identity: GroupIdentity,
        in directory: String,
        _ files: any FileStore
    ) throws(RaftLogError) -> Snapshot {
        let path = "\(directory)/\(name(mark.point.index))"
        let bytes = try readingGroup { () throws(DiskError) in
            let file = try files.open(path, .read)
            return try file.read(Int(clamping: try file.size()), at: 0)
        }
        let (snapshot, point) = try decode(bytes, identity, path: path)
        guard point == mark.point else {
            throw .damaged(path: path, reason: "a snapshot of another place")
        }
        return snapshot
    }
}

extension SegmentReader {
    /// Writes a state machine's snapshot to its file, with the place that the log says it has.
    func save(
        _ snapshot: Snapshot,
        in directory: String,
        of partitions: String,
        _ cluster: ClusterID,
        _ files: any FileStore
    ) throws(RaftLogError) -> (SnapshotMark, Snapshot) {
        let row = try row(at: snapshot.metadata.index)
        guard row.term == snapshot.metadata.term else { throw .outOfRange }
        let point = LogPoint(after: row)
        let state = SnapshotState(
            chain: point.chain,
            nextOffset: point.nextOffset,
            state: snapshot.data.copyBytes()
        )
        let shipped = Snapshot(metadata: snapshot.metadata, data: state.payload)
        let bytes = SnapshotFile.encoded(shipped, at: point, view.identity, cluster)
        try reading { () throws(DiskError) in
            // The directory itself may be younger than the last checkpoint.
            try files.syncDirectory(partitions)
            try SnapshotFile.write(bytes, index: point.index, in: directory, files)
        }
        let conf = snapshot.metadata.confState
        let mark = SnapshotMark(point: point, confState: conf, replacesLog: false)
        return (mark, shipped)
    }
}
