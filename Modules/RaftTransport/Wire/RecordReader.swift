import Model
import NIOCore
import Raft
import RaftHost
import RaftLog

/// Reads the messages of a frame; payloads become slices of it.
struct RecordReader {
    /// The daemon whose stream it is.
    let sender: Int32
    /// This daemon.
    let receiver: Int32

    /// Appends a frame's messages, in order; returns how many were dropped as unacceptable.
    ///
    /// - Throws: when the bytes are no records; what was appended before is to be dropped.
    func read(
        _ records: ByteBuffer,
        into messages: inout [ReceivedMessage]
    ) throws(StreamError) -> Int {
        var dropped = 0
        let failure: StreamError? = records.withUnsafeReadableBytes { bytes in
            var cursor = RecordCursor(bytes)
            do throws(StreamError) {
                while cursor.remaining > 0 {
                    let received = try message(&cursor, records)
                    if received.message.isAcceptableFromPeer {
                        messages.append(received)
                    } else {
                        dropped += 1
                    }
                }
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
        return dropped
    }

    private func message(
        _ cursor: inout RecordCursor,
        _ records: ByteBuffer
    ) throws(StreamError) -> ReceivedMessage {
        let rawType = try cursor.byte()
        guard let type = MessageType(rawValue: rawType) else {
            throw .recordInvalid("type \(rawType)")
        }
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
