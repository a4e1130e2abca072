import InterBroker
import InterBrokerProtocol
import Model
import NIOCore
import Raft
import RaftHost
import RaftLog
import Testing

@testable import BrokerServer

/// What the broker answers to the controllers' orders, 1003 and 1004.
@Suite struct PeerRequestTests {
    private static let topic = TopicID(UniqueID(high: 1, low: 2))
    private static let requestID = RequestID(UniqueID(high: 9, low: 9))

    private func order(
        _ broker: TestBroker,
        group: RaftGroupID = 1001,
        members: [String: String] = ["\(NodeID(owner: 1, incarnation: 1))": "127.0.0.1:9192"],
        directory: DirectoryID? = nil
    ) async throws -> StartPartitionRaftGroupRequest {
        let own = try await broker.reference.run { $0.manager.directory.directoryID }
        return StartPartitionRaftGroupRequest(
            raftGroupID: group,
            topicID: Self.topic,
            topicName: "test-topic",
            partitionID: 0,
            nodeMembers: members,
            join: false,
            directoryID: directory ?? own
        )
    }

    private func start(
        _ broker: TestBroker,
        _ request: StartPartitionRaftGroupRequest,
        id: RequestID = requestID
    ) async -> Result<String, Refusal> {
        await broker.reference.wait { broker, done in broker.start(request, id, completion: done) }
    }

    private func stop(
        _ broker: TestBroker,
        group: RaftGroupID = 1001,
        topic: TopicID = topic,
        purge: Bool = false
    ) async -> Result<String, Refusal> {
        let request = StopPartitionRaftGroupRequest(
            raftGroupID: group,
            topicID: topic,
            topicName: "test-topic",
            partitionID: 0,
            purge: purge
        )
        return await broker.reference.wait { broker, done in broker.stop(request, completion: done)
        }
    }

    private func error(_ result: Result<String, Refusal>) -> String? {
        if case .failure(let refusal) = result { return refusal.error }
        return nil
    }

    @Test func `an order that cannot be is refused for its first fault`() async throws {
        let broker = try await TestBroker.start()
        let elsewhere = ["\(NodeID(owner: 2, incarnation: 1))": "127.0.0.1:9292"]
        let foreign = DirectoryID(UniqueID(high: 7, low: 7))
        let cases: [(StartPartitionRaftGroupRequest, String)] = [
            (try await order(broker, group: 0, members: [:]), "invalid raft group ID"),
            (try await order(broker, members: [:]), "invalid field: node_members"),
            (try await order(broker, members: ["x": "a:1"]), "invalid field: node_members"),
            (try await order(broker, directory: foreign), "wrong directory ID"),
            (try await order(broker, members: elsewhere), "wrong broker ID"),
        ]
        for (request, reason) in cases {
            #expect(error(await start(broker, request)) == reason)
        }
        #expect(try await broker.reference.run { $0.table.count } == 0)
        try await broker.stop()
    }

    @Test func `a group that runs is started again only as a replay`() async throws {
        let broker = try await TestBroker.start()
        let request = try await order(broker)
        #expect(error(await start(broker, request)) == nil)
        // The same request, and the same members under another request: both are replays.
        let other = RequestID(UniqueID(high: 8, low: 8))
        #expect(error(await start(broker, request)) == nil)
        #expect(error(await start(broker, request, id: other)) == nil)
        var changed = request
        changed.nodeMembers["\(NodeID(owner: 2, incarnation: 1))"] = "127.0.0.1:9292"
        #expect(error(await start(broker, changed, id: other)) == "Raft group already running")
        #expect(try await broker.reference.run { $0.table.count } == 1)
        try await broker.stop()
    }

    @Test func `stopping keeps the data and purging deletes it`() async throws {
        let broker = try await TestBroker.start()
        _ = await start(broker, try await order(broker))
        #expect(error(await stop(broker, topic: TopicID(UniqueID(high: 6, low: 6)))) != nil)
        #expect(error(await stop(broker)) == nil)
        #expect(try await broker.reference.run { $0.manager.directory.holds(1001) })
        #expect(try await broker.reference.run { $0.table.count } == 0)
        guard case .success(let message) = await stop(broker) else {
            Issue.record("stopping what does not run is a success")
            return
        }
        #expect(message == "not running")
        #expect(error(await stop(broker, purge: true)) == nil)
        #expect(try await broker.reference.run { !$0.manager.directory.holds(1001) })
        try await broker.stop()
    }

