import InterBrokerProtocol
import KafkaProtocol
import Model
import Testing

@testable import BrokerServer

/// Kafka's requests about controllers over the client listener; the controllers are this test's.
@Suite struct QuorumTests {
    private func played(
        _ answer: @escaping @Sendable (Any) -> Any?
    ) async throws -> (TestBroker, TestClient) {
        let broker = try await TestBroker.start()
        try await broker.reference.run { broker in
            (broker.controllers as? TestController)?.quorum = answer
        }
        let client = try await broker.client()
        return (broker, client)
    }

    private func add(
        _ client: TestClient,
        _ id: Int32 = 2,
        timeoutMs: Int32 = 0,
        cluster: String? = nil,
        directory: UniqueID = .zero
    ) async throws -> AddRaftVoterResponse {
        var listener = AddRaftVoterRequest.Listener()
        listener.name = "CONTROLLER"
        listener.host = "c2"
        listener.port = 9190
        var request = AddRaftVoterRequest()
        request.clusterId = cluster
        request.voterId = id
        request.voterDirectoryId = directory
        request.timeoutMs = timeoutMs
        request.listeners = [listener]
        return try await client.call(.addRaftVoter, 0, request, AddRaftVoterResponse.self)
    }

    @Test
    func `a voter is added where its listener is, and who waits hears of an end that is late`()
        async throws
    {
        let (broker, client) = try await played { request in
            guard let request = request as? AddControllerRequest else { return nil }
            #expect(request.id == 2 && request.address == "c2:9190")
            return ControllerChangeResponse(
                errorCode: 0,
                isFinished: request.directoryID != nil
            )
        }
        #expect(try await add(client).errorCode == 0, "decided, and nobody waits")
        #expect(try await add(client, timeoutMs: 500).errorCode == 7)
        let directory = UniqueID(high: 1, low: 2)
        #expect(try await add(client, timeoutMs: 500, directory: directory).errorCode == 0)
        #expect(try await add(client, cluster: "another").errorCode == 104)
        #expect(try await add(client, 0).errorCode == 42)
        try await broker.stop()
    }

    @Test func `a refusal keeps its code and its words`() async throws {
        let (broker, client) = try await played { request in
            guard let request = request as? RemoveControllerRequest else { return nil }
            return ControllerChangeResponse(
                errorCode: 127,
                message: "there is no controller \(request.id)"
            )
        }
        var request = RemoveRaftVoterRequest()
        request.voterId = 9
        let answer = try await client.call(
            .removeRaftVoter,
            0,
            request,
            RemoveRaftVoterResponse.self
        )
        #expect(answer.errorCode == 127 && answer.errorMessage == "there is no controller 9")
        #expect(try await add(client).errorCode == 7, "no controller has answered")
        try await broker.stop()
    }

    @Test(arguments: Int16(0)...2)
    func `the quorum is described with leader, voters, learners and their addresses`(
        version: Int16
    ) async throws {
        let (broker, client) = try await played { request in
            guard request is DescribeControllersRequest else { return nil }
            func controller(_ id: Int32, isVoter: Bool, isActive: Bool) -> ControllerDescription {
                ControllerDescription(
                    node: NodeID(owner: id, incarnation: 1),
                    directoryID: DirectoryID(UniqueID(high: 7, low: UInt64(id))),
                    address: "c\(id):9190",
                    isVoter: isVoter,
                    isActive: isActive,
                    match: LogIndex(UInt64(10 * id))
                )
            }
            return DescribeControllersResponse(
                leaderID: 1,
                epoch: 4,
                committed: 30,
                unixMilliseconds: 1_000,
                controllers: [
                    controller(1, isVoter: true, isActive: true),
                    controller(2, isVoter: true, isActive: false),
                    controller(3, isVoter: false, isActive: true),
                ]
            )
        }
        let answer = try await describe(client, "__cluster_metadata", version)
        #expect(answer.errorCode == 0)
        let partition = try #require(answer.topics.first?.partitions.first)
        #expect(partition.leaderId == 1 && partition.leaderEpoch == 4)
        #expect(partition.highWatermark == 30)
        #expect(partition.currentVoters.map(\.replicaId) == [1, 2])
        #expect(partition.currentVoters.map(\.logEndOffset) == [10, 20])
        #expect(partition.observers.map(\.replicaId) == [3])
        if version >= 1 {
            #expect(partition.currentVoters.map(\.lastFetchTimestamp) == [1_000, -1])
        }
        if version >= 2 {
            #expect(answer.nodes.map(\.nodeId) == [1, 2, 3])
            #expect(answer.nodes.last?.listeners.first?.host == "c3")
            #expect(answer.nodes.last?.listeners.first?.port == 9190)
            #expect(partition.observers.first?.replicaDirectoryId == UniqueID(high: 7, low: 3))
        }
        #expect(try await describe(client, "orders", version).errorCode == 42)
        try await broker.stop()
    }

    private func describe(
        _ client: TestClient,
        _ name: String,
        _ version: Int16
    ) async throws -> DescribeQuorumResponse {
        var topic = DescribeQuorumRequest.TopicData()
        topic.topicName = name
        topic.partitions = [DescribeQuorumRequest.TopicData.PartitionData()]
        var request = DescribeQuorumRequest()
        request.topics = [topic]
        return try await client.call(
            .describeQuorum,
            version,
            request,
            DescribeQuorumResponse.self
        )
    }
}
