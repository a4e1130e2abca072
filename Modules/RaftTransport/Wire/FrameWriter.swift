import Model
import NIOCore
import Raft
import RaftHost
import RaftLog
import RecordBatch

/// Gathers messages to one peer into frames.
///
/// Small payloads are copied behind their record; large ones stay where they are and become parts
/// of their own, which the kernel gathers.
/// - Invariant: `bytes` is the sum of all parts, the open frame included.
struct FrameWriter {
    /// Closed frames, in parts, in order.
    private var parts: [ByteBuffer] = []
    /// Where the open frame's first part stands in `parts`; its number if that is `current`.
    private var frameStart = 0
    private var current = ByteBuffer()
    private var isOpen = false
    private var frameBytes = 0
    private var flags: UInt8 = 0
    private var capacityHint = 512
    private let allocator: ByteBufferAllocator
    /// All bytes that wait here.
    private(set) var bytes = 0
    /// The messages that wait here.
    private(set) var messages = 0

    /// A payload of at least so many bytes is not copied.
    static let gatherBytesMin = 8 << 10
    /// The fixed part of a record: type, flags, and at most 11 integers.
    private static let recordBytesMax = 2 * 1 + 12 * RecordPen.varintBytesMax + 8
    /// A heartbeat in a round: five integers.
    private static let beatBytesMax = 5 * RecordPen.varintBytesMax

    init(allocator: ByteBufferAllocator) {
        self.allocator = allocator
    }

    var isEmpty: Bool { bytes == 0 }

    /// Adds a message; false if it is too large even for pieces, and nothing was added.
    mutating func append(_ group: RaftGroupID, _ message: Message, chain: UInt64?) -> Bool {
        let size = Self.sizeBound(of: message)
        guard size <= StreamFrame.messageBytesMax else { return false }
        if makeRoom(for: size) {
            frameBytes += write(group, message, chain)
        } else {
            appendInPieces(group, message, chain)
        }
        messages += 1
        return true
    }

    /// Writes a message's record; returns how many bytes that took.
    private mutating func write(
        _ group: RaftGroupID,
        _ message: Message,
        _ chain: UInt64?
    ) -> Int {
        let before = bytes
        writeFixed(group, message, chain)
        if !message.entries.isEmpty { writeEntries(message) }
        if let snapshot = message.snapshot { writeSnapshot(snapshot) }
        return bytes - before
    }

    /// Adds a message that no frame has room for, in frames that hold one piece of it each.
    private mutating func appendInPieces(
        _ group: RaftGroupID,
        _ message: Message,
        _ chain: UInt64?
    ) {
        var whole = FrameWriter(allocator: allocator)
        whole.current = allocator.buffer(capacity: 512)
        let total = whole.write(group, message, chain)
        whole.pushCurrent()
        var rest = CircularBuffer(whole.parts)
        var offset = 0
        while offset < total {
            let size = min(StreamFrame.pieceBytes, total - offset)
            let isOpened = appendRecord(of: 1 + 3 * RecordPen.varintBytesMax) { pen in
                pen.byte(RecordType.piece)
                pen.varint(UInt64(total))
                pen.varint(UInt64(offset))
                pen.varint(UInt64(size))
            }
            precondition(isOpened, "no frame has room for the head of a piece")
            pushCurrent()
            take(size, from: &rest)
            frameBytes += size
            bytes += size
            offset += size
            closeFrame()
        }
        // They are one message, whatever they were counted as.
        messages -= (total + StreamFrame.pieceBytes - 1) / StreamFrame.pieceBytes
    }

    /// Moves bytes from the front of `rest` to the open frame, without copying them.
    private mutating func take(_ count: Int, from rest: inout CircularBuffer<ByteBuffer>) {
        var missing = count
        while missing > 0, var part = rest.popFirst() {
            let size = min(missing, part.readableBytes)
            if let slice = part.readSlice(length: size) { parts.append(slice) }
            missing -= size
            if part.readableBytes > 0 { rest.prepend(part) }
        }
        precondition(missing == 0, "a message ends \(missing) bytes too early")
    }

    /// Adds a round of heartbeats; false if it is too large for any frame, and nothing was added.
    mutating func append(_ round: HeartbeatRound) -> Bool {
        let size = 1 + 8 + RecordPen.varintBytesMax + round.beats.count * Self.beatBytesMax
        return appendRecord(of: size) { pen in
            pen.byte(RecordType.heartbeats)
            pen.fixed(round.number)
            pen.varint(UInt64(round.beats.count))
            var before: UInt64 = 0
            for beat in round.beats {
                pen.varint(beat.group.rawValue &- before)
                pen.varint(UInt64(beat.from.incarnation))
                pen.varint(UInt64(beat.to.incarnation))
                pen.varint(beat.term.rawValue)
                pen.varint(beat.commit.rawValue)
                before = beat.group.rawValue
            }
        }
    }

