import KafkaProtocol
import Model
import NIOCore
import Testing

@testable import BrokerServer

/// Metadata, topics, configurations, coordinators and producer ids over a socket.
@Suite struct AdminTests {
    private func metadata(
        _ client: TestClient,
        _ topics: [String]?,
        creating: Bool = false,
        version: Int16 = 11
    ) async throws -> MetadataResponse {
        var request = MetadataRequest()
        request.allowAutoTopicCreation = creating
        request.topics = topics?.map { name in
            var topic = MetadataRequest.MetadataRequestTopic()
            topic.name = name
            return topic
        }
        return try await client.call(.metadata, version, request, MetadataResponse.self)
    }

    @Test func `Metadata names the cluster, its brokers and its topics`() async throws {
        let broker = try await TestBroker.start()
        try await broker.createTopic("b", partitions: 3)
        try await broker.createTopic("a")
        let client = try await broker.client()
        let all = try await metadata(client, nil)
        #expect(all.clusterId == TestController.cluster.description)
        #expect(all.controllerId == 1)
        #expect(all.brokers.map(\.nodeId) == [1])
        #expect(all.brokers.map(\.port) == [9092])
        #expect(all.topics.map(\.name) == ["a", "b"])
        #expect(all.topics.allSatisfy { $0.topicId != .zero })
        let partitions = try #require(all.topics.last?.partitions)
        #expect(partitions.map(\.partitionIndex) == [0, 1, 2])
        for partition in partitions {
            #expect(partition.errorCode == 0)
            #expect(partition.leaderId == 1)
            #expect(partition.leaderEpoch >= 1)
            #expect(partition.replicaNodes == [1])
            #expect(partition.isrNodes == [1])
        }
        #expect(try await metadata(client, []).topics.isEmpty)
        try await broker.stop()
    }

    @Test func `Metadata for what does not exist says so`() async throws {
        let broker = try await TestBroker.start()
        let client = try await broker.client()
        let answer = try await metadata(client, ["unknown", "not a name"])
        #expect(answer.topics.map(\.errorCode) == [3, 17])
        try await broker.stop()
    }

    @Test func `Metadata creates a topic that a client names, if both sides want it`()
        async throws
    {
        let broker = try await TestBroker.start()
        let client = try await broker.client()
        let created = try await metadata(client, ["new"], creating: true)
        #expect(created.topics.map(\.errorCode) == [0])
        #expect(created.topics.first?.partitions.first?.leaderId == 1)
        try await broker.stop()
        let strict = try await TestBroker.start { $0.autoCreateTopics = false }
        let other = try await strict.client()
        #expect(try await metadata(other, ["new"], creating: true).topics[0].errorCode == 3)
        try await strict.stop()
    }

    private func create(
        _ client: TestClient,
        _ name: String,
        partitions: Int32 = 2,
        replicas: Int16 = -1
    ) async throws -> CreateTopicsResponse.CreatableTopicResult {
        var topic = CreateTopicsRequest.CreatableTopic()
        topic.name = name
        topic.numPartitions = partitions
        topic.replicationFactor = replicas
        var request = CreateTopicsRequest()
        request.topics = [topic]
        request.timeoutMs = 10_000
        let response = try await client.call(
            .createTopics,
            7,
            request,
            CreateTopicsResponse.self
        )
        return try #require(response.topics.first)
    }

    @Test func `topics are created, and used at once`() async throws {
        let broker = try await TestBroker.start()
        let client = try await broker.client()
        let created = try await create(client, "t")
        #expect(created.errorCode == 0)
        #expect(created.numPartitions == 2)
        #expect(created.topicId != .zero)
        let produced = try await ServingTests.produce(client, "t", testBatch(["a"]))
        #expect(produced.errorCode == 0)
        #expect(try await create(client, "t").errorCode == 36)
        #expect(try await create(client, "not a name").errorCode == 17)
        #expect(try await create(client, "u", partitions: 0).errorCode == 37)
        #expect(try await create(client, "u", replicas: 0).errorCode == 38)
        try await broker.stop()
    }

    @Test func `a deleted topic is gone, with its data, when the answer comes`() async throws {
        let broker = try await TestBroker.start()
        try await broker.createTopic("t")
        let client = try await broker.client()
        _ = try await ServingTests.produce(client, "t", testBatch(["a"]))
        var request = DeleteTopicsRequest()
        request.topicNames = ["t", "unknown"]
        request.timeoutMs = 10_000
        let answer = try await client.call(.deleteTopics, 5, request, DeleteTopicsResponse.self)
        #expect(answer.responses.map(\.errorCode) == [0, 3])
        #expect(try await metadata(client, ["t"]).topics[0].errorCode == 3)
        let late = try await ServingTests.produce(client, "t", testBatch(["b"]))
        #expect(late.errorCode == 3)
        try await broker.createTopic("t")
        let fresh = try await ServingTests.produce(client, "t", testBatch(["c"]))
        #expect(fresh.baseOffset == 0)
        try await broker.stop()
    }

