import Model

/// A segment's files and the header that two of them begin with.
///
/// - Shape: `FIRST.log` holds record batches end to end and nothing else; `FIRST.entries` a header
///   of 128 bytes and a row of 64 bytes per entry; `FIRST.side` a header and the payloads that are
///   no batches. FIRST is the first entry's index in 20 decimal digits.
///   Header: magic 8, version 4, header bytes 4, cluster 16, group 8, topic 16, partition 4,
///   zero 4, place before the first entry (index 8, term 8, chain 8, next offset 8), zero, CRC-32C
///   in the last 4.
struct SegmentHeader: Equatable {
    var cluster: ClusterID
    var group: RaftGroupID
    var topic: TopicID
    var partition: PartitionID
    var before: LogPoint

    static let bytes = 128
    static let version: UInt32 = 1
    /// `MRTLTROW` in the file's byte order.
    static let rowsMagic: UInt64 = 0x574f_5254_4c54_524d
    /// `MRTLTSID` in the file's byte order.
    static let sideMagic: UInt64 = 0x4449_5354_4c54_524d

    func encoded(_ magic: UInt64) -> [UInt8] {
        var writer = ByteWriter()
        writer.put(magic)
        writer.put(Self.version)
        writer.put(UInt32(Self.bytes))
        writer.put(cluster.id)
        writer.put(group.rawValue)
        writer.put(topic.id)
        writer.put(partition.rawValue)
        writer.put(UInt32(0))
        before.write(to: &writer)
        writer.put(raw: [UInt8](repeating: 0, count: Self.bytes - 4 - writer.bytes.count))
        writer.putCRC()
        return writer.bytes
    }

    init(reading bytes: [UInt8], _ magic: UInt64, path: String) throws(RaftLogError) {
        do {
            var reader = ByteReader(bytes)
            guard bytes.count >= Self.bytes, try reader.take(UInt64.self) == magic else {
                throw FormatError("no segment header")
            }
            let version = try reader.take(UInt32.self)
            var crc = ByteReader(bytes[(Self.bytes - 4)..<Self.bytes])
            guard try crc.take(UInt32.self) == Checksum.crc(Array(bytes[..<(Self.bytes - 4)]))
            else { throw FormatError("the segment header's checksum is wrong") }
            guard version == Self.version else {
                throw RaftLogError.unsupportedVersion(path: path, version: version)
            }
            _ = try reader.take(UInt32.self)
            cluster = ClusterID(try reader.takeID())
            group = RaftGroupID(try reader.take(UInt64.self))
            topic = TopicID(try reader.takeID())
            partition = PartitionID(try reader.take(Int32.self))
            _ = try reader.take(UInt32.self)
            before = try LogPoint(reading: &reader)
        } catch let error as RaftLogError { throw error } catch {
            throw .damaged(path: path, reason: "\(error)")
        }
    }

    init(cluster: ClusterID, identity: GroupIdentity, before: LogPoint) {
        self.cluster = cluster
        group = identity.group
        topic = identity.topicID
        partition = identity.partition
        self.before = before
    }
}

/// The names of a segment's files.
enum SegmentPath {
    /// The files' endings.
    static let endings = ["log", "entries", "side"]

    static func of(_ directory: String, _ first: LogIndex, _ ending: String) -> String {
        let digits = "\(first)"
        let zeros = String(repeating: "0", count: max(0, 20 - digits.count))
        return "\(directory)/\(zeros)\(digits).\(ending)"
    }

    /// The first index in a file's name; nil when it is no segment file.
    static func first(in name: String) -> LogIndex? {
        guard let dot = name.firstIndex(of: "."), name[..<dot].utf8.count == 20,
            endings.contains(String(name[name.index(after: dot)...])),
            let first = UInt64(name[..<dot])
        else { return nil }
        return LogIndex(first)
    }

    /// A row's place in its `.entries` file.
    static func rowPosition(_ index: LogIndex, first: LogIndex) -> UInt64 {
        UInt64(SegmentHeader.bytes) + (index - first) * UInt64(EntryRow.diskBytes)
    }
}
