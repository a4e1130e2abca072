import KafkaProtocol
import NIOCore
import RaftHost
import RecordBatch
import Testing

@testable import BrokerServer

/// Whole requests over a socket, against a broker over files in memory.
@Suite struct ServingTests {
    static func produceRequest(
        _ topic: String,
        _ partition: Int32,
        _ records: ByteBuffer?,
        acks: Int16 = -1
    ) -> ProduceRequest {
        var data = ProduceRequest.TopicProduceData.PartitionProduceData()
        data.index = partition
        data.records = records
        var topicData = ProduceRequest.TopicProduceData()
        topicData.name = topic
        topicData.partitionData = [data]
        var request = ProduceRequest()
        request.acks = acks
        request.timeoutMs = 10_000
        request.topicData = [topicData]
        return request
    }

    typealias Produced = ProduceResponse.TopicProduceResponse.PartitionProduceResponse
    typealias Fetched = FetchResponse.FetchableTopicResponse.PartitionData

    static func produce(
        _ client: TestClient,
        _ topic: String,
        _ records: ByteBuffer?,
        acks: Int16 = -1,
        version: Int16 = 9
    ) async throws -> Produced {
        let response = try await client.call(
            .produce,
            version,
            produceRequest(topic, 0, records, acks: acks),
            ProduceResponse.self
        )
        return try #require(response.responses.first?.partitionResponses.first)
    }

    static func fetchRequest(
        _ topic: String,
        _ offset: Int64,
        wait: Int32 = 0,
        bytesMin: Int32 = 1,
        bytesMax: Int32 = 1 << 20,
        epoch: Int32 = -1
    ) -> FetchRequest {
        var partition = FetchRequest.FetchTopic.FetchPartition()
        partition.partition = 0
        partition.fetchOffset = offset
        partition.partitionMaxBytes = bytesMax
        partition.currentLeaderEpoch = epoch
        var wanted = FetchRequest.FetchTopic()
        wanted.topic = topic
        wanted.partitions = [partition]
        var request = FetchRequest()
        request.maxWaitMs = wait
        request.minBytes = bytesMin
        request.maxBytes = 1 << 20
        request.topics = [wanted]
        return request
    }

    static func fetch(
        _ client: TestClient,
        _ request: FetchRequest,
        version: Int16 = 12
    ) async throws -> Fetched {
        let response = try await client.call(.fetch, version, request, FetchResponse.self)
        return try #require(response.responses.first?.partitions.first)
    }

    @Test func `what comes behind a batch that was turned away is no gap of the producer's`()
        async throws
    {
        // One batch may be uncommitted, and those that come with it are refused.
        let broker = try await TestBroker.start(host: { $0.uncommittedBytesMax = 1 })
        try await broker.createTopic("t")
        let client = try await broker.client()
        func frame(_ sequence: Int32) -> ByteBuffer {
            let batch = testBatch(["\(sequence)"], producer: (7, 0, sequence))
            return TestClient.frame(.produce, 9, Self.produceRequest("t", 0, batch))
        }
        var frames = ByteBuffer()
        for sequence in Int32(0)..<4 { frames.writeImmutableBuffer(frame(sequence)) }
        var codes: [Int16] = []
        for future in client.send(frames, answers: 4) {
            let response = try TestClient.decode(
                try await future.get(),
                .produce,
                9,
                ProduceResponse.self
            )
            codes += response.responses.flatMap(\.partitionResponses).map(\.errorCode)
        }
        #expect(codes == [0, 19, 19, 19])
        for sequence in Int32(1)..<4 {
            let batch = testBatch(["\(sequence)"], producer: (7, 0, sequence))
            #expect(try await Self.produce(client, "t", batch).errorCode == 0)
        }
        // A gap of its own is one.
        let gap = testBatch(["x"], producer: (7, 0, 9))
        #expect(try await Self.produce(client, "t", gap).errorCode == 45)
        try await broker.stop()
    }

    @Test func `a producer that was turned away is remembered for a while`() {
        var turnedAway = TurnedAway()
        let now = NIODeadline.now()
        turnedAway.note(1, at: now)
        #expect(turnedAway.contains(1, at: now) && !turnedAway.contains(2, at: now))
        #expect(!turnedAway.contains(1, at: now + TurnedAway.memory))
        turnedAway.forget(1)
        #expect(!turnedAway.contains(1, at: now))
        for producer in 0..<Int64(TurnedAway.producersMax) + 1 {
            turnedAway.note(producer, at: now)
        }
        #expect(!turnedAway.contains(0, at: now))
        #expect(turnedAway.contains(Int64(TurnedAway.producersMax), at: now))
    }

