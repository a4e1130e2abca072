import Model
import NIOCore
import Raft
import RaftHost
import RaftLog
import Testing

@testable import RaftTransport

/// A small generator, so that a failing run can be repeated.
private struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return state >> 17 ^ state << 13
    }
}

/// Claims more bytes than any message may have.
private final class HugePayload: PayloadStorage {
    var count: Int { StreamFrame.messageBytesMax }

    func withUnsafeParts(_ body: (UnsafeRawBufferPointer) -> Void) {}
}

@Suite struct CodecTests {
    private let reader = RecordReader(sender: 2, receiver: 1)

    private func contents(_ bytes: ByteBuffer, pieces: Int = .max) throws -> FrameContents {
        var frames = FrameReader(allocator: ByteBufferAllocator())
        var rest = bytes
        var contents = FrameContents()
        while rest.readableBytes > 0 {
            let piece = rest.readSlice(length: min(pieces, rest.readableBytes))
            frames.append(try #require(piece))
            while let records = try frames.next() { try reader.read(records, into: &contents) }
        }
        return contents
    }

    private func read(
        _ bytes: ByteBuffer,
        pieces: Int = .max
    ) throws -> [ReceivedMessage] {
        try contents(bytes, pieces: pieces).messages
    }

    private func stream(_ write: (inout FrameWriter) -> Bool) -> ByteBuffer {
        var writer = FrameWriter(allocator: ByteBufferAllocator())
        let isWritten = write(&writer)
        #expect(isWritten)
        var bytes = ByteBuffer()
        for part in writer.take() { bytes.writeImmutableBuffer(part) }
        return bytes
    }

    private func round(groups: UInt64) -> HeartbeatRound {
        HeartbeatRound(
            number: 0xfedc_ba98_7654_3210,
            beats: (0..<groups).map {
                Heartbeat(
                    group: RaftGroupID(1001 + $0),
                    from: Messages.them,
                    to: Messages.us,
                    term: 12,
                    commit: LogIndex(100_000 + $0)
                )
            }
        )
    }

    @Test func `every kind of message survives the wire, however it is cut`() throws {
        let sent = try Messages.everyKind()
        let bytes = Messages.stream(sent, chain: 0x0123_4567_89ab_cdef)
        for pieces in [1, 2, 3, 7, 11, 12, 13, 100, 4096, Int.max] {
            let got = try read(bytes, pieces: pieces)
            #expect(got.map { Messages.text($0.message) } == sent.map(Messages.text))
            #expect(got.allSatisfy { $0.chain == 0x0123_4567_89ab_cdef && $0.group == 1001 })
        }
    }

    @Test func `a batch arrives as a batch, and anything else as bytes`() throws {
        let sent = Messages.append([try Messages.batchPayload(bytes: 200), Payload([1, 2, 3])])
        let got = try #require(try read(Messages.stream([sent])).first).message
        #expect(got.entries[0].payload.storage is BatchPayload)
        #expect(got.entries[1].payload.storage is SlicePayload)
        #expect(got.entries[1].payload.copyBytes() == [1, 2, 3])
    }

    @Test func `a forwarded payload is gathered again`() throws {
        let first = Messages.append([Payload([UInt8](repeating: 3, count: 9000))])
        var got = try #require(try read(Messages.stream([first])).first).message
        for _ in 0..<2 {
            got = try #require(try read(Messages.stream([got])).first).message
            #expect(Messages.text(got) == Messages.text(first))
        }
    }

    @Test func `a large payload is neither copied when written nor when read`() throws {
        let batch = Messages.batch(bytes: 300_000)
        var writer = FrameWriter(allocator: ByteBufferAllocator())
        let payload = Payload(try #require(BatchPayload(batch: batch)))
        let isWritten = writer.append(1001, Messages.append([payload]), chain: nil)
        #expect(isWritten)
        func address(_ buffer: ByteBuffer) -> UnsafeRawPointer? {
            buffer.withUnsafeReadableBytes { $0.baseAddress }
        }
        let parts = writer.take()
        let body = try #require((payload.storage as? BatchPayload)?.body)
        #expect(parts.contains { address($0) == address(body) })

        let bytes = Messages.stream([Messages.append([payload])])
        let got = try #require(try read(bytes).first)
        let read = try #require((got.message.entries[0].payload.storage as? BatchPayload)?.body)
        let start = try #require(address(bytes))
        let place = try #require(address(read))
        #expect(place >= start && place < start + bytes.readableBytes)
    }

    @Test func `a small batch does not hold on to a large read`() throws {
        var bytes = ByteBufferAllocator().buffer(capacity: 256 << 10)
        let small = Messages.append([try Messages.batchPayload(bytes: 100)])
        bytes.writeImmutableBuffer(Messages.stream([small]))
        let got = try #require(try read(bytes).first).message
        let body = try #require((got.entries[0].payload.storage as? BatchPayload)?.body)
        #expect(body.storageCapacity < 1024)
    }

    @Test func `1,000 groups' heartbeats and their answer are small records`() throws {
        let sent = round(groups: 1000)
        let bytes = stream { $0.append(sent) }
        #expect(bytes.readableBytes < 8_000)
        #expect(try contents(bytes).heartbeats == [sent])
        let answers = HeartbeatAnswers(number: sent.number, places: [0..<1000])
        let answerBytes = stream { $0.append(answers) }
        #expect(answerBytes.readableBytes < 30)
        #expect(try contents(answerBytes).answers == [answers])
    }

    @Test func `heartbeats survive the wire whatever they are, and however it is cut`() throws {
        var random = Generator(state: 12)
        func node(_ owner: Int32) -> NodeID {
            NodeID(owner: owner, incarnation: UInt32(truncatingIfNeeded: random.next()))
        }
        for size in [0, 1, 2, 50, 1000] {
            var sent = HeartbeatRound(number: random.next(), beats: [])
            var answers = HeartbeatAnswers(number: random.next())
            var end = 0
            for _ in 0..<size {
                let beat = Heartbeat(
                    group: RaftGroupID(random.next() >> (random.next() % 64)),
                    from: node(2),
                    to: node(1),
                    term: Term(random.next() >> (random.next() % 64)),
                    commit: LogIndex(random.next() >> (random.next() % 64))
                )
                sent.beats.append(beat)
                let start = end + Int(random.next() % 3)
                end = start + 1 + Int(random.next() % 300)
                answers.places.append(start..<end)
            }
            let (round, all) = (sent, answers)
            let bytes = stream {
                let message = Message(type: .heartbeat, to: Messages.us, term: 1)
                return $0.append(all) && $0.append(1, message, chain: nil) && $0.append(round)
            }
            for pieces in [1, 13, 100, Int.max] {
                let got = try contents(bytes, pieces: pieces)
                #expect(got.heartbeats == [sent])
                #expect(got.answers == [answers])
                #expect(got.messages.count == 1)
                #expect(got.count == 3)
            }
        }
    }

    @Test func `a round of any size goes in frames of its own, or not at all`() throws {
        let large = round(groups: 300_000)
        let bytes = stream { $0.append(round(groups: 3)) && $0.append(large) }
        #expect(try contents(bytes).heartbeats == [round(groups: 3), large])
        var writer = FrameWriter(allocator: ByteBufferAllocator())
        let isWritten = writer.append(round(groups: 1_000_000))
        #expect(!isWritten && writer.isEmpty)
    }

    @Test func `answers for places beyond every round are refused`() {
        func record(_ gap: [UInt8], _ length: [UInt8]) -> [UInt8] {
            [65, 0, 0, 0, 0, 0, 0, 0, 0, 1] + gap + length
        }
        let large: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]
        for (gap, length) in [(large, [1]), ([1], large), (large, large)] as [([UInt8], [UInt8])] {
            var contents = FrameContents()
            #expect(throws: StreamError.self) {
                try reader.read(records(record(gap, length)), into: &contents)
            }
        }
    }