    /// Adds the answer to a round of heartbeats; false if it is too large for any frame.
    mutating func append(_ answers: HeartbeatAnswers) -> Bool {
        let size = 1 + 8 + (2 * answers.places.count + 1) * RecordPen.varintBytesMax
        return appendRecord(of: size) { pen in
            pen.byte(RecordType.heartbeatAnswers)
            pen.fixed(answers.number)
            pen.varint(UInt64(answers.places.count))
            var before = 0
            for places in answers.places {
                pen.varint(UInt64(places.lowerBound - before))
                pen.varint(UInt64(places.count))
                before = places.upperBound
            }
        }
    }

    private mutating func appendRecord(
        of size: Int,
        _ write: (inout RecordPen) -> Void
    ) -> Bool {
        guard makeRoom(for: size) else { return false }
        let written = current.writeWithUnsafeMutableBytes(minimumWritableBytes: size) { memory in
            var pen = RecordPen(memory)
            write(&pen)
            return pen.count
        }
        bytes += written
        frameBytes += written
        messages += 1
        return true
    }

    /// Opens a frame that takes a record of at most so many bytes; false if there is none.
    private mutating func makeRoom(for size: Int) -> Bool {
        guard size <= StreamFrame.bytesMax - StreamFrame.headerBytes else { return false }
        if isOpen, frameBytes + size > StreamFrame.bytesTarget { closeFrame() }
        if !isOpen { openFrame() }
        return true
    }

    /// Closes the open frame and gives every part that waits.
    mutating func take() -> [ByteBuffer] {
        if isOpen { closeFrame() }
        defer {
            parts = []
            frameStart = 0
            bytes = 0
            messages = 0
        }
        return parts
    }

    /// Forgets everything that waits.
    mutating func removeAll() { _ = take() }

    /// No record of the message is longer.
    private static func sizeBound(of message: Message) -> Int {
        var size = recordBytesMax
        for entry in message.entries {
            size += 1 + 2 * RecordPen.varintBytesMax + entry.payload.count
        }
        if let snapshot = message.snapshot {
            let members = snapshot.metadata.confState
            let nodes =
                members.voters.count + members.votersOutgoing.count + members.learners.count
                + members.learnersNext.count
            size += (nodes + 7) * RecordPen.varintBytesMax + 1 + snapshot.data.count
        }
        return size
    }
}

// MARK: Frames

extension FrameWriter {
    private mutating func openFrame() {
        isOpen = true
        flags = 0
        frameStart = parts.count
        frameBytes = StreamFrame.headerBytes
        current = allocator.buffer(capacity: capacityHint)
        // Length and checksum are filled in when the frame is closed.
        current.writeRepeatingByte(0, count: StreamFrame.headerBytes)
        bytes += StreamFrame.headerBytes
    }

    private mutating func closeFrame() {
        isOpen = false
        capacityHint = min(max(512, current.writerIndex), 256 << 10)
        pushCurrent()
        parts[frameStart].setInteger(
            UInt32(frameBytes - StreamFrame.headerBytes),
            at: 0,
            endianness: .little
        )
        parts[frameStart].setInteger(StreamFrame.version, at: 8)
        parts[frameStart].setInteger(flags, at: 9)
        var checksum: UInt32 = 0
        for place in frameStart..<parts.count {
            let skipped = place == frameStart ? StreamFrame.checkedFrom : 0
            checksum = parts[place].withUnsafeReadableBytes { part in
                crc32c(UnsafeRawBufferPointer(rebasing: part[skipped...]), continuing: checksum)
            }
        }
        parts[frameStart].setInteger(checksum, at: 4, endianness: .little)
    }

    private mutating func pushCurrent() {
        if current.readableBytes > 0 { parts.append(current) }
        current = ByteBuffer()
    }
}

// MARK: Records

