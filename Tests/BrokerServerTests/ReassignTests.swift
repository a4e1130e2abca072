import InterBrokerProtocol
import KafkaProtocol
import Metadata
import Model
import NIOCore
import Raft
import RaftHost
import RaftLog
import Testing

@testable import BrokerServer

/// Moves over the client listener, and the steps of a leader that has them to do.
@Suite struct ReassignTests {
    private func alter(
        _ client: TestClient,
        _ topic: String,
        to replicas: [Int32]?
    ) async throws -> (code: Int16, message: String?) {
        typealias Topic = AlterPartitionReassignmentsRequest.ReassignableTopic
        var partition = Topic.ReassignablePartition()
        partition.replicas = replicas
        var part = Topic()
        part.name = topic
        part.partitions = [partition]
        var request = AlterPartitionReassignmentsRequest()
        request.topics = [part]
        let answer = try await client.call(
            .alterPartitionReassignments,
            0,
            request,
            AlterPartitionReassignmentsResponse.self
        )
        #expect(answer.errorCode == 0 && answer.responses.map(\.name) == [topic])
        let result = try #require(answer.responses.first?.partitions.first)
        return (result.errorCode, result.errorMessage)
    }

    private typealias Ongoing = ListPartitionReassignmentsResponse.OngoingTopicReassignment
        .OngoingPartitionReassignment

    private func list(
        _ client: TestClient,
        of topics: [String]? = nil
    ) async throws -> [Ongoing] {
        var request = ListPartitionReassignmentsRequest()
        request.topics = topics?.map { name in
            var topic = ListPartitionReassignmentsRequest.ListPartitionReassignmentsTopics()
            topic.name = name
            topic.partitionIndexes = [0]
            return topic
        }
        let answer = try await client.call(
            .listPartitionReassignments,
            0,
            request,
            ListPartitionReassignmentsResponse.self
        )
        #expect(answer.errorCode == 0)
        return answer.topics.flatMap(\.partitions)
    }

    /// A broker that leads a partition of its own, in a cluster of three.
    private func started() async throws -> (TestBroker, TestClient) {
        let broker = try await TestBroker.start()
        try await broker.reference.run { broker in
            for id in Int32(2)...3 { (broker.controllers as? TestController)?.register(id) }
        }
        try await broker.createTopic("t")
        let client = try await broker.client()
        return (broker, client)
    }

