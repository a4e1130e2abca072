import Compression
import KafkaClient
import KafkaProtocol
import NIOCore
import Testing

@Suite struct ProducerTests {
    /// Options that send every record as a batch of its own.
    static var oneByOne: ProducerOptions {
        var options = ProducerOptions()
        options.batchBytesMax = 1
        return options
    }

    private static let values = (0..<40).map { "value \($0)" }

    @Test func `records of one turn share a batch`() async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        try await ClusterClientTests.send(Self.values, over: client)
        #expect(await broker.values("orders") == Self.values)
        #expect(await broker.with { $0.topics["orders"]?[0].batches.count } == 1)
        await client.close()
        await broker.stop()
    }

    @Test(arguments: [Acks.none, .leader, .all])
    func `every acknowledgement is understood`(_ acks: Acks) async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        var options = Self.oneByOne
        options.acks = acks
        try await ClusterClientTests.send(Self.values, over: client, options: options)
        // Nobody says when a batch without acknowledgement has arrived; a later answer does.
        _ = try await client.offset(of: PartitionName("orders", 0), at: .latest)
        #expect(await broker.values("orders") == Self.values)
        await client.close()
        await broker.stop()
    }

    @Test(arguments: [
        KafkaError.unknownTopicOrPartition, .leaderNotAvailable, .notLeaderOrFollower,
        .requestTimedOut, .offsetNotAvailable, .notEnoughReplicas,
    ])
    func `a passing refusal costs neither a record nor the order`(
        _ error: KafkaError
    ) async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        await broker.with { state in
            state.mischief = { api, number in
                api == .produce && [2, 3, 9, 20].contains(number) ? .refuse(error) : .none
            }
        }
        try await ClusterClientTests.send(Self.values, over: client, options: Self.oneByOne)
        #expect(await broker.values("orders") == Self.values)
        await client.close()
        await broker.stop()
    }

    @Test func `a lost connection costs neither a record nor the order`() async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        await broker.with { state in
            state.mischief = { api, number in
                guard api == .produce else { return .none }
                switch number {
                case 2, 15: return .drop
                case 4, 11, 22: return .doAndDrop
                default: return .none
                }
            }
        }
        try await ClusterClientTests.send(Self.values, over: client, options: Self.oneByOne)
        #expect(await broker.values("orders") == Self.values)
        await client.close()
        await broker.stop()
    }

    @Test func `a refusal for good is reported, and the others are written once`() async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        await broker.with { state in
            state.mischief = { api, number in
                api == .produce && number == 3 ? .refuse(.messageTooLarge) : .none
            }
        }
        let reports = Reports()
        let producer = await Producer(client, options: Self.oneByOne) { reports.add($1) }
        try await producer.send(
            Self.values.enumerated().map { ClusterClientTests.record($1, tag: UInt64($0)) }
        )
        await producer.flush()
        #expect(reports.failures == [.refused(.messageTooLarge, message: nil)])
        #expect(reports.failedTags == [2])
        #expect(reports.count == Self.values.count)
        #expect(await broker.values("orders") == Self.values.filter { $0 != "value 2" })
        // The numbers behind a gap are another producer's.
        #expect(await broker.with { $0.topics["orders"]?[0].producers.count } == 2)
        await producer.close()
        await client.close()
        await broker.stop()
    }

    @Test func `a broker that forgot the producer is told another one`() async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        await broker.with { state in
            state.mischief = { api, number in
                api == .produce && number == 5 ? .refuse(.unknownProducerID) : .none
            }
        }
        try await ClusterClientTests.send(Self.values, over: client, options: Self.oneByOne)
        #expect(await broker.values("orders") == Self.values)
        await client.close()
        await broker.stop()
    }

    @Test func `a topic that never comes is named when time is up`() async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        var options = ProducerOptions()
        options.deliveryTimeout = .milliseconds(80)
        let reports = Reports()
        let producer = await Producer(client, options: options) { reports.add($1) }
        var record = ClusterClientTests.record("x")
        record.partition = PartitionName("absent", 0)
        try await producer.send([record])
        record.partition = PartitionName("orders", 9)
        try await producer.send([record])
        await producer.flush()
        #expect(reports.failures.contains(.unknownTopic("absent")))
        #expect(reports.failures.contains(.unknownPartition(topic: "orders", partition: 9)))
        await producer.close()
        await client.close()
        await broker.stop()
    }

    @Test func `a leader that moved is followed`() async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        let second = try await FakeBroker.start(id: 1, joining: broker)
        let key = FakeBroker.PartitionKey(topic: "orders", partition: 0)
        await broker.with { state in
            state.mischief = { api, number in
                if api == .produce, number == 7 { state.leaders[key] = 1 }
                return .none
            }
        }
        try await ClusterClientTests.send(Self.values, over: client, options: Self.oneByOne)
        #expect(await broker.values("orders") == Self.values)
        await client.close()
        await broker.stop()
        await second.stop()
    }

    @Test func `a full buffer makes the sender wait`() async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        var options = Self.oneByOne
        options.bufferedBytesMax = 100
        try await ClusterClientTests.send(Self.values, over: client, options: options)
        #expect(await broker.values("orders") == Self.values)
        await client.close()
        await broker.stop()
    }

    @Test func `what is refused after the producer was closed is reported`() async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        await broker.with { state in
            state.mischief = { [unowned state] api, _ in
                guard api == .produce else { return .none }
                state.holdsAnswers = true
                return .refuse(.notLeaderOrFollower)
            }
        }
        let reports = Reports()
        let producer = await Producer(client, options: Self.oneByOne) { reports.add($1) }
        try await producer.send((0..<10).map { ClusterClientTests.record("x", tag: $0) })
        try await reports.until("a batch is in flight") {
            await broker.with { !$0.heldAnswers.isEmpty }
        }
        await producer.close()
        #expect(reports.count < 10)
        await broker.with { $0.releaseAnswers() }
        try await reports.until("all are reported") { reports.count == 10 }
        #expect(reports.failedTags.sorted() == Array(0..<10))
        await client.close()
        await broker.stop()
    }

    @Test func `closing reports what was not written`() async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        await broker.with { state in
            state.mischief = { api, _ in api == .produce ? .refuse(.notLeaderOrFollower) : .none }
        }
        let reports = Reports()
        let producer = await Producer(client, options: Self.oneByOne) { reports.add($1) }
        try await producer.send((0..<10).map { ClusterClientTests.record("x", tag: $0) })
        await producer.close()
        await client.close()
        #expect(reports.failedTags.sorted() == Array(0..<10))
        await #expect(throws: KafkaClientError.closed) {
            try await producer.send([ClusterClientTests.record("x")])
        }
        await broker.stop()
    }

    @Test func `keys choose the partitions that Java's client chooses`() {
        // From Kafka's own tests of murmur2.
        let known: [(String, UInt32)] = [
            ("21", UInt32(bitPattern: -973_932_308)), ("foobar", UInt32(bitPattern: -790_332_482)),
            ("a-little-bit-long-string", UInt32(bitPattern: -985_981_536)),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", UInt32(bitPattern: -58_897_971)),
        ]
        for (key, hash) in known {
            let partition = KeyPartitioner.partition(forKey: Array(key.utf8), of: 1 << 30)
            #expect(partition == Int32((hash & 0x7fff_ffff) % (1 << 30)), "\(key)")
        }
    }
}
