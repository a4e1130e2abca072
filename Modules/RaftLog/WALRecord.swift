import Model
public import Raft

/// What a snapshot stands for, without its bytes.
struct SnapshotMark: Equatable, Sendable {
    /// The place after the last entry that it includes.
    var point: LogPoint
    /// The members there.
    var confState: ConfState
    /// Whether it came from a leader and replaced the whole log.
    var replacesLog: Bool
}

/// One change of one group, as it stands in a frame.
///
/// - Shape: type 1, flags 1, zero 2, length 4 (with this header, a multiple of 8), group 8, then
///   the fields. An entry's record is always `WALFormat.entryRecordBytes` long.
enum WALRecord: Equatable, Sendable {
    case entry(EntryRow)
    case hardState(HardState)
    case created(GroupIdentity)
    case tombstone(TopicID)
    case snapshot(SnapshotMark)
    case prefixTruncated(LogPoint)
    /// The members from an applied change on.
    case configuration(ConfState, at: LogIndex)

    /// The types' numbers, fixed for ever; 7 is reserved for SegmentRef.
    enum Code: UInt8 {
        case entry = 1
        case hardState = 2
        case created = 3
        case tombstone = 4
        case snapshot = 5
        case prefixTruncated = 6
        case segmentRef = 7
        case configuration = 8
    }

    var code: Code {
        switch self {
        case .entry: .entry
        case .hardState: .hardState
        case .created: .created
        case .tombstone: .tombstone
        case .snapshot: .snapshot
        case .prefixTruncated: .prefixTruncated
        case .configuration: .configuration
        }
    }

    /// The whole record, header included.
    ///
    /// Entries are written by ``FrameBuilder`` instead.
    func encoded(for group: RaftGroupID) -> [UInt8] {
        var body = ByteWriter()
        switch self {
        case .entry: preconditionFailure("entries are written by the frame builder")
        case .hardState(let state):
            body.put(state.term.rawValue)
            body.put(state.vote.rawValue)
            body.put(state.commit.rawValue)
        case .created(let identity): identity.write(to: &body)
        case .tombstone(let topic): body.put(topic.id)
        case .snapshot(let mark):
            mark.point.write(to: &body)
            body.put(UInt8(mark.replacesLog ? 1 : 0))
            mark.confState.write(to: &body)
        case .prefixTruncated(let point): point.write(to: &body)
        case .configuration(let state, let index):
            body.put(index.rawValue)
            state.write(to: &body)
        }
        body.pad(to: 8)
        var record = ByteWriter()
        record.put(code.rawValue)
        record.put(UInt8(0))
        record.put(UInt16(0))
        record.put(UInt32(WALFormat.recordHeaderBytes + body.bytes.count))
        record.put(group.rawValue)
        record.put(raw: body.bytes)
        return record.bytes
    }

    /// Reads the next record and the group it belongs to.
    static func read(
        _ reader: inout ByteReader
    ) throws(FormatError) -> (group: RaftGroupID, record: WALRecord) {
        let rawCode = try reader.take(UInt8.self)
        _ = try reader.take(UInt8.self)
        _ = try reader.take(UInt16.self)
        let length = Int(try reader.take(UInt32.self))
        let group = RaftGroupID(try reader.take(UInt64.self))
        let body = try reader.takeRaw(length - WALFormat.recordHeaderBytes)
        guard let code = Code(rawValue: rawCode), code != .segmentRef else {
            throw FormatError("record type \(rawCode) is not known")
        }
        var fields = ByteReader(body)
        return (group, try read(code, &fields))
    }

    private static func read(
        _ code: Code,
        _ fields: inout ByteReader
    ) throws(FormatError) -> WALRecord {
        switch code {
        case .entry:
            let index = LogIndex(try fields.take(UInt64.self))
            let row = try fields.takeRaw(EntryRow.diskBytes)
            let entry = row.withUnsafeBytes { EntryRow(fields: $0, index: index) }
            guard EntryType(rawValue: entry.typeCode) != nil else {
                throw FormatError("entry type \(entry.typeCode) is not known")
            }
            return .entry(entry)
        case .hardState:
            let term = Term(try fields.take(UInt64.self))
            let vote = NodeID(try fields.take(UInt64.self))
            let commit = LogIndex(try fields.take(UInt64.self))
            return .hardState(HardState(term: term, vote: vote, commit: commit))
        case .created: return .created(try GroupIdentity(reading: &fields))
        case .tombstone: return .tombstone(TopicID(try fields.takeID()))
        case .snapshot:
            let point = try LogPoint(reading: &fields)
            let replaces = try fields.take(UInt8.self) == 1
            let conf = try ConfState(reading: &fields)
            return .snapshot(
                SnapshotMark(point: point, confState: conf, replacesLog: replaces)
            )
        case .prefixTruncated: return .prefixTruncated(try LogPoint(reading: &fields))
        case .configuration:
            let index = LogIndex(try fields.take(UInt64.self))
            return .configuration(try ConfState(reading: &fields), at: index)
        case .segmentRef: throw FormatError("SegmentRef is reserved")
        }
    }
}

extension ConfState {
    /// The members as bytes: four lists of nodes, each after its count, and a flag.
    public var encoded: [UInt8] {
        var writer = ByteWriter()
        write(to: &writer)
        return writer.bytes
    }

    /// Reads members from the beginning of bytes, with what follows them; nil if there are none.
    public static func read(from bytes: [UInt8]) -> (members: ConfState, rest: [UInt8])? {
        var reader = ByteReader(bytes)
        guard let members = try? ConfState(reading: &reader) else { return nil }
        return (members, bytes.suffix(reader.left))
    }

    func write(to writer: inout ByteWriter) {
        for list in [voters, votersOutgoing, learners, learnersNext] {
            writer.put(UInt32(list.count))
            for node in list { writer.put(node.rawValue) }
        }
        writer.put(UInt8(autoLeave ? 1 : 0))
    }

    init(reading reader: inout ByteReader) throws(FormatError) {
        func list(_ reader: inout ByteReader) throws(FormatError) -> [NodeID] {
            var nodes: [NodeID] = []
            for _ in 0..<(try reader.takeCount(bytesMin: 8)) {
                nodes.append(NodeID(try reader.take(UInt64.self)))
            }
            return nodes
        }
        let voters = try list(&reader)
        let outgoing = try list(&reader)
        let learners = try list(&reader)
        let next = try list(&reader)
        let autoLeave = try reader.take(UInt8.self) == 1
        self.init(
            voters: voters,
            votersOutgoing: outgoing,
            learners: learners,
            learnersNext: next,
            autoLeave: autoLeave
        )
    }
}
