import Model
import NIOCore
import Raft
import RaftLog
import RecordBatch
import Testing

@testable import RaftTransport

/// Messages as the tests send them, and a text of each that shows every field.
enum Messages {
    static let us = NodeID(owner: 1, incarnation: 3)
    static let them = NodeID(owner: 2, incarnation: 4)

    /// A batch of the given size; its bytes differ from place to place.
    static func batch(bytes: Int, seed: UInt8 = 7) -> ByteBuffer {
        var buffer = ByteBuffer(repeating: seed, count: bytes)
        for place in stride(from: 0, to: bytes - 8, by: 1021) {
            buffer.setInteger(UInt64(place), at: place)
        }
        buffer.setInteger(Int32(bytes - 12), at: 8)
        buffer.setInteger(UInt8(2), at: 16)
        return buffer
    }

    static func batchPayload(bytes: Int, seed: UInt8 = 7) throws -> Payload {
        Payload(try #require(BatchPayload(batch: batch(bytes: bytes, seed: seed))))
    }

    static func append(
        _ payloads: [Payload],
        index: LogIndex = 41,
        type: EntryType = .normal
    ) -> Message {
        var message = Message(type: .append, to: us, from: them)
        message.term = 9
        message.logTerm = 8
        message.index = index
        message.commit = 40
        for (place, payload) in payloads.enumerated() {
            message.entries.append(
                Entry(
                    term: 9,
                    index: index + 1 + UInt64(place),
                    type: type,
                    payload: payload
                )
            )
        }
        return message
    }

    /// One message of every type that travels, with every field that one may have.
    static func everyKind() throws -> [Message] {
        var kinds: [Message] = []
        for type in MessageType.allCases where !type.isLocal && type != .forgetLeader {
            switch type {
            case .snapshot, .propose, .append: continue
            default: break
            }
            var message = Message(type: type, to: us, from: them)
            message.term = 300
            message.index = 70_000
            message.commit = 69_999
            message.logTerm = 299
            message.reject = true
            message.rejectHint = 12
            message.vote = us
            message.context = 0
            kinds.append(message)
            kinds.append(Message(type: type, to: us, from: them, term: 1))
        }
        var transfer = Message(type: .transferLeader, to: us, term: 1)
        transfer.from = NodeID(owner: 77, incarnation: 1)
        kinds.append(transfer)
        kinds.append(append([]))
        kinds.append(append([.empty, try batchPayload(bytes: 61), Payload([1, 2, 3])]))
        kinds.append(append([try batchPayload(bytes: 20_000), try batchPayload(bytes: 9000)]))
        kinds.append(append([Payload([9, 9])], type: .confChangeV2))
        var proposal = Message(type: .propose, to: us, from: them)
        proposal.entries = [Entry(payload: try batchPayload(bytes: 100))]
        kinds.append(proposal)
        var snapshot = Message(type: .snapshot, to: us, from: them)
        snapshot.term = 9
        snapshot.snapshot = Snapshot(
            metadata: SnapshotMetadata(
                index: 5,
                term: 4,
                confState: ConfState(
                    voters: [us, them],
                    votersOutgoing: [them],
                    learners: [us],
                    learnersNext: [NodeID(owner: 9, incarnation: 9)],
                    autoLeave: true
                )
            ),
            data: Payload([UInt8](repeating: 5, count: 10_000))
        )
        kinds.append(snapshot)
        return kinds
    }

    static func text(_ message: Message) -> String {
        """
        \(message.type) \(message.from)>\(message.to) t\(message.term) lt\(message.logTerm) \
        i\(message.index) c\(message.commit) v\(message.vote) r\(message.reject) \
        rh\(message.rejectHint) ctx\(message.context.map(String.init) ?? "-") \
        e\(message.entries.map { ($0.term, $0.index, $0.type, digest($0.payload)) }) \
        s\(String(describing: message.snapshot?.metadata)) \
        \(message.snapshot.map { digest($0.data) } ?? "")
        """
    }

    /// Length and checksum: enough to tell payloads apart, and short in a failure's text.
    static func digest(_ payload: Payload) -> String {
        "\(payload.count):\(crc32c(payload.copyBytes()))"
    }

    /// The stream of frames that carries the messages.
    static func stream(_ messages: [Message], chain: UInt64? = nil) -> ByteBuffer {
        var writer = FrameWriter(allocator: ByteBufferAllocator())
        for message in messages {
            precondition(writer.append(1001, message, chain: chain), "a message was too large")
        }
        let expected = writer
        var bytes = ByteBuffer()
        for part in writer.take() { bytes.writeImmutableBuffer(part) }
        precondition(writer.isEmpty && bytes.readableBytes >= expected.bytes, "bytes are missing")
        return bytes
    }
}
