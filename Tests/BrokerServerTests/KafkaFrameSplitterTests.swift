import NIOCore
import Testing

@testable import BrokerServer

@Suite struct KafkaFrameSplitterTests {
    private func frame(_ body: [UInt8]) -> [UInt8] {
        withUnsafeBytes(of: Int32(body.count).bigEndian) { Array($0) } + body
    }

    @Test func `frames come out whole whatever the pieces`() throws {
        let bodies: [[UInt8]] = [
            Array(0..<8), Array(repeating: 7, count: 1000), Array(8..<40),
            Array(repeating: 9, count: 200_000),
        ]
        let stream = bodies.flatMap(frame)
        for piece in [1, 3, 4, 5, 1000, 65_536, stream.count] {
            var splitter = KafkaFrameSplitter()
            var found: [[UInt8]] = []
            var start = 0
            while start < stream.count {
                let end = min(start + piece, stream.count)
                splitter.append(ByteBuffer(bytes: stream[start..<end]))
                while let next = try splitter.next() { found.append(Array(next.readableBytesView)) }
                start = end
            }
            #expect(found == bodies)
            #expect(splitter.pendingBytes == 0)
        }
    }

    @Test func `a frame in one read is not copied`() throws {
        let read = ByteBuffer(bytes: frame(Array(repeating: 1, count: 500)))
        var splitter = KafkaFrameSplitter()
        splitter.append(read)
        let found = try #require(try splitter.next())
        let original = read.withUnsafeReadableBytes { $0.baseAddress.map { $0 + 4 } }
        #expect(found.withUnsafeReadableBytes { $0.baseAddress } == original)
    }

    @Test func `a negative size is refused`() {
        var splitter = KafkaFrameSplitter()
        splitter.append(ByteBuffer(integer: Int32(-1)))
        #expect(throws: KafkaFrameError.sizeNegative(-1)) { try splitter.next() }
    }

    @Test func `a size over the limit is refused before its bytes come`() {
        var splitter = KafkaFrameSplitter()
        splitter.append(ByteBuffer(integer: Int32.max))
        #expect(throws: KafkaFrameError.sizeOverLimit(Int(Int32.max), limit: 100 << 20)) {
            try splitter.next()
        }
    }

    @Test func `a frame without room for a header is refused`() {
        var splitter = KafkaFrameSplitter()
        splitter.append(ByteBuffer(bytes: frame([1, 2, 3])))
        #expect(throws: KafkaFrameError.tooShort(3)) { try splitter.next() }
    }

    @Test func `a large size costs no memory before its bytes come`() throws {
        var splitter = KafkaFrameSplitter()
        splitter.append(ByteBuffer(integer: Int32(99 << 20)))
        splitter.append(ByteBuffer(bytes: [1, 2, 3]))
        #expect(try splitter.next() == nil)
        #expect(splitter.pendingBytes == 3)
        #expect(splitter.capacity <= 64 << 10)
    }
}