    @Test func `producer ids are never given twice`() async throws {
        let broker = try await TestBroker.start { $0.producerIDBlock = 2 }
        let client = try await broker.client()
        var seen: Set<Int64> = []
        for _ in 0..<7 {
            let answer = try await client.call(
                .initProducerID,
                4,
                InitProducerIdRequest(),
                InitProducerIdResponse.self
            )
            #expect(answer.errorCode == 0)
            #expect(answer.producerEpoch == 0)
            #expect(seen.insert(answer.producerId).inserted)
        }
        try await broker.stop()
    }

    @Test func `the first FindCoordinator creates the offsets topic`() async throws {
        let broker = try await TestBroker.start()
        let client = try await broker.client()
        var request = FindCoordinatorRequest()
        request.key = "group"
        let answer = try await client.call(
            .findCoordinator,
            2,
            request,
            FindCoordinatorResponse.self
        )
        #expect(answer.errorCode == 0)
        #expect(answer.nodeId == 1)
        #expect(answer.port == 9092)
        let internals = try await metadata(client, ["__consumer_offsets"])
        #expect(internals.topics.first?.isInternal == true)
        #expect(internals.topics.first?.partitions.count == 2)
        request.keyType = 1
        let transaction = try await client.call(
            .findCoordinator,
            2,
            request,
            FindCoordinatorResponse.self
        )
        #expect(transaction.errorCode == 15)
        try await broker.stop()
    }

    @Test func `a topic's configuration is described with its origin`() async throws {
        let broker = try await TestBroker.start { $0.messageBytesMax = 5_000 }
        try await broker.createTopic("t")
        let client = try await broker.client()
        var resource = DescribeConfigsRequest.DescribeConfigsResource()
        resource.resourceType = 2
        resource.resourceName = "t"
        resource.configurationKeys = nil
        var unknown = resource
        unknown.resourceName = "unknown"
        var request = DescribeConfigsRequest()
        request.resources = [resource, unknown]
        let answer = try await client.call(
            .describeConfigs,
            4,
            request,
            DescribeConfigsResponse.self
        )
        #expect(answer.results.map(\.errorCode) == [0, 3])
        let limit = try #require(
            answer.results[0].configs.first { $0.name == "max.message.bytes" }
        )
        #expect(limit.value == "5000")
        #expect(limit.configSource == 5)
        try await broker.stop()
    }

    @Test func `DescribeCluster names the brokers`() async throws {
        let broker = try await TestBroker.start()
        let client = try await broker.client()
        let answer = try await client.call(
            .describeCluster,
            0,
            DescribeClusterRequest(),
            DescribeClusterResponse.self
        )
        #expect(answer.clusterId == TestController.cluster.description)
        #expect(answer.brokers.map(\.brokerId) == [1])
        try await broker.stop()
    }

    @Test func `a group commits offsets, and a restart finds them`() async throws {
        let first = try await TestBroker.start()
        try await first.createTopic("t")
        let client = try await first.client()
        var find = FindCoordinatorRequest()
        find.key = "g"
        _ = try await client.call(.findCoordinator, 2, find, FindCoordinatorResponse.self)
        var partition = OffsetCommitRequest.OffsetCommitRequestTopic.OffsetCommitRequestPartition()
        partition.committedOffset = 42
        partition.committedMetadata = "note"
        var topic = OffsetCommitRequest.OffsetCommitRequestTopic()
        topic.name = "t"
        topic.partitions = [partition]
        var commit = OffsetCommitRequest()
        commit.groupId = "g"
        commit.topics = [topic]
        let committed = try await client.call(
            .offsetCommit,
            8,
            commit,
            OffsetCommitResponse.self
        )
        #expect(committed.topics.first?.partitions.first?.errorCode == 0)
        try await first.stop()

        let second = try await TestBroker.start(after: first)
        let other = try await second.client()
        var fetch = OffsetFetchRequest()
        fetch.groupId = "g"
        var wanted = OffsetFetchRequest.OffsetFetchRequestTopic()
        wanted.name = "t"
        wanted.partitionIndexes = [0]
        fetch.topics = [wanted]
        var found = try await other.call(.offsetFetch, 7, fetch, OffsetFetchResponse.self)
        while found.errorCode == 14 || found.errorCode == 15 || found.errorCode == 16 {
            found = try await other.call(.offsetFetch, 7, fetch, OffsetFetchResponse.self)
        }
        let offset = try #require(found.topics.first?.partitions.first)
        #expect(offset.committedOffset == 42)
        #expect(offset.metadata == "note")
        try await second.stop()
    }
}
