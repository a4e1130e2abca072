import InterBrokerProtocol
import NIOCore
import Testing

@Suite struct FrameTests {
    private func frame(_ type: Int32, _ length: Int32, _ body: String = "") -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.writeInteger(type)
        buffer.writeInteger(length)
        buffer.writeString(body)
        return buffer
    }

    @Test func `a request is type, length and JSON in big endian`() throws {
        var buffer = ByteBuffer()
        try RequestFrame(type: .startPartitionRaftGroup, body: ByteBuffer(string: "{}"))
            .write(to: &buffer)
        #expect(Array(buffer.readableBytesView) == [0, 0, 3, 0xeb, 0, 0, 0, 2, 0x7b, 0x7d])
    }

    @Test func `an answer is length and JSON in big endian`() throws {
        var buffer = ByteBuffer()
        try writeResponseFrame(ByteBuffer(string: "{}"), to: &buffer)
        #expect(Array(buffer.readableBytesView) == [0, 0, 0, 2, 0x7b, 0x7d])
    }

    @Test func `requests come out whole, however the stream is cut`() throws {
        var stream = ByteBuffer()
        let sent = (0..<5).map { number in
            RequestFrame(
                type: InterBrokerRequestType.allCases[number],
                body: ByteBuffer(string: String(repeating: "x", count: number * 3))
            )
        }
        for request in sent { try request.write(to: &stream) }
        for step in 1...stream.readableBytes {
            var decoder = RequestFrameDecoder()
            var rest = stream
            var got: [RequestFrame] = []
            while let piece = rest.readSlice(length: min(step, rest.readableBytes)),
                piece.readableBytes > 0
            {
                decoder.append(piece)
                while let request = try decoder.next() { got.append(request) }
            }
            #expect(got == sent, "in pieces of \(step)")
            #expect(decoder.pendingBytes == 0)
        }
    }

    @Test func `answers come out whole, however the stream is cut`() throws {
        var stream = ByteBuffer()
        let sent = ["", "{}", "{\"a\":1}"].map { ByteBuffer(string: $0) }
        for answer in sent { try writeResponseFrame(answer, to: &stream) }
        for step in 1...stream.readableBytes {
            var decoder = ResponseFrameDecoder()
            var rest = stream
            var got: [ByteBuffer] = []
            while let piece = rest.readSlice(length: min(step, rest.readableBytes)),
                piece.readableBytes > 0
            {
                decoder.append(piece)
                while let answer = try decoder.next() { got.append(answer) }
            }
            #expect(got == sent, "in pieces of \(step)")
        }
    }

    @Test func `a length below zero is refused as soon as it is seen`() {
        var decoder = RequestFrameDecoder()
        decoder.append(frame(1003, -1))
        #expect(throws: FrameError.lengthNegative(-1)) { try decoder.next() }
        var answers = ResponseFrameDecoder()
        answers.append(ByteBuffer(integer: Int32.min))
        #expect(throws: FrameError.lengthNegative(.min)) { try answers.next() }
    }

    @Test func `a length over 16 MiB is refused as soon as it is seen`() {
        let over = Int32(InterBrokerLimits.frameBytesMax + 1)
        var decoder = RequestFrameDecoder()
        decoder.append(frame(1003, over))
        #expect(throws: FrameError.lengthOverLimit(Int(over), limit: 16 << 20)) {
            try decoder.next()
        }
        #expect(
            FrameError.lengthOverLimit(Int(over), limit: 16 << 20).description
                == "frame length 16777217 exceeds the limit of 16777216 bytes"
        )
        var answers = ResponseFrameDecoder(limit: 10)
        answers.append(ByteBuffer(integer: Int32(11)))
        #expect(throws: FrameError.lengthOverLimit(11, limit: 10)) { try answers.next() }
    }

    @Test func `exactly 16 MiB is a legal length`() throws {
        var decoder = RequestFrameDecoder()
        decoder.append(frame(1003, Int32(InterBrokerLimits.frameBytesMax)))
        #expect(try decoder.next() == nil)
        decoder.append(ByteBuffer(repeating: 0x20, count: InterBrokerLimits.frameBytesMax))
        #expect(try decoder.next()?.body.readableBytes == 16 << 20)
    }

    @Test func `an unknown type is refused by its number before its length counts`() {
        for type: Int32 in [0, 999, 1021, -1, .max, .min] {
            var decoder = RequestFrameDecoder()
            decoder.append(ByteBuffer(integer: type))
            #expect(throws: FrameError.unknownType(type)) { try decoder.next() }
        }
    }

    @Test func `a body over the limit is not written`() {
        var buffer = ByteBuffer()
        let body = ByteBuffer(repeating: 0x20, count: InterBrokerLimits.frameBytesMax + 1)
        #expect(throws: FrameError.self) {
            try RequestFrame(type: .createTopics, body: body).write(to: &buffer)
        }
        #expect(throws: FrameError.self) { try writeResponseFrame(body, to: &buffer) }
        #expect(buffer.readableBytes == 0)
    }

    @Test func `random bytes never trap a decoder`() {
        var seed: UInt64 = 42
        for _ in 0..<2000 {
            var bytes = ByteBuffer()
            for _ in 0..<24 {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                let byte = UInt8(truncatingIfNeeded: seed >> 33)
                bytes.writeInteger(byte % 3 == 0 ? 0 : byte)
            }
            var requests = RequestFrameDecoder()
            requests.append(bytes)
            while let found = try? requests.next() { #expect(found.body.readableBytes < 24) }
            var answers = ResponseFrameDecoder()
            answers.append(bytes)
            while let found = try? answers.next() { #expect(found.readableBytes < 24) }
        }
    }
}
