import RecordBatch
import Testing

@testable import BrokerServer

@Suite("The records of __consumer_offsets")
struct GroupsRecordTests {
    private let offset = CommittedOffset(
        offset: 0x0102_0304_0506_0708,
        leaderEpoch: 9,
        metadata: "né",
        commitTimestamp: 10
    )
    private let image = GroupImage(
        protocolType: "consumer",
        generation: 3,
        protocolName: "range",
        leader: "m1",
        stateTimestamp: 11,
        members: [
            GroupImage.Member(
                id: "m1",
                instanceID: nil,
                clientID: "c",
                clientHost: "/127.0.0.1",
                rebalanceTimeoutMilliseconds: 30_000,
                sessionTimeoutMilliseconds: 10_000,
                subscription: [1, 2],
                assignment: [3]
            ),
            GroupImage.Member(
                id: "m2",
                instanceID: "static",
                clientID: "",
                clientHost: "",
                rebalanceTimeoutMilliseconds: 1,
                sessionTimeoutMilliseconds: 2,
                subscription: [],
                assignment: []
            ),
        ]
    )

    private func read(_ batch: [UInt8]) -> (records: [GroupRecord], unreadable: Int) {
        var records: [GroupRecord] = []
        let unreadable = GroupRecords.read(batch) { records.append($0) }
        return (records, unreadable)
    }

    @Test func `every record is read as it was written`() {
        let records: [GroupRecord] = [
            .offset(group: "g", topic: "t", partition: 5, offset),
            .offset(group: "g", topic: "t", partition: 6, nil),
            .group("g", image),
            .group("empty", nil),
        ]
        let (found, unreadable) = read(GroupRecords.batch(records, timestamp: 12))
        #expect(found == records)
        #expect(unreadable == 0)
    }

    @Test func `the bytes are Kafka's`() throws {
        let batch = GroupRecords.batch(
            [.offset(group: "g", topic: "tt", partition: 5, offset)],
            timestamp: 12
        )
        let header = try #require(RecordBatchHeader(batch))
        #expect(header.baseTimestamp == 12)
        var records = RecordIterator(
            Array(batch[RecordBatchHeader.size...]),
            count: header.recordCount
        )
        let first = records.next()
        let record = try #require(first)
        #expect(record.key == [0, 1, 0, 1, 0x67, 0, 2, 0x74, 0x74, 0, 0, 0, 5])
        #expect(
            record.value == [
                0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 9, 0, 3, 0x6e, 0xc3, 0xa9, 0, 0, 0, 0, 0, 0,
                0, 10,
            ]
        )
        #expect(
            GroupRecords.read(key: [0, 2, 0, 1, 0x67], value: nil) == .group("g", nil)
        )
    }

    @Test func `values of older releases are read`() {
        let key: [UInt8] = [0, 0, 0, 1, 0x67, 0, 1, 0x74, 0, 0, 0, 5]
        let value: [UInt8] = [
            0, 1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 20,
        ]
        let old = CommittedOffset(offset: 7, leaderEpoch: -1, metadata: "", commitTimestamp: 10)
        #expect(
            GroupRecords.read(key: key, value: value)
                == .offset(group: "g", topic: "t", partition: 5, old)
        )
    }

    @Test func `damaged and foreign records are counted and do no harm`() {
        let batch = GroupRecords.batch([.group("g", image)], timestamp: 12)
        for length in 0..<batch.count {
            let (records, unreadable) = read(Array(batch[..<length]))
            #expect(records.isEmpty)
            #expect(unreadable == 1)
        }
        var builder = RecordBatchBuilder()
        builder.append(key: [0, 9, 1], value: [1], timestamp: 1)
        builder.append(key: nil, value: [1], timestamp: 1)
        builder.append(key: [0, 2, 0, 1, 0x67], value: [0, 99], timestamp: 1)
        #expect(read(builder.build()).unreadable == 3)
        var flipped = batch
        for position in RecordBatchHeader.size..<flipped.count {
            flipped[position] ^= 0xff
            _ = read(flipped)
            flipped[position] ^= 0xff
        }
    }

    @Test(arguments: [
        ("", 0), ("a", 97), ("group", 98_629_247), ("my-consumer-group", 1_513_705_513),
        ("polygenelubricants", Int32.min), ("né", 3_643), ("😀", 1_772_899),
    ])
    func `groups are spread by Java's hash`(text: String, hash: Int32) {
        #expect(javaHash(text) == hash)
        #expect((0..<50).contains(coordinatorPartition(for: text, of: 50)))
    }
}