    @Test func `what is produced is fetched`() async throws {
        let broker = try await TestBroker.start()
        try await broker.createTopic("t")
        let client = try await broker.client()
        let first = try await Self.produce(client, "t", testBatch(["a", "b"]))
        #expect(first.errorCode == 0)
        #expect(first.baseOffset == 0)
        let second = try await Self.produce(client, "t", testBatch(["c"]), acks: 1, version: 3)
        #expect(second.baseOffset == 2)
        for version in Int16(4)...12 {
            let all = try await Self.fetch(
                client,
                Self.fetchRequest("t", 0, wait: 5_000, bytesMin: 140),
                version: version
            )
            #expect(all.errorCode == 0)
            #expect(testValues(all.records) == ["a", "b", "c"])
            #expect(all.highWatermark == 3)
        }
        let last = try await Self.fetch(client, Self.fetchRequest("t", 2))
        #expect(testValues(last.records) == ["c"])
        try await broker.stop()
    }

    @Test func `produce refuses what must not enter the log`() async throws {
        let broker = try await TestBroker.start { $0.messageBytesMax = 1_000 }
        try await broker.createTopic("t")
        let client = try await broker.client()
        var damaged = testBatch(["a"])
        damaged.setInteger(UInt8(0xff), at: damaged.writerIndex - 1)
        var oldFormat = testBatch(["a"])
        oldFormat.setInteger(Int8(1), at: oldFormat.readerIndex + 16)
        let cases: [(ByteBuffer?, KafkaError)] = [
            (damaged, .corruptMessage), (oldFormat, .unsupportedForMessageFormat),
            (testBatch([String(repeating: "x", count: 1_000)]), .messageTooLarge),
            (nil, .invalidRecord), (ByteBuffer(bytes: [1, 2, 3]), .corruptMessage),
        ]
        for (records, error) in cases {
            let answer = try await Self.produce(client, "t", records)
            #expect(answer.errorCode == error.rawValue)
            #expect(answer.baseOffset == -1)
        }
        let acks = try await Self.produce(client, "t", testBatch(["a"]), acks: 2)
        #expect(acks.errorCode == KafkaError.invalidRequiredAcks.rawValue)
        let unknown = try await Self.produce(client, "unknown", testBatch(["a"]))
        #expect(unknown.errorCode == KafkaError.unknownTopicOrPartition.rawValue)
        let good = try await Self.produce(client, "t", testBatch(["a"]))
        #expect(good.baseOffset == 0)
        try await broker.stop()
    }

    @Test func `nobody but the broker itself writes to an internal topic`() async throws {
        let broker = try await TestBroker.start()
        try await broker.createTopic("__consumer_offsets")
        let client = try await broker.client()
        let answer = try await Self.produce(client, "__consumer_offsets", testBatch(["a"]))
        #expect(answer.errorCode == KafkaError.invalidTopicException.rawValue)
        try await broker.stop()
    }

    @Test func `produce with acks 0 is not answered, and an error closes the connection`()
        async throws
    {
        let broker = try await TestBroker.start()
        try await broker.createTopic("t")
        let client = try await broker.client()
        let request = Self.produceRequest("t", 0, testBatch(["a"]), acks: 0)
        try await client.push(TestClient.frame(.produce, 9, request))
        // The next answer belongs to the next request, so none was sent in between.
        let fetched = try await Self.fetch(client, Self.fetchRequest("t", 0, wait: 5_000))
        #expect(testValues(fetched.records) == ["a"])
        let bad = Self.produceRequest("unknown", 0, testBatch(["a"]), acks: 0)
        try await client.push(TestClient.frame(.produce, 9, bad))
        try await client.waitForClose()
        try await broker.stop()
    }

    @Test func `a repeated batch gets its first offset and a gap is refused`() async throws {
        let broker = try await TestBroker.start()
        try await broker.createTopic("t")
        let client = try await broker.client()
        func send(_ sequence: Int32, _ values: [String]) async throws -> Produced {
            try await Self.produce(client, "t", testBatch(values, producer: (7, 0, sequence)))
        }
        #expect(try await send(0, ["a", "b"]).baseOffset == 0)
        #expect(try await send(2, ["c"]).baseOffset == 2)
        #expect(try await send(0, ["a", "b"]).baseOffset == 0)
        #expect(try await send(4, ["e"]).errorCode == 45)
        #expect(try await send(3, ["d"]).baseOffset == 3)
        try await broker.stop()
    }

    @Test func `a restart brings back records and sequences`() async throws {
        let first = try await TestBroker.start()
        try await first.createTopic("t")
        let before = try await first.client()
        for sequence in Int32(0)..<5 {
            _ = try await Self.produce(
                before,
                "t",
                testBatch(["v\(sequence)"], producer: (7, 0, sequence))
            )
        }
        try await first.stop()
        let second = try await TestBroker.start(after: first)
        let client = try await second.client()
        let repeated = try await Self.untilLeader {
            try await Self.produce(client, "t", testBatch(["v4"], producer: (7, 0, 4)))
        }
        #expect(repeated.errorCode == 0)
        #expect(repeated.baseOffset == 4)
        let next = try await Self.produce(client, "t", testBatch(["v5"], producer: (7, 0, 5)))
        #expect(next.baseOffset == 5)
        // What is in segments already comes first, and the newest with the next request.
        var values: [String] = []
        while values.count < 6 {
            let request = Self.fetchRequest("t", Int64(values.count))
            values += testValues(try await Self.fetch(client, request).records)
        }
        #expect(values == (0...5).map { "v\($0)" })
        try await second.stop()
    }

