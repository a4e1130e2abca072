import Compression
import Testing

/// The text inside every foreign stream.
private let text: [UInt8] = (0..<200).flatMap {
    Array("line \($0) of a martlet that never lands\n".utf8)
}

/// Bytes that no codec can make smaller, the same in every run.
private func noise(_ count: Int) -> [UInt8] {
    var state: UInt64 = 88_172_645_463_325_252
    return (0..<count).map { _ in
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return UInt8(truncatingIfNeeded: state)
    }
}

private func bytes(hex: String) -> [UInt8] {
    let digits = hex.compactMap(\.hexDigitValue)
    return stride(from: 0, to: digits.count, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
}

@Suite struct CompressionTests {
    static let real = CompressionCodec.allCases.filter { $0 != .none }

    @Test(arguments: CompressionCodec.allCases)
    func `what was compressed comes back`(_ codec: CompressionCodec) throws {
        for content in [[], [7], text, noise(200_000), [UInt8](repeating: 0, count: 3_000_000)] {
            let packed = try codec.compress(content)
            #expect(try codec.decompress(packed, limit: content.count) == content)
        }
    }

    @Test(arguments: real)
    func `a text becomes smaller`(_ codec: CompressionCodec) throws {
        #expect(try codec.compress(text).count < text.count / 2)
    }

    @Test(arguments: ForeignStream.all)
    func `streams of other programs are read`(_ stream: ForeignStream) throws {
        let codec = try #require(CompressionCodec(name: stream.codec))
        let packed = bytes(hex: stream.hex)
        #expect(try codec.decompress(packed, limit: text.count) == text, "\(stream.title)")
    }

    @Test(arguments: CompressionCodec.allCases)
    func `one byte more than the limit is refused`(_ codec: CompressionCodec) throws {
        for content in [text, noise(70_000), [UInt8](repeating: 0, count: 5_000_000)] {
            let packed = try codec.compress(content)
            #expect(throws: CompressionError.tooLarge(limit: content.count - 1)) {
                try codec.decompress(packed, limit: content.count - 1)
            }
            #expect(throws: CompressionError.tooLarge(limit: 0)) {
                try codec.decompress(packed, limit: 0)
            }
        }
    }

    @Test(arguments: real)
    func `a stream cut anywhere is refused`(_ codec: CompressionCodec) throws {
        let packed = try codec.compress(text)
        for count in packed.indices {
            // Framed snappy may end behind its header or any block: nothing says how many follow.
            if codec == .snappy, count == 16 { continue }
            #expect(throws: CompressionError.damaged(codec), "\(count) of \(packed.count)") {
                try codec.decompress(Array(packed[..<count]), limit: 1 << 20)
            }
        }
    }

    @Test(arguments: real)
    func `noise never traps`(_ codec: CompressionCodec) throws {
        let packed = try codec.compress(text)
        let chance = noise(4000)
        for round in 0..<1000 {
            var damaged = packed
            for flip in 0..<4 {
                let place = (Int(chance[round * 4 + flip]) * 131 + round * 7) % damaged.count
                damaged[place] ^= chance[(round + flip * 977) % chance.count] | 1
            }
            if let read = try? codec.decompress(damaged, limit: 1 << 16) {
                #expect(read.count <= 1 << 16)
            }
            _ = try? codec.decompress(Array(chance[round..<round + 60]), limit: 1 << 16)
        }
    }

    @Test func `a snappy block that claims gigabytes is refused before memory is taken`() {
        let bomb: [UInt8] = [0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0]
        #expect(throws: CompressionError.damaged(.snappy)) {
            try CompressionCodec.snappy.decompress(bomb, limit: Int.max)
        }
    }

    @Test func `codecs have Kafka's numbers and names`() {
        #expect(CompressionCodec.allCases.map(\.rawValue) == [0, 1, 2, 3, 4])
        #expect(CompressionCodec.allCases.map(\.name) == ["none", "gzip", "snappy", "lz4", "zstd"])
        #expect(CompressionCodec(name: "brotli") == nil)
    }
}