    /// Waits, in ticks of the broker, until its partition is as it should be.
    private func until(
        _ broker: TestBroker,
        _ condition: @escaping @Sendable (Broker, Partition) -> Bool
    ) async throws {
        while true {
            let isSo = try await broker.reference.run { broker in
                broker.table.partition(of: 1001).map { condition(broker, $0) } ?? false
            }
            if isSo { return }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test func `a move is ordered, listed and cancelled`() async throws {
        let (broker, client) = try await started()
        #expect(try await list(client).isEmpty)
        #expect(try await alter(client, "t", to: [2, 1]).code == 0)
        let ongoing = try #require(try await list(client).first)
        #expect(ongoing.replicas == [1, 2] && ongoing.addingReplicas == [2])
        #expect(ongoing.removingReplicas == [])
        #expect(try await list(client, of: ["t"]).count == 1)
        #expect(try await list(client, of: ["u"]).isEmpty)
        #expect(try await alter(client, "t", to: [3]).code == 0)
        let second = try #require(try await list(client).first)
        #expect(second.replicas == [1, 2, 3] && second.addingReplicas == [3])
        #expect(second.removingReplicas == [1, 2])
        #expect(try await alter(client, "t", to: nil).code == 0)
        #expect(try await list(client).first?.addingReplicas == [])
        try await broker.stop()
    }

    @Test func `what cannot be moved is answered with its reason`() async throws {
        let (broker, client) = try await started()
        #expect(try await alter(client, "u", to: [1]).code == 3)
        let unknown = try await alter(client, "t", to: [1, 9])
        #expect(unknown.code == 39 && unknown.message == "unknown broker 9")
        let none = try await alter(client, "t", to: nil)
        #expect(none.code == 85 && none.message == "no reassignment is in progress")
        let empty = AlterPartitionReassignmentsRequest()
        let answer = try await client.call(
            .alterPartitionReassignments,
            0,
            empty,
            AlterPartitionReassignmentsResponse.self
        )
        #expect(answer.responses.isEmpty)
        try await broker.stop()
    }

    @Test func `Metadata lists a replica that comes, and not as in sync`() async throws {
        let (broker, client) = try await started()
        _ = try await alter(client, "t", to: [1, 2])
        var topic = MetadataRequest.MetadataRequestTopic()
        topic.name = "t"
        var request = MetadataRequest()
        request.topics = [topic]
        let answer = try await client.call(.metadata, 11, request, MetadataResponse.self)
        let partition = try #require(answer.topics.first?.partitions.first)
        #expect(partition.replicaNodes == [1, 2] && partition.isrNodes == [1])
        #expect(partition.offlineReplicas == [])
        #expect(try await broker.reference.run { $0.lookAtPartitions().underReplicated } == 0)
        try await broker.stop()
    }

    @Test func `a replica that is filled again on its broker neither comes nor leaves`()
        async throws
    {
        let (broker, client) = try await started()
        try await broker.reference.run { broker in
            let lost = ReplicaReference(group: 1001, node: NodeID(owner: 1, incarnation: 1))
            (broker.controllers as? TestController)?.commit(.replaceReplicas([lost]))
        }
        let ongoing = try #require(try await list(client).first)
        #expect(ongoing.replicas == [1])
        #expect(ongoing.addingReplicas == [] && ongoing.removingReplicas == [])
        try await broker.stop()
    }

    @Test func `a leader goes step by step, and back when the move is cancelled`() async throws {
        let (broker, client) = try await started()
        _ = try await alter(client, "t", to: [1, 2])
        let newcomer = NodeID(owner: 2, incarnation: 2)
        try await until(broker) { $1.acceptedTarget > 0 }
        // It does not run yet: nothing is sent to it.
        try await until(broker) { broker, _ in broker.reassigner.count == 1 }
        #expect(
            try await broker.reference.run {
                $0.table.partition(of: 1001)?.replica?.configuration.learners.isEmpty
            } == true
        )
        try await broker.reference.run { broker in
            let replica = ReplicaReference(group: 1001, node: newcomer)
            (broker.controllers as? TestController)?.commit(.replicasStarted([replica]))
        }
        try await until(broker) { $1.replica?.configuration.learners == [newcomer] }
        // Records go on being acknowledged: a learner does not count.
        let produced = try await ServingTests.produce(client, "t", testBatch(["a"]))
        #expect(produced.errorCode == 0)

        let first = try await broker.reference.run { $0.table.partition(of: 1001)?.acceptedTarget }
        _ = try await alter(client, "t", to: nil)
        try await until(broker) { $1.replica?.configuration.learners.isEmpty == true }
        let report = try await members(broker)
        #expect(report.voters == [NodeID(owner: 1, incarnation: 1)] && report.learners == [])
        #expect(report.targetVersion > first ?? 0)
        try await broker.reference.run { broker in
            let members = GroupMembers(
                group: 1001,
                version: report.targetVersion,
                voters: report.voters
            )
            (broker.controllers as? TestController)?.commit(.membersChanged(members))
        }
        #expect(try await list(client).isEmpty)
        try await until(broker) { broker, _ in broker.reassigner.count == 0 }
        try await broker.stop()

        let again = try await TestBroker.start(after: broker)
        let accepted = try await again.reference.run {
            $0.table.partition(of: 1001)?.acceptedTarget
        }
        #expect(accepted == report.targetVersion, "it stands in the log")
        try await again.stop()
    }

    /// The next report of members that the broker has for the controllers.
    private func members(_ broker: TestBroker) async throws -> MembersReport {
        while true {
            let reports = try await broker.reference.run { $0.takeReports() }
            if let report = reports.members.first { return report }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test func `an accepted target survives its bytes, and other entries hold none`() {
        let members = ConfState(voters: [1, 2]).encoded
        var change = ConfChange.accepting(0x0102_0304_0506_0708, by: 1)
        change.context = members + change.context
        #expect(ConfChange.acceptedTarget(in: change.bytes) == 0x0102_0304_0506_0708)
        change.context = members
        #expect(ConfChange.acceptedTarget(in: change.bytes) == nil)
        change.context = members + [1, 2, 3]
        #expect(ConfChange.acceptedTarget(in: change.bytes) == nil)
        #expect(ConfChange.acceptedTarget(in: []) == nil)
        #expect(ConfChange.acceptedTarget(in: [9, 9, 9]) == nil)
    }
}