    @Test func `room for a few messages is kept, that of a burst is given back`() {
        var contents = FrameContents()
        contents.messages.reserveCapacity(FrameContents.messagesKept / 2)
        contents.removeAll()
        #expect(contents.messages.capacity >= FrameContents.messagesKept / 2)
        contents.messages.reserveCapacity(FrameContents.messagesKept * 2)
        contents.removeAll()
        #expect(contents.messages.capacity == 0)
    }

    @Test(arguments: [1 << 16, 12_345_678, Int.max])
    func `a message that no frame has room for comes in pieces`(pieces: Int) throws {
        var snapshot = Message(type: .snapshot, to: Messages.us, from: Messages.them, term: 9)
        snapshot.snapshot = Snapshot(
            metadata: SnapshotMetadata(
                index: 5,
                term: 4,
                confState: ConfState(voters: [Messages.us, Messages.them])
            ),
            data: Payload((0..<20_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7919 >> 3) })
        )
        let sent = [
            Messages.append([try Messages.batchPayload(bytes: 100)]),
            snapshot,
            Messages.append([
                try Messages.batchPayload(bytes: 17_000_000),
                Payload([1, 2]),
            ]),
            Messages.append([]),
        ]
        var frames = FrameReader(allocator: ByteBufferAllocator())
        var large = PieceCollector()
        var rest = Messages.stream(sent, chain: 77)
        var got: [ReceivedMessage] = []
        while rest.readableBytes > 0 {
            let piece = rest.readSlice(length: min(pieces, rest.readableBytes))
            frames.append(try #require(piece))
            while let records = try frames.next() {
                #expect(records.readableBytes <= StreamFrame.bytesTarget + 1_000)
                var contents = FrameContents()
                try reader.read(records, into: &contents)
                for piece in contents.pieces {
                    guard let whole = try large.take(piece) else { continue }
                    try reader.readWhole(whole, into: &contents)
                }
                got += contents.messages
            }
        }
        #expect(got.map { Messages.text($0.message) } == sent.map(Messages.text))
        #expect(got.allSatisfy { $0.chain == 77 })
    }

