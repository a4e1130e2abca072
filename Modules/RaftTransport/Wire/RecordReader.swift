import Model
import NIOCore
import Raft
import RaftHost
import RaftLog

/// What a frame holds, each kind in the order of its records.
struct FrameContents {
    var messages: [ReceivedMessage] = []
    var heartbeats: [HeartbeatRound] = []
    var answers: [HeartbeatAnswers] = []
    var pieces: [RecordPiece] = []
    /// How many messages were dropped as unacceptable.
    var dropped = 0

    /// How many records there were.
    var count: Int { messages.count + heartbeats.count + answers.count }

    /// Room for so many messages is kept; what an election of all groups at once took is not.
    static let messagesKept = 256

    mutating func removeAll() {
        messages.removeAll(keepingCapacity: messages.capacity <= Self.messagesKept)
        heartbeats.removeAll(keepingCapacity: true)
        answers.removeAll(keepingCapacity: true)
        pieces.removeAll()
        dropped = 0
    }
}

/// Reads the records of a frame; payloads become slices of it.
struct RecordReader {
    /// The daemon whose stream it is.
    let sender: Int32
    /// This daemon.
    let receiver: Int32

    /// Adds a frame's contents.
    ///
    /// - Throws: when the bytes are no records; what was added before is to be dropped.
    func read(
        _ records: ByteBuffer,
        into contents: inout FrameContents
    ) throws(StreamError) {
        let failure: StreamError? = records.withUnsafeReadableBytes { bytes in
            var cursor = RecordCursor(bytes)
            do throws(StreamError) {
                while cursor.remaining > 0 { try read(&cursor, records, into: &contents) }
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }

    private func read(
        _ cursor: inout RecordCursor,
        _ records: ByteBuffer,
        into contents: inout FrameContents
    ) throws(StreamError) {
        let rawType = try cursor.byte()
        switch rawType {
        case RecordType.heartbeats:
            contents.heartbeats.append(try heartbeats(&cursor))
        case RecordType.heartbeatAnswers: contents.answers.append(try heartbeatAnswers(&cursor))
        case RecordType.piece: contents.pieces.append(try piece(&cursor, records))
        default: try readMessage(rawType, &cursor, records, into: &contents)
        }
    }

    private func readMessage(
        _ rawType: UInt8,
        _ cursor: inout RecordCursor,
        _ records: ByteBuffer,
        into contents: inout FrameContents
    ) throws(StreamError) {
        guard let type = MessageType(rawValue: rawType) else {
            throw .recordInvalid("type \(rawType)")
        }
        let received = try message(type, &cursor, records)
        if received.message.isAcceptableFromPeer {
            contents.messages.append(received)
        } else {
            contents.dropped += 1
        }
    }

    // MARK: Messages

    private func message(
        _ type: MessageType,
        _ cursor: inout RecordCursor,
        _ records: ByteBuffer
    ) throws(StreamError) -> ReceivedMessage {
        let fields = RecordFields(rawValue: try cursor.varint())
        guard fields.isSubset(of: .all) else {
            throw .recordInvalid("fields \(fields.rawValue)")
        }
        let group = RaftGroupID(try cursor.varint())
        var message = Message(type: type)
        message.to = try node(receiver, &cursor)
        if fields.contains(.foreignFrom) {
            guard type == .transferLeader else { throw .recordInvalid("foreign sender") }
            message.from = NodeID(try cursor.varint())
        } else {
            message.from = try node(sender, &cursor)
        }
        message.term = Term(try cursor.varint())
        if fields.contains(.context) { message.context = try cursor.varint() }
        if fields.contains(.index) { message.index = LogIndex(try cursor.varint()) }
        if fields.contains(.commit) { message.commit = LogIndex(try cursor.varint()) }
        if fields.contains(.logTerm) { message.logTerm = Term(try cursor.varint()) }
        if fields.contains(.rejectHint) { message.rejectHint = LogIndex(try cursor.varint()) }
        if fields.contains(.vote) { message.vote = NodeID(try cursor.varint()) }
        message.reject = fields.contains(.reject)
        let chain = fields.contains(.chain) ? try cursor.fixed() : nil
        if fields.contains(.entries) {
            let isPlaced = !fields.contains(.unplaced)
            try readEntries(&cursor, records, isPlaced, into: &message)
        }
        if fields.contains(.snapshot) { message.snapshot = try snapshot(&cursor, records) }
        return ReceivedMessage(group: group, message: message, chain: chain)
    }

    private func node(
        _ owner: Int32,
        _ cursor: inout RecordCursor
    ) throws(StreamError) -> NodeID {
        guard let incarnation = UInt32(exactly: try cursor.varint()) else {
            throw .recordInvalid("incarnation too large")
        }
        return NodeID(owner: owner, incarnation: incarnation)
    }

    private func readEntries(
        _ cursor: inout RecordCursor,
        _ records: ByteBuffer,
        _ isPlaced: Bool,
        into message: inout Message
    ) throws(StreamError) {
        guard message.index.rawValue <= Message.positionMax else {
            throw .recordInvalid("index too high")
        }
        // Type, term and length take a byte each at least.
        let count = try cursor.count(bytesEach: 3)
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        for place in 0..<count {
            let rawType = try cursor.byte()
            guard let type = EntryType(rawValue: rawType) else {
                throw .recordInvalid("entry type \(rawType)")
            }
            let term = Term(try cursor.varint())
            let bytes = try bytes(&cursor, records)
            entries.append(
                Entry(
                    term: term,
                    index: isPlaced ? message.index + UInt64(place) + 1 : 0,
                    type: type,
                    payload: type == .normal ? batchPayload(bytes) : slicePayload(bytes)
                )
            )
        }
        message.entries = EntryList(entries)
    }

    private func snapshot(
        _ cursor: inout RecordCursor,
        _ records: ByteBuffer
    ) throws(StreamError) -> Snapshot {
        let index = LogIndex(try cursor.varint())
        let term = Term(try cursor.varint())
        let members = ConfState(
            voters: try nodes(&cursor),
            votersOutgoing: try nodes(&cursor),
            learners: try nodes(&cursor),
            learnersNext: try nodes(&cursor),
            autoLeave: try cursor.byte() != 0
        )
        let data = slicePayload(try bytes(&cursor, records))
        return Snapshot(
            metadata: SnapshotMetadata(index: index, term: term, confState: members),
            data: data
        )
    }

    private func nodes(_ cursor: inout RecordCursor) throws(StreamError) -> [NodeID] {
        var nodes: [NodeID] = []
        for _ in 0..<(try cursor.count(bytesEach: 1)) { nodes.append(NodeID(try cursor.varint())) }
        return nodes
    }

    private func bytes(
        _ cursor: inout RecordCursor,
        _ records: ByteBuffer
    ) throws(StreamError) -> ByteBuffer {
        let range = try cursor.skip(try cursor.varint())
        let start = records.readerIndex + range.lowerBound
        guard let slice = records.getSlice(at: start, length: range.count) else {
            throw .recordTruncated
        }
        return slice
    }

    private func batchPayload(_ bytes: ByteBuffer) -> Payload {
        guard bytes.readableBytes > 0 else { return .empty }
        if let batch = BatchPayload(batch: bytes) { return Payload(batch) }
        return Payload(SlicePayload(bytes))
    }

    private func slicePayload(_ bytes: ByteBuffer) -> Payload {
        bytes.readableBytes == 0 ? .empty : Payload(SlicePayload(bytes))
    }
}

// MARK: Pieces

/// A piece of the record of a message that is larger than a frame.
struct RecordPiece {
    /// The size of the whole record.
    let total: Int
    /// Where in it the piece begins.
    let offset: Int
    let bytes: ByteBuffer
}

/// Puts the pieces of a large message together, one message at a time.
///
/// - Invariant: memory is taken for what has arrived, at most twice of it, and never for what was
///   only announced.
struct PieceCollector {
    private var collected = ByteBuffer()
    private var total = 0

    /// Takes a piece; the whole record, when it is complete.
    ///
    /// The first piece of another record ends one that is not complete: its sender has given it
    /// up.
    mutating func take(_ piece: RecordPiece) throws(StreamError) -> ByteBuffer? {
        if piece.offset == 0 {
            collected = ByteBuffer()
            total = piece.total
        }
        guard piece.total == total, piece.offset == collected.readableBytes,
            piece.bytes.readableBytes > 0,
            collected.readableBytes + piece.bytes.readableBytes <= total
        else { throw .recordInvalid("a piece that does not follow the one before") }
        collected.writeImmutableBuffer(piece.bytes)
        guard collected.readableBytes == total else { return nil }
        defer { self = PieceCollector() }
        return collected
    }
}

extension RecordReader {
    private func piece(
        _ cursor: inout RecordCursor,
        _ records: ByteBuffer
    ) throws(StreamError) -> RecordPiece {
        let (total, offset) = (try cursor.varint(), try cursor.varint())
        guard total <= UInt64(StreamFrame.messageBytesMax), offset < total else {
            throw .recordInvalid("a piece at \(offset) of \(total)")
        }
        let bytes = try bytes(&cursor, records)
        return RecordPiece(total: Int(total), offset: Int(offset), bytes: bytes)
    }

    /// Adds the one message of a record that came in pieces.
    func readWhole(
        _ record: ByteBuffer,
        into contents: inout FrameContents
    ) throws(StreamError) {
        let failure: StreamError? = record.withUnsafeReadableBytes { bytes in
            var cursor = RecordCursor(bytes)
            do throws(StreamError) {
                try readMessage(try cursor.byte(), &cursor, record, into: &contents)
                return cursor.remaining == 0 ? nil : .recordInvalid("bytes behind a large message")
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }
}

// MARK: Heartbeats

extension RecordReader {
    private func heartbeats(
        _ cursor: inout RecordCursor
    ) throws(StreamError) -> HeartbeatRound {
        let number = try cursor.fixed()
        let count = try cursor.count(bytesEach: 5)
        var round = HeartbeatRound(number: number, beats: [])
        round.beats.reserveCapacity(count)
        var group: UInt64 = 0
        for _ in 0..<count {
            group &+= try cursor.varint()
            round.beats.append(
                Heartbeat(
                    group: RaftGroupID(group),
                    from: try node(sender, &cursor),
                    to: try node(receiver, &cursor),
                    term: Term(try cursor.varint()),
                    commit: LogIndex(try cursor.varint())
                )
            )
        }
        return round
    }

    private func heartbeatAnswers(
        _ cursor: inout RecordCursor
    ) throws(StreamError) -> HeartbeatAnswers {
        let number = try cursor.fixed()
        var answers = HeartbeatAnswers(number: number)
        var end: UInt64 = 0
        for _ in 0..<(try cursor.count(bytesEach: 2)) {
            let (gap, length) = (try cursor.varint(), try cursor.varint())
            guard gap <= Self.placesMax, length <= Self.placesMax,
                end + gap + length <= Self.placesMax
            else { throw .recordInvalid("answer to heartbeats that no round has") }
            let start = end + gap
            end = start + length
            answers.places.append(Int(start)..<Int(end))
        }
        return answers
    }

    /// No frame has room for so many heartbeats.
    private static let placesMax = UInt64(StreamFrame.bytesMax)
}
