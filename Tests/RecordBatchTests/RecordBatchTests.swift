import Model
import RecordBatch
import Testing

@Suite struct RecordBatchTests {
    @Test func `the checksums have their published values`() {
        let digits = Array("123456789".utf8)
        #expect(crc32c(digits) == 0xe306_9283)
        #expect(xxh64([]) == 0xef46_db37_51d8_e999)
        #expect(xxh64(Array("abc".utf8)) == 0x44bc_2cf5_ad77_0999)
        let long = Array("Nobody inspects the spammish repetition".utf8)
        #expect(xxh64(long) == 0xfbce_a83c_8a37_8bf1)
    }

    @Test func `a checksum can be continued`() {
        let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let whole = crc32c(bytes)
        let parts = bytes.withUnsafeBytes { all in
            crc32c(
                UnsafeRawBufferPointer(rebasing: all[300...]),
                continuing: crc32c(UnsafeRawBufferPointer(rebasing: all[..<300]))
            )
        }
        #expect(parts == whole)
    }

    static func sample() -> [UInt8] {
        var builder = RecordBatchBuilder()
        builder.append(key: nil, value: Array("first".utf8), timestamp: 1000)
        builder.append(
            key: Array("k".utf8),
            value: nil,
            headers: [Record.Header(key: Array("h".utf8), value: nil)],
            timestamp: 990
        )
        builder.producer = (7, 1, 40)
        return builder.build()
    }

    @Test func `a built batch is valid and reads back`() throws {
        let batch = Self.sample()
        let header = try batch.withUnsafeBytes { try RecordBatchHeader.validate($0).get() }
        #expect(header.recordCount == 2)
        #expect(header.maxTimestamp == 1000)
        #expect(header.lastSequence == 41)
        #expect(header.batchSize == batch.count)
        var iterator = RecordIterator(
            Array(batch[RecordBatchHeader.size...]),
            count: header.recordCount
        )
        #expect(iterator.next()?.value == Array("first".utf8))
        let second = iterator.next()
        #expect(second?.key == Array("k".utf8))
        #expect(second?.value == nil)
        #expect(second?.timestampDelta == -10)
        #expect(second?.headers.count == 1)
        #expect(iterator.next() == nil)
        #expect(!iterator.isDamaged)
    }

    @Test func `stamping the first sixteen bytes leaves the batch valid`() {
        var batch = Self.sample()
        for position in [0, 1, 7, 12, 15] { batch[position] = 0x5a }
        #expect((try? batch.withUnsafeBytes { try RecordBatchHeader.validate($0).get() }) != nil)
    }

    @Test func `every flipped bit behind the stamp is noticed`() {
        let batch = Self.sample()
        for position in 8..<batch.count where !(12..<16).contains(position) {
            var damaged = batch
            damaged[position] ^= 4
            let result = damaged.withUnsafeBytes { RecordBatchHeader.validate($0) }
            #expect((try? result.get()) == nil, "byte \(position)")
        }
    }

    @Test func `every cut is noticed and nothing traps`() {
        let batch = Self.sample()
        for count in 0..<batch.count {
            let cut = Array(batch[..<count])
            #expect((try? cut.withUnsafeBytes { RecordBatchHeader.validate($0) }.get()) == nil)
            guard count > RecordBatchHeader.size else { continue }
            var iterator = RecordIterator(Array(cut[RecordBatchHeader.size...]), count: 2)
            while iterator.next() != nil {}
            #expect(iterator.isDamaged)
        }
    }

    @Test(arguments: [0, 1, -1, 63, -64, 64, 300, Int64.max, Int64.min])
    func `a varint reads back`(_ value: Int64) {
        var bytes: [UInt8] = []
        Varint.append(value, to: &bytes)
        var position = 0
        #expect(bytes.withUnsafeBytes { Varint.read($0, at: &position) } == value)
        #expect(position == bytes.count)
    }

    @Test func `an endless varint is refused`() {
        var position = 0
        let bytes = [UInt8](repeating: 0xff, count: 20)
        #expect(bytes.withUnsafeBytes { Varint.read($0, at: &position) } == nil)
    }
}