    @Test func `only the replica that is named is purged`() async throws {
        let broker = try await TestBroker.start()
        _ = await start(broker, try await order(broker))
        func purge(_ incarnation: UInt32) async -> String? {
            let request = StopPartitionRaftGroupRequest(
                raftGroupID: 1001,
                topicID: Self.topic,
                topicName: "test-topic",
                partitionID: 0,
                purge: true,
                nodeID: NodeID(owner: 1, incarnation: incarnation)
            )
            return try? await broker.reference.wait {
                (
                    broker,
                    done: @escaping @Sendable (Result<String, Refusal>) -> Void
                ) in broker.stop(request, completion: done)
            }.get()
        }
        #expect(await purge(2) == "not running")
        #expect(try await broker.reference.run { $0.manager.isRunning(1001) })
        #expect(await purge(1) == "")
        #expect(try await broker.reference.run { !$0.manager.directory.holds(1001) })
        #expect(await purge(1) == "not running")
        try await broker.stop()
    }

    @Test func `a replica that joins is a replay whatever members the order names`() async throws {
        let broker = try await TestBroker.start()
        let own = NodeID(owner: 1, incarnation: 3)
        var request = try await order(
            broker,
            members: ["\(own)": "a:1", "\(NodeID(owner: 2, incarnation: 1))": "b:1"]
        )
        request.join = true
        #expect(error(await start(broker, request)) == nil)
        let replica = try await broker.reference.run { broker in
            broker.manager.replica(1001).map { ($0.nodeID, $0.configuration.voters) }
        }
        #expect(replica?.0 == own && replica?.1 == [])
        request.nodeMembers["\(NodeID(owner: 3, incarnation: 1))"] = "c:1"
        let other = RequestID(UniqueID(high: 8, low: 8))
        #expect(error(await start(broker, request, id: other)) == nil)
        request.nodeMembers["\(NodeID(owner: 1, incarnation: 4))"] = "a:1"
        #expect(error(await start(broker, request, id: other)) == "Raft group already running")
        try await broker.stop()
    }

    @Test func `the handlers log the fixed lines`() async throws {
        let broker = try await TestBroker.start()
        let logger = broker.log.logger
        let header = RequestHeader(
            clusterID: TestController.cluster,
            senderRole: .controller,
            senderID: 1,
            targetID: 1,
            requestID: Self.requestID,
            controllerEpoch: 1
        )
        let context = RequestContext(header: header, peer: "127.0.0.1:1", logger: logger)
        let starter = StartPartitionRaftGroupHandler(broker: broker.reference)
        _ = try await starter.handle(try await order(broker), context)
        let stopper = StopPartitionRaftGroupHandler(broker: broker.reference)
        let request = StopPartitionRaftGroupRequest(
            raftGroupID: 1001,
            topicID: Self.topic,
            topicName: "test-topic",
            partitionID: 0
        )
        _ = try await stopper.handle(request, context)
        for line in [
            "Successfully started Raft group 1001 for partition test-topic-0 (join=false)",
            "Successfully stopped Raft group 1001 for partition test-topic-0",
        ] { #expect(broker.log.texts.contains(line)) }
        try await broker.stop()
    }

    @Test func `a started group survives a restart without an order`() async throws {
        let first = try await TestBroker.start()
        _ = await start(first, try await order(first))
        try await first.stop()
        let second = try await TestBroker.start(after: first)
        #expect(try await second.reference.run { $0.manager.isRunning(1001) })
        #expect(
            try await second.reference.run { $0.table.partition(of: 1001)?.topic } == "test-topic"
        )
        let status = try await second.reference.run { $0.statusLine }
        #expect(status.hasPrefix("serving: 1 partition, leader of "))
        try await second.stop()
    }

    @Test func `the status line counts partitions that nobody leads`() async throws {
        let broker = try await TestBroker.start()
        let members = (Int32(1)...3).map { ("\(NodeID(owner: $0, incarnation: 1))", "127.0.0.1:1") }
        let request = try await order(broker, members: Dictionary(uniqueKeysWithValues: members))
        _ = await start(broker, request)
        let status = try await broker.reference.run { broker in
            broker.lookAtPartitions()
            return broker.statusLine
        }
        #expect(
            status == "serving: 1 partition, leader of 0, 0 under-replicated, 1 without a leader"
        )
        try await broker.stop()
    }
}