    /// Asks again while the partition has no leader yet.
    static func untilLeader(_ body: () async throws -> Produced) async throws -> Produced {
        while true {
            let answer = try await body()
            if answer.errorCode != KafkaError.notLeaderOrFollower.rawValue { return answer }
            await Task.yield()
        }
    }

    @Test func `a fetch waits for data and is woken by it`() async throws {
        let broker = try await TestBroker.start()
        try await broker.createTopic("t")
        let consumer = try await broker.client()
        let waiting = consumer.send(
            TestClient.frame(.fetch, 11, Self.fetchRequest("t", 0, wait: 60_000))
        )
        // Answers keep their order: this one waits behind the fetch.
        let behind = consumer.send(TestClient.frame(.metadata, 9, MetadataRequest()))
        let producer = try await broker.client()
        _ = try await Self.produce(producer, "t", testBatch(["late"]))
        let answer = try TestClient.decode(
            try await waiting.get(),
            .fetch,
            11,
            FetchResponse.self
        )
        #expect(testValues(answer.responses[0].partitions[0].records) == ["late"])
        _ = try TestClient.decode(try await behind.get(), .metadata, 9, MetadataResponse.self)
        try await broker.stop()
    }

    @Test func `a fetch without data answers when its time is over`() async throws {
        let broker = try await TestBroker.start()
        try await broker.createTopic("t")
        let client = try await broker.client()
        let empty = try await Self.fetch(client, Self.fetchRequest("t", 0, wait: 20))
        #expect(empty.errorCode == 0)
        #expect(empty.highWatermark == 0)
        #expect(testValues(empty.records).isEmpty)
        try await broker.stop()
    }

    @Test func `the first batch comes whole however little is asked for`() async throws {
        let broker = try await TestBroker.start()
        try await broker.createTopic("t")
        let client = try await broker.client()
        _ = try await Self.produce(client, "t", testBatch(["a", "b"]))
        _ = try await Self.produce(client, "t", testBatch(["c"]))
        let one = try await Self.fetch(client, Self.fetchRequest("t", 0, bytesMax: 1))
        #expect(testValues(one.records) == ["a", "b"])
        // From the middle of a batch, the whole batch.
        let middle = try await Self.fetch(client, Self.fetchRequest("t", 1, bytesMax: 1))
        #expect(testValues(middle.records) == ["a", "b"])
        try await broker.stop()
    }

    @Test func `a fetch outside the log or in another epoch is refused`() async throws {
        let broker = try await TestBroker.start()
        try await broker.createTopic("t")
        let client = try await broker.client()
        _ = try await Self.produce(client, "t", testBatch(["a"]))
        let cases: [(FetchRequest, KafkaError)] = [
            (Self.fetchRequest("t", 2), .offsetOutOfRange),
            (Self.fetchRequest("t", -1), .offsetOutOfRange),
            (Self.fetchRequest("t", 0, epoch: 0), .fencedLeaderEpoch),
            (Self.fetchRequest("t", 0, epoch: 99), .unknownLeaderEpoch),
            (Self.fetchRequest("unknown", 0), .unknownTopicOrPartition),
        ]
        for (request, error) in cases {
            #expect(try await Self.fetch(client, request).errorCode == error.rawValue)
        }
        try await broker.stop()
    }

    @Test func `large batches come back as they were sent`() async throws {
        let broker = try await TestBroker.start()
        try await broker.createTopic("t")
        let client = try await broker.client()
        let values = (0..<4).map { String(repeating: "\($0)", count: 100_000) }
        for value in values { _ = try await Self.produce(client, "t", testBatch([value])) }
        let all = try await Self.fetch(client, Self.fetchRequest("t", 0))
        #expect(testValues(all.records) == values)
        try await broker.stop()
    }

    @Test func `offsets are found by name and by time`() async throws {
        let broker = try await TestBroker.start()
        try await broker.createTopic("t")
        let client = try await broker.client()
        _ = try await Self.produce(client, "t", testBatch(["a", "b"], timestamp: 1_000))
        _ = try await Self.produce(client, "t", testBatch(["c", "d"], timestamp: 2_000))
        let cases: [(Int64, Int64, Int64)] = [
            (-1, 4, -1), (-2, 0, -1), (0, 0, 1_000), (1_001, 1, 1_001), (1_500, 2, 2_000),
            (2_001, 3, 2_001), (9_999, -1, -1),
        ]
        for (time, offset, timestamp) in cases {
            var partition = ListOffsetsRequest.ListOffsetsTopic.ListOffsetsPartition()
            partition.timestamp = time
            var topic = ListOffsetsRequest.ListOffsetsTopic()
            topic.name = "t"
            topic.partitions = [partition]
            var request = ListOffsetsRequest()
            request.topics = [topic]
            let answer = try await client.call(.listOffsets, 6, request, ListOffsetsResponse.self)
            let found = try #require(answer.topics.first?.partitions.first)
            #expect(found.errorCode == 0)
            #expect(found.offset == offset)
            #expect(found.timestamp == timestamp)
        }
        try await broker.stop()
    }
}