extension FrameWriter {
    private mutating func writeFixed(_ group: RaftGroupID, _ message: Message, _ chain: UInt64?) {
        let fields = Self.fields(of: message, chain)
        let written = current.writeWithUnsafeMutableBytes(
            minimumWritableBytes: Self.recordBytesMax
        ) { memory in
            var pen = RecordPen(memory)
            pen.byte(message.type.rawValue)
            pen.varint(fields.rawValue)
            pen.varint(group.rawValue)
            pen.varint(UInt64(message.to.incarnation))
            if fields.contains(.foreignFrom) {
                pen.varint(message.from.rawValue)
            } else {
                pen.varint(UInt64(message.from.incarnation))
            }
            pen.varint(message.term.rawValue)
            if fields.contains(.context) { pen.varint(message.context ?? 0) }
            if fields.contains(.index) { pen.varint(message.index.rawValue) }
            if fields.contains(.commit) { pen.varint(message.commit.rawValue) }
            if fields.contains(.logTerm) { pen.varint(message.logTerm.rawValue) }
            if fields.contains(.rejectHint) { pen.varint(message.rejectHint.rawValue) }
            if fields.contains(.vote) { pen.varint(message.vote.rawValue) }
            if let chain { pen.fixed(chain) }
            return pen.count
        }
        bytes += written
    }

    private static func fields(of message: Message, _ chain: UInt64?) -> RecordFields {
        var fields: RecordFields = []
        // Leadership is transferred to a node that need not be the sender's.
        if message.type == .transferLeader { fields.insert(.foreignFrom) }
        if message.context != nil { fields.insert(.context) }
        if message.index != 0 { fields.insert(.index) }
        if message.commit != 0 { fields.insert(.commit) }
        if message.logTerm != 0 { fields.insert(.logTerm) }
        if message.reject { fields.insert(.reject) }
        if message.rejectHint != 0 { fields.insert(.rejectHint) }
        if message.vote != .none { fields.insert(.vote) }
        if chain != nil { fields.insert(.chain) }
        if message.snapshot != nil { fields.insert(.snapshot) }
        if !message.entries.isEmpty { fields.insert(.entries) }
        if message.type == .propose { fields.insert(.unplaced) }
        return fields
    }

    private mutating func writeEntries(_ message: Message) {
        writeVarints(UInt64(message.entries.count))
        var expected = message.index
        for entry in message.entries {
            expected += 1
            precondition(
                entry.index == expected || message.type == .propose,
                "entry \(entry.index) in place of \(expected)"
            )
            bytes += current.writeInteger(entry.type.rawValue)
            writeVarints(entry.term.rawValue, UInt64(entry.payload.count))
            write(entry.payload)
        }
    }

    private mutating func writeSnapshot(_ snapshot: Snapshot) {
        writeVarints(snapshot.metadata.index.rawValue, snapshot.metadata.term.rawValue)
        let members = snapshot.metadata.confState
        for nodes in [
            members.voters, members.votersOutgoing, members.learners, members.learnersNext,
        ] {
            writeVarints(UInt64(nodes.count))
            for node in nodes { writeVarints(node.rawValue) }
        }
        bytes += current.writeInteger(members.autoLeave ? 1 : 0, as: UInt8.self)
        writeVarints(UInt64(snapshot.data.count))
        write(snapshot.data)
    }

    private mutating func writeVarints(_ first: UInt64, _ second: UInt64? = nil) {
        bytes += current.writeWithUnsafeMutableBytes(
            minimumWritableBytes: 2 * RecordPen.varintBytesMax
        ) { memory in
            var pen = RecordPen(memory)
            pen.varint(first)
            if let second { pen.varint(second) }
            return pen.count
        }
    }

    private mutating func write(_ payload: Payload) {
        guard let storage = payload.storage else { return }
        flags |= StreamFrame.carriesPayloads
        bytes += payload.count
        if payload.count >= Self.gatherBytesMin, let batch = storage as? BatchPayload {
            writeStamp(of: batch)
            pushCurrent()
            parts.append(batch.body)
            current = allocator.buffer(capacity: 512)
        } else if payload.count >= Self.gatherBytesMin, let slice = storage as? SlicePayload {
            pushCurrent()
            parts.append(slice.bytes)
            current = allocator.buffer(capacity: 512)
        } else {
            let before = current.writerIndex
            storage.withUnsafeParts { current.writeBytes($0) }
            precondition(
                current.writerIndex - before == payload.count,
                "payload of \(payload.count) bytes gave \(current.writerIndex - before)"
            )
        }
    }

    private mutating func writeStamp(of batch: BatchPayload) {
        let before = current.writerIndex
        withUnsafeBytes(of: batch.head) { _ = current.writeBytes($0) }
        precondition(
            current.writerIndex - before + batch.body.readableBytes == batch.count,
            "a batch of \(batch.count) bytes is not its two parts"
        )
    }
}
