import Compression
import KafkaClient
import KafkaProtocol
import Model
import NIOCore
import Testing

@Suite struct ClusterClientTests {
    /// A broker with a topic, and a client of it that gives up after a while.
    static func setUp(
        partitions: Int = 1,
        deadline: TimeAmount = .seconds(20)
    ) async throws -> (FakeBroker, ClusterClient) {
        let broker = try await FakeBroker.start()
        await broker.create("orders", partitions: partitions)
        var options = ClientOptions()
        options.deadline = deadline
        options.retryPause = .milliseconds(5)
        return (broker, ClusterClient(bootstrap: [broker.address], options: options))
    }

    @Test func `topics are created, described and deleted`() async throws {
        let (broker, client) = try await Self.setUp()
        let created = try await client.create(topics: [
            NewTopic(name: "new", partitions: 3, replicationFactor: 1),
            NewTopic(name: "orders", partitions: 1),
        ])
        #expect(created.map(\.name) == ["new", "orders"])
        #expect(created[0].error == nil)
        #expect(created[1].error == .refused(.topicAlreadyExists, message: "it is there"))
        let topic = try await client.describe(topic: "new")
        #expect(topic.partitions.map(\.id) == [0, 1, 2])
        #expect(try await client.describe(topics: nil).topics.map(\.name) == ["new", "orders"])
        let deleted = try await client.delete(topics: ["new", "absent"])
        #expect(deleted[0].error == nil)
        #expect(deleted[1].error == .refused(.unknownTopicOrPartition, message: nil))
        await #expect(throws: KafkaClientError.unknownTopic("new")) {
            try await client.describe(topic: "new")
        }
        await client.close()
        await broker.stop()
    }

    @Test func `validating creates nothing`() async throws {
        let (broker, client) = try await Self.setUp()
        let outcome = try await client.create(
            topics: [NewTopic(name: "new", partitions: 1)],
            validateOnly: true
        )
        #expect(outcome[0].error == nil)
        #expect(try await client.describe(topics: nil).topics.map(\.name) == ["orders"])
        await client.close()
        await broker.stop()
    }

    @Test func `who is not the controller is asked no longer`() async throws {
        let (broker, client) = try await Self.setUp()
        await broker.with { state in
            state.mischief = { api, number in
                api == .createTopics && number <= 2 ? .refuse(.notController) : .none
            }
        }
        let outcome = try await client.create(topics: [NewTopic(name: "new", partitions: 1)])
        #expect(outcome[0].error == nil)
        #expect(await broker.with { $0.requests[.createTopics] } == 3)
        await client.close()
        await broker.stop()
    }

    @Test func `moves are ordered, listed and taken back`() async throws {
        let (broker, client) = try await Self.setUp(partitions: 2)
        #expect(try await client.reassignments().isEmpty)
        let partition = PartitionName("orders", 1)
        let outcomes = try await client.reassign([
            (partition, [1, 2]), (PartitionName("orders", 7), [1]), (PartitionName("new", 0), nil),
        ])
        #expect(outcomes.map(\.partition.partition) == [1, 7, 0])
        #expect(outcomes[0].error == nil)
        #expect(outcomes[1].error == .refused(.unknownTopicOrPartition, message: nil))
        #expect(
            try await client.reassignments() == [
                ReassignmentDescription(
                    partition: partition,
                    replicas: [0, 1, 2],
                    adding: [1, 2],
                    removing: [0]
                )
            ]
        )
        #expect(try await client.reassign([(partition, nil)])[0].error == nil)
        #expect(
            try await client.reassign([(partition, nil)])[0].error
                == .refused(.noReassignmentInProgress, message: "nothing moves")
        )
        await broker.with { state in
            state.mischief = { api, _ in
                api == .alterPartitionReassignments ? .refuse(.policyViolation) : .none
            }
        }
        await #expect(throws: KafkaClientError.refused(.policyViolation, message: nil)) {
            try await client.reassign([(partition, [1])])
        }
        await client.close()
        await broker.stop()
    }

    @Test func `controllers are added, described and removed`() async throws {
        let (broker, client) = try await Self.setUp()
        for id: Int32 in [1, 2, 3] {
            try await client.addController(id, at: Address(host: "c\(id)", port: 9190))
        }
        let quorum = try await client.describeControllers()
        #expect(quorum.leader == 1 && quorum.epoch == 3 && quorum.committed == 50)
        #expect(quorum.controllers.map(\.id) == [1, 2, 3])
        #expect(quorum.controllers.map(\.isVoter) == [true, true, false])
        #expect(quorum.controllers.map(\.end) == [50, 50, 20])
        // A leader is there, whether or not anybody has heard it.
        #expect(quorum.controllers.map(\.isActive) == [true, false, true])
        #expect(quorum.controllers[1].address == Address(host: "c2", port: 9190))
        try await client.removeController(3)
        #expect(try await client.describeControllers().controllers.map(\.id) == [1, 2])
        await #expect(
            throws: KafkaClientError.refused(.voterNotFound, message: "there is no controller 3")
        ) {
            try await client.removeController(3)
        }
        // While the controllers elect a leader, who waits asks again, and who does not is told.
        await broker.with { state in
            let first = state.requests[.describeQuorum] ?? 0
            state.mischief = { api, count in
                api == .describeQuorum && count <= first + 2 ? .refuse(.requestTimedOut) : .none
            }
        }
        await #expect(throws: KafkaClientError.refused(.requestTimedOut, message: nil)) {
            try await client.describeControllers(patiently: false)
        }
        #expect(try await client.describeControllers().leader == 1)
        await client.close()
        await broker.stop()
    }

    @Test func `a dead address is passed over, and named when all are dead`() async throws {
        let dead = Address(host: "127.0.0.1", port: 1)
        let (broker, other) = try await Self.setUp()
        await other.close()
        let client = ClusterClient(bootstrap: [dead, broker.address])
        #expect(try await client.describe(topics: []).clusterID == "fake")
        await client.close()
        await broker.stop()
        var options = ClientOptions()
        options.deadline = .milliseconds(100)
        let lost = ClusterClient(bootstrap: [dead], options: options)
        do {
            _ = try await lost.describe(topics: [])
            Issue.record("nobody is there")
        } catch {
            #expect(error.isUnreachable)
            #expect(error.description.hasPrefix("no broker answers at 127.0.0.1:1: "))
        }
        await lost.close()
    }

    @Test func `an old broker is spoken to in its own versions`() async throws {
        let (broker, client) = try await Self.setUp()
        await broker.with { state in
            // Kafka 2.1's ranges, before flexible versions and before ApiVersions 3.
            state.range = { api in
                let top: [ApiKey: Int16] = [
                    .produce: 7, .fetch: 10, .listOffsets: 4, .metadata: 7, .apiVersions: 2,
                    .createTopics: 3, .initProducerID: 1,
                ]
                return top[api].map { 0...$0 }
            }
        }
        try await Self.send(["a", "b"], over: client)
        #expect(await broker.values("orders") == ["a", "b"])
        #expect(try await client.offset(of: PartitionName("orders", 0), at: .latest) == 2)
        await #expect(throws: KafkaClientError.unsupported(.deleteTopics)) {
            try await client.delete(topics: ["orders"])
        }
        await client.close()
        await broker.stop()
    }

    @Test func `offsets are found by place and by time`() async throws {
        let (broker, client) = try await Self.setUp()
        try await Self.send(["a", "b", "c"], over: client)
        let name = PartitionName("orders", 0)
        #expect(try await client.offset(of: name, at: .earliest) == 0)
        #expect(try await client.offset(of: name, at: .latest) == 3)
        #expect(try await client.offset(of: name, at: .offset(7)) == 7)
        // Nothing is that young.
        #expect(try await client.offset(of: name, at: .timestamp(Int64.max)) == 3)
        await client.close()
        await broker.stop()
    }

    /// Sends values to partition 0 and checks that all were written.
    static func send(
        _ values: [String],
        over client: ClusterClient,
        options: ProducerOptions = ProducerOptions()
    ) async throws {
        let reports = Reports()
        let producer = await Producer(client, options: options) { reports.add($1) }
        try await producer.send(values.enumerated().map { record($1, tag: UInt64($0)) })
        await producer.flush()
        #expect(reports.failures.isEmpty)
        #expect(reports.tags == Array(0..<UInt64(values.count)))
        await producer.close()
    }

    static func record(_ value: String, tag: UInt64 = 0) -> OutgoingRecord {
        OutgoingRecord(
            partition: PartitionName("orders", 0),
            value: Array(value.utf8),
            timestamp: 1_700_000_000_000,
            tag: tag
        )
    }
}
