import InterBroker
import InterBrokerProtocol
import Metadata
import Model
import Testing

@testable import Controller

@Suite struct TopicTests {
    @Test func `a topic is created on every replica's broker and answered with leaders`()
        async throws
    {
        let world = await World()
        try await world.registerAll()
        let created = try await world.createTopic("orders")
        #expect(created.errorCode == 0 && created.partitions == 3 && created.replicationFactor == 3)
        let topic = try #require(world.log.store.metadata.topic(try name("orders")))
        #expect(topic.topicID == created.topicID && topic.topicID != TopicID(.zero))
        for id in Int32(1)...3 {
            #expect(world.brokers.hosted(id).map(\.group) == [1001, 1002, 1003])
        }
        try await world.settle {
            world.log.store.metadata.startedReplicas(on: 1).count == 3
                && world.log.store.metadata.startedReplicas(on: 3).count == 3
        }
        #expect(
            world.capture.messages.contains(
                "Starting Raft groups for 3 partitions across multiple brokers"
            )
        )
        #expect(ids(1...3).allSatisfy { world.brokers[$0].starts == 3 })
    }

    @Test func `a topic is answered as soon as leaders are known, without the broker that is down`()
        async throws
    {
        let world = await World()
        try await world.registerAll()
        world.brokers.change(3) { $0.isUp = false }
        let created = try await world.createTopic("orders", partitions: 1)
        // Its preferred leader is broker 1, which with broker 2 is a majority.
        #expect(created.errorCode == 0)
        #expect(world.brokers.hosted(3).isEmpty)
        world.brokers.change(3) { $0.isUp = true }
        try await world.settle("the start is made good") {
            world.brokers.hosted(3).count == 1
                && world.log.store.metadata.startedReplicas(on: 3).count == 1
        }
    }

    @Test func `a topic without leaders is answered as timed out and exists nevertheless`()
        async throws
    {
        let world = await World()
        try await world.registerAll()
        let controller = world.controller
        let request = CreateTopicsRequest(
            topics: [NewTopic(name: "orders", partitions: 1, replicationFactor: 3)],
            timeoutMs: 500
        )
        let response = try await world.whileTicking {
            try await controller.createTopics(request)
        }
        #expect(response.topics.first?.errorCode == 7)
        #expect(world.log.store.metadata.topics.count == 1)
        #expect(world.clock.now >= .milliseconds(500))
    }

    @Test func `too few brokers are refused with Kafka's code and both numbers`() async throws {
        let world = await World()
        try await world.register(1)
        try await world.register(2)
        let response = try await world.controller.createTopics(
            CreateTopicsRequest(topics: [
                NewTopic(name: "orders", partitions: 1, replicationFactor: 3)
            ])
        )
        #expect(response.topics.first?.errorCode == 38)
        #expect(response.topics.first?.message == "insufficient brokers: need 3, have 2")
        #expect(world.log.store.metadata.topics.isEmpty)
    }

    struct BadTopic: Sendable {
        var name = "t"
        var partitions: Int32 = 1
        var replicas: Int16 = 1
        var assignments: [String: [BrokerID]]?
        var configs: [String: String] = [:]
        let code: Int16
    }

    @Test(arguments: [
        BadTopic(name: "a b", code: 17),
        BadTopic(partitions: 0, code: 37),
        BadTopic(partitions: 20_000, code: 37),
        BadTopic(replicas: 0, code: 38),
        BadTopic(assignments: ["0": [1], "2": [2]], code: 39),
        BadTopic(assignments: ["0": [1, 9]], code: 39),
        BadTopic(assignments: ["0": [1, 1]], code: 39),
        BadTopic(assignments: ["0": [1], "1": [1, 2]], code: 39),
        BadTopic(configs: ["compression.type": "zstd"], code: 40),
        BadTopic(configs: ["no.such.key": "1"], code: 40),
    ])
    func `what Kafka refuses is refused with its code`(bad: BadTopic) async throws {
        let topic = NewTopic(
            name: bad.name,
            partitions: bad.partitions,
            replicationFactor: bad.replicas,
            assignments: bad.assignments,
            configs: bad.configs
        )
        let world = await World()
        try await world.registerAll()
        let response = try await world.controller.createTopics(CreateTopicsRequest(topics: [topic]))
        #expect(response.topics.first?.errorCode == bad.code)
        #expect(response.topics.first?.message.isEmpty == false)
        #expect(world.log.store.metadata.topics.isEmpty)
    }

    @Test
    func `a topic that exists or is named twice is refused, validation alone creates nothing`()
        async throws
    {
        let world = await World()
        try await world.registerAll()
        _ = try await world.createTopic("orders", partitions: 1)
        let topic = NewTopic(name: "orders", partitions: 1, replicationFactor: 1)
        let other = NewTopic(name: "other", partitions: 2, replicationFactor: 1)
        let again = try await world.controller.createTopics(CreateTopicsRequest(topics: [topic]))
        #expect(again.topics.map(\.errorCode) == [36])
        let twice = try await world.controller.createTopics(
            CreateTopicsRequest(topics: [other, other])
        )
        #expect(twice.topics.map(\.errorCode) == [42, 42])
        let checked = try await world.controller.createTopics(
            CreateTopicsRequest(topics: [other], validateOnly: true)
        )
        #expect(checked.topics.map(\.errorCode) == [0])
        #expect(checked.topics.first?.partitions == 2)
        #expect(world.log.store.metadata.topics.count == 1)
    }

    @Test func `a deleted topic is purged everywhere, also where a broker was down`() async throws {
        let world = await World()
        try await world.registerAll()
        let created = try await world.createTopic("orders")
        try await world.settle { world.log.store.metadata.startedReplicas(on: 3).count == 3 }
        world.brokers.change(3) { $0.isUp = false }
        let controller = world.controller
        let deleted = try await world.whileTicking {
            try await controller.deleteTopics(
                DeleteTopicsRequest(topics: [TopicReference(name: "orders")])
            )
        }
        #expect(world.log.store.metadata.topics.isEmpty)
        try await world.settle {
            world.brokers.hosted(1).isEmpty && world.brokers.hosted(2).isEmpty
        }
        #expect(world.brokers.hosted(3).count == 3)
        #expect(world.log.store.metadata.tombstones.count == 3)
        world.brokers.change(3) { $0.isUp = true }
        try await world.settle("the last broker purges too") {
            world.brokers.hosted(3).isEmpty && world.log.store.metadata.tombstones.isEmpty
        }
        #expect(deleted.topics.map(\.errorCode) == [0])
        #expect(deleted.topics.first?.topicID == created.topicID)
        #expect(
            world.capture.messages.contains(
                "Stopping Raft groups for 3 partitions across multiple brokers"
            )
        )
        #expect(world.brokers[3].kept.isEmpty)
    }

    @Test func `an unknown topic is not deleted`() async throws {
        let world = await World()
        try await world.registerAll()
        let id = TopicID(UniqueID(high: 4, low: 4))
        let response = try await world.controller.deleteTopics(
            DeleteTopicsRequest(topics: [
                TopicReference(name: "nothing"), TopicReference(topicID: id),
            ])
        )
        #expect(response.topics.map(\.errorCode) == [3, 100])
    }

    @Test func `partitions are added and configs changed, and bad ones refused`() async throws {
        let world = await World()
        try await world.registerAll()
        _ = try await world.createTopic("orders", partitions: 1)
        let controller = world.controller
        let more = try await world.whileTicking {
            try await controller.createPartitions(
                CreatePartitionsRequest(topics: [
                    PartitionIncrease(name: "orders", count: 4),
                    PartitionIncrease(name: "orders", count: 2),
                    PartitionIncrease(name: "nothing", count: 2),
                ])
            )
        }
        #expect(more.topics.map(\.errorCode) == [0, 37, 3])
        try await world.settle { world.brokers.hosted(2).count == 4 }
        let altered = try await world.whileTicking {
            try await controller.alterConfigs(
                AlterConfigsRequest(resources: [
                    ConfigChange(resourceType: 2, name: "orders", set: ["retention.ms": "5"]),
                    ConfigChange(resourceType: 2, name: "orders", set: ["retention.ms": "x"]),
                ])
            )
        }
        #expect(altered.resources.map(\.errorCode) == [0, 40])
        let topic = try #require(world.log.store.metadata.topic(try name("orders")))
        #expect(topic.configs.retentionMs == 5)
    }

    @Test func `topics that are created at the same time are spread over the brokers`() async throws
    {
        let world = await World()
        try await world.registerAll()
        let controller = world.controller
        await withTaskGroup(of: Void.self) { group in
            for number in 1...9 {
                group.addTask {
                    _ = try? await controller.createTopics(
                        CreateTopicsRequest(
                            topics: [
                                NewTopic(
                                    name: "t\(number)",
                                    partitions: 1,
                                    replicationFactor: 1
                                )
                            ],
                            timeoutMs: 0
                        )
                    )
                }
            }
        }
        #expect(world.log.store.metadata.onlineLoads().map(\.replicas) == [3, 3, 3])
    }
}

func ids(_ range: ClosedRange<Int32>) -> [Int32] { Array(range) }