    @Test func `a large message is not copied when it is written in pieces`() throws {
        let batches = try (0..<2).map { _ in
            try #require(BatchPayload(batch: Messages.batch(bytes: 10_000_000)))
        }
        var writer = FrameWriter(allocator: ByteBufferAllocator())
        let message = Messages.append(batches.map { Payload($0) })
        let isWritten = writer.append(1001, message, chain: nil)
        #expect(isWritten && writer.messages == 1)
        let expected = writer.bytes
        let parts = writer.take()
        #expect(parts.reduce(0) { $0 + $1.readableBytes } == expected)
        func start(_ buffer: ByteBuffer) -> UInt {
            buffer.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) }
        }
        for body in batches.map(\.body) {
            let end = start(body) + UInt(body.readableBytes)
            let shared = parts.filter { start($0) >= start(body) && start($0) < end }
            #expect(shared.reduce(0) { $0 + $1.readableBytes } == body.readableBytes)
        }
    }

    @Test func `pieces that do not follow each other are refused`() throws {
        func piece(_ total: Int, _ offset: Int, _ count: Int) -> RecordPiece {
            RecordPiece(
                total: total,
                offset: offset,
                bytes: ByteBuffer(repeating: 3, count: count)
            )
        }
        for bad in [
            [piece(10, 5, 5)], [piece(10, 0, 5), piece(10, 6, 4)],
            [piece(10, 0, 5), piece(11, 5, 5)],
            [piece(10, 0, 5), piece(10, 5, 6)], [piece(10, 0, 0)], [piece(0, 0, 0)],
        ] {
            var large = PieceCollector()
            #expect(throws: StreamError.self) {
                for piece in bad { _ = try large.take(piece) }
            }
        }
        // The first piece of the next one ends one that was given up.
        var large = PieceCollector()
        let first = try large.take(piece(10, 0, 5))
        let second = try large.take(piece(4, 0, 2))
        let third = try large.take(piece(4, 2, 2))
        #expect(first == nil && second == nil && third?.readableBytes == 4)
        var contents = FrameContents()
        for bytes in [[66, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], [66, 5, 5, 0], [66, 5, 0, 9, 1]]
            as [[UInt8]]
        {
            #expect(throws: StreamError.self) { try reader.read(records(bytes), into: &contents) }
        }
        // What was put together must be one message, and no piece again.
        for bytes in [[66, 5, 0, 1, 1], [64], [8, 0, 1, 1, 1, 1, 8]] as [[UInt8]] {
            #expect(throws: StreamError.self) {
                try reader.readWhole(records(bytes), into: &contents)
            }
        }
    }

    @Test func `frames stay near a megabyte and within 16`() throws {
        let payload = try Messages.batchPayload(bytes: 400_000)
        let sent = (0..<10).map { Messages.append([payload], index: LogIndex(UInt64($0 * 10))) }
        let bytes = Messages.stream(sent)
        var frames = FrameReader(allocator: ByteBufferAllocator())
        frames.append(bytes)
        var sizes: [Int] = []
        while let records = try frames.next() { sizes.append(records.readableBytes) }
        #expect(sizes.count == 5)
        #expect(sizes.allSatisfy { $0 < StreamFrame.bytesTarget })

        var writer = FrameWriter(allocator: ByteBufferAllocator())
        let huge = Payload(HugePayload())
        let isWritten = writer.append(1, Messages.append([huge]), chain: nil)
        #expect(!isWritten && writer.isEmpty)
        let whole = Payload([UInt8](repeating: 1, count: StreamFrame.bytesMax - 1000))
        let got = try read(Messages.stream([Messages.append([whole])]), pieces: 100_000)
        #expect(got.first?.message.entries.first?.payload.count == StreamFrame.bytesMax - 1000)
    }

    @Test func `no changed bit gets through`() throws {
        let bytes = Messages.stream([Messages.append([try Messages.batchPayload(bytes: 70)])])
        for place in 0..<bytes.readableBytes {
            for bit in 0..<8 {
                var damaged = bytes
                let old: UInt8 = try #require(damaged.getInteger(at: place))
                damaged.setInteger(old ^ UInt8(1 << bit), at: place)
                // A longer length waits for bytes that never come; anything else is refused.
                let got = (try? read(damaged)) ?? []
                #expect(got.isEmpty, "byte \(place), bit \(bit)")
            }
        }
    }

    @Test func `a bad header is refused before memory is taken`() throws {
        func frame(_ length: UInt32, _ version: UInt8 = 1, _ flags: UInt8 = 0) -> ByteBuffer {
            var bytes = ByteBuffer(integer: length, endianness: .little)
            bytes.writeInteger(UInt32(0))
            bytes.writeInteger(version)
            bytes.writeInteger(flags)
            bytes.writeInteger(UInt16(0))
            return bytes
        }
        for length: UInt32 in [0, 16 << 20, .max] {
            #expect(throws: StreamError.lengthOutOfRange(length)) { try read(frame(length)) }
        }
        #expect(throws: StreamError.versionUnknown(2)) { try read(frame(10, 2)) }
        #expect(throws: StreamError.flagsUnknown(2)) { try read(frame(10, 1, 2)) }
        #expect(throws: StreamError.checksumWrong) {
            var bytes = frame(1)
            bytes.writeInteger(UInt8(0))
            _ = try read(bytes)
        }
    }

    /// Records that stand in a frame with a good checksum, as a broken sender would write them.
    private func records(_ bytes: [UInt8]) -> ByteBuffer { ByteBuffer(bytes: bytes) }

    @Test func `records cut anywhere are refused and never trap`() throws {
        for message in try Messages.everyKind() {
            var frames = FrameReader(allocator: ByteBufferAllocator())
            frames.append(Messages.stream([message], chain: 5))
            let next = try frames.next()
            let whole = try #require(next)
            // Every cut of a short record, and some of a long one.
            let step = max(1, whole.readableBytes / 500)
            for length in stride(from: 1, to: whole.readableBytes, by: step) {
                let cut = try #require(whole.getSlice(at: whole.readerIndex, length: length))
                var contents = FrameContents()
                #expect(throws: StreamError.self) { try reader.read(cut, into: &contents) }
            }
        }
    }

    @Test func `heartbeats cut anywhere are refused and never trap`() throws {
        let answers = HeartbeatAnswers(number: 1, places: [0..<1, 2..<400, 500..<501])
        for bytes in [stream { $0.append(round(groups: 20)) }, stream { $0.append(answers) }] {
            var frames = FrameReader(allocator: ByteBufferAllocator())
            frames.append(bytes)
            let next = try frames.next()
            let whole = try #require(next)
            for length in 1..<whole.readableBytes {
                let cut = try #require(whole.getSlice(at: whole.readerIndex, length: length))
                var contents = FrameContents()
                #expect(throws: StreamError.self) { try reader.read(cut, into: &contents) }
            }
        }
    }

    @Test func `records of random bytes never trap`() {
        var random = Generator(state: 4711)
        var refused = 0
        for _ in 0..<200_000 {
            var bytes: [UInt8] = []
            for _ in 0..<(1 + random.next() % 40) {
                let value = random.next()
                // Small numbers and long integers are what records are made of.
                bytes.append(value % 3 == 0 ? UInt8(value >> 8 & 0x1f) : UInt8(value >> 8 & 0xff))
            }
            if random.next() % 4 == 0 { bytes[0] = 64 + bytes[0] % 2 }
            var contents = FrameContents()
            if (try? reader.read(records(bytes), into: &contents)) == nil { refused += 1 }
            #expect(contents.messages.allSatisfy { $0.message.isAcceptableFromPeer })
        }
        #expect(refused > 100_000)
    }

    @Test func `counts and lengths beyond the frame are refused`() {
        // An append with 2^60 entries; one with a payload of 2^60 bytes; a huge integer.
        let large: [UInt8] = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]
        let head: [UInt8] = [3, 0x80, 0x01, 1, 1, 1, 1]
        for tail in [large, [1, 0, 1] + large, [UInt8](repeating: 0xff, count: 10)] {
            var contents = FrameContents()
            #expect(throws: StreamError.self) {
                try reader.read(records(head + tail), into: &contents)
            }
        }
    }

    @Test func `local and impossible messages are dropped`() throws {
        var bad: [Message] = MessageType.allCases.filter { $0.isLocal || $0 == .forgetLeader }
            .map { Message(type: $0, to: Messages.us, from: Messages.them, term: 1) }
        var far = Message(type: .heartbeat, to: Messages.us, from: Messages.them, term: 1)
        far.commit = LogIndex(.max)
        bad.append(far)
        bad.append(Message(type: .snapshot, to: Messages.us, from: Messages.them, term: 1))
        bad.append(Message(type: .heartbeat, to: Messages.us, from: Messages.them, term: 1))
        let got = try read(Messages.stream(bad))
        #expect(got.count == 1)
        #expect(got.first?.message.type == .heartbeat)
    }

    @Test func `a sender speaks for its own nodes only`() throws {
        var beat = Message(type: .heartbeat, to: Messages.us, term: 1)
        beat.from = NodeID(owner: 99, incarnation: 4)
        // The owner is not even written: the stream says whose nodes speak.
        let got = try #require(try read(Messages.stream([beat])).first)
        #expect(got.message.from == NodeID(owner: 2, incarnation: 4))
    }
}
