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

@Suite struct CodecTests {
    private let reader = RecordReader(sender: 2, receiver: 1)

    private func read(
        _ bytes: ByteBuffer,
        pieces: Int = .max
    ) throws -> [ReceivedMessage] {
        var frames = FrameReader(allocator: ByteBufferAllocator())
        var rest = bytes
        var messages: [ReceivedMessage] = []
        while rest.readableBytes > 0 {
            let piece = rest.readSlice(length: min(pieces, rest.readableBytes))
            frames.append(try #require(piece))
            while let records = try frames.next() {
                _ = try reader.read(records, into: &messages)
            }
        }
        return messages
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

    @Test func `1,000 groups' heartbeats travel in one small frame`() throws {
        var writer = FrameWriter(allocator: ByteBufferAllocator())
        for group in 0..<1000 {
            var beat = Message(type: .heartbeat, to: Messages.us, from: Messages.them, term: 1)
            beat.term = 12
            beat.commit = LogIndex(UInt64(100_000 + group))
            let isWritten = writer.append(RaftGroupID(UInt64(1001 + group)), beat, chain: nil)
            #expect(isWritten)
        }
        let parts = writer.take()
        #expect(parts.count == 1)
        #expect(parts[0].readableBytes < 12_000)
        let got = try read(parts[0])
        #expect(got.map(\.group.rawValue) == Array(1001...2000))
        #expect(got.last?.message.commit == 100_999)
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
        let huge = Payload([UInt8](repeating: 0, count: StreamFrame.bytesMax))
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
                var messages: [ReceivedMessage] = []
                #expect(throws: StreamError.self) { try reader.read(cut, into: &messages) }
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
            var messages: [ReceivedMessage] = []
            if (try? reader.read(records(bytes), into: &messages)) == nil { refused += 1 }
            #expect(messages.allSatisfy { $0.message.isAcceptableFromPeer })
        }
        #expect(refused > 100_000)
    }

    @Test func `counts and lengths beyond the frame are refused`() {
        // An append with 2^60 entries; one with a payload of 2^60 bytes; a huge integer.
        let large: [UInt8] = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]
        let head: [UInt8] = [3, 0x80, 0x01, 1, 1, 1, 1]
        for tail in [large, [1, 0, 1] + large, [UInt8](repeating: 0xff, count: 10)] {
            var messages: [ReceivedMessage] = []
            #expect(throws: StreamError.self) {
                try reader.read(records(head + tail), into: &messages)
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
