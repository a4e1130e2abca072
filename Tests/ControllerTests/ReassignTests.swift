import InterBroker
import InterBrokerProtocol
import Metadata
import Model
import Testing

@testable import Controller

extension World {
    var metadata: ClusterMetadata { log.store.metadata }

    /// The first partition of a topic.
    func partition(_ topic: String) throws -> PartitionInfo {
        try #require(metadata.topic(try name(topic))?.partitions.first)
    }

    func reassign(_ topic: String, to brokers: [BrokerID]?) async throws -> PartitionResult {
        let controller = controller
        let move = PartitionMove(topicName: topic, partitionID: 0, replicas: brokers)
        let response = try await whileTicking {
            try await controller.reassignPartitions(ReassignPartitionsRequest(partitions: [move]))
        }
        return try #require(response.partitions.first)
    }

    /// Lets each group go towards its target as far as its replicas allow, and its leader report.
    ///
    /// A change needs a majority of the voters; a replica that runs has caught up.
    func moveGroups() async {
        for partition in metadata.reassignments {
            let info = partition.info
            guard let reassignment = info.reassignment else { continue }
            let founders = info.replicas.filter { !$0.joins }.map(\.node)
            let voters = brokers.members(of: info.group) ?? founders
            let running = voters.filter { runs($0, info.group) }
            guard running.count > voters.count / 2, let leader = running.first else { continue }
            let next = step(info, reassignment.target, voters)
            brokers.set(next, of: info.group)
            let report = MembersReport(
                group: info.group,
                targetVersion: reassignment.version,
                voters: next,
                learners: []
            )
            guard let broker = metadata.broker(leader.broker) else { continue }
            _ = try? await controller.reportLeaders(
                ReportLeadersRequest(session: broker.session, leaders: [], members: [report]),
                of: broker.id
            )
        }
    }

    private func runs(_ node: NodeID, _ group: RaftGroupID) -> Bool {
        let broker = brokers[node.owner]
        return broker.isUp && broker.groups[group] == node && !broker.suspects.contains(group)
    }

    private func step(
        _ info: PartitionInfo,
        _ target: [NodeID],
        _ voters: [NodeID]
    ) -> [NodeID] {
        if target.allSatisfy({ runs($0, info.group) && info.replica($0)?.isStarted == true }) {
            return target
        }
        let waiting = info.desired.filter { !$0.isStarted }
        return voters.filter { node in
            target.contains(node)
                || !waiting.contains {
                    $0.broker == node.broker
                        && $0.directoryID == info.replica(node)?.directoryID
                }
        }
    }
}

@Suite struct ReassignTests {
    /// A topic of one partition on brokers 1, 2 and 3 of four.
    private func started() async throws -> World {
        let world = await World(brokers: 4)
        try await world.registerAll()
        _ = try await world.createTopic("orders", partitions: 1)
        try await world.settle { ids(1...3).allSatisfy { world.isStarted(on: $0) } }
        try await world.register(4)
        return world
    }

    private func finish(_ world: World) async throws {
        try await world.settle("the move is finished and everything purged") {
            await world.moveGroups()
            return world.metadata.reassignmentCount == 0 && world.metadata.tombstones.isEmpty
        }
    }

    @Test func `a replica is started where it is to be, and purged where it was`() async throws {
        let world = try await started()
        #expect(try await world.reassign("orders", to: [4, 1, 2]).errorCode == 0)
        try await world.settle { world.isStarted(on: 4) }
        let order = try #require(world.brokers[4].started.last)
        #expect(order.join && order.members?.map(\.node.owner) == [1, 2, 3, 4])
        #expect(world.brokers[3].groups[1001] != nil, "it is needed until the group lets it go")
        try await finish(world)
        #expect(world.brokers.hosted(3).isEmpty && world.brokers[3].kept.isEmpty)
        #expect(world.brokers.hosted(4).map(\.node) == [NodeID(owner: 4, incarnation: 2)])
        #expect(try world.partition("orders").desired.map(\.broker) == [4, 1, 2])
        // The metadata are there a moment before the news of them.
        for line in [
            "Partition orders-0 is to be on brokers 4,1,2 (adding 4, removing 3)",
            "Partition orders-0 is on brokers 4,1,2 as it was to be",
        ] {
            try await until("the log has it") { world.capture.messages.contains(line) }
        }
    }

    @Test func `what cannot be is refused in Kafka's terms`() async throws {
        let world = try await started()
        #expect(try await world.reassign("unknown", to: [1]).errorCode == 3)
        #expect(try await world.reassign("orders", to: [1, 9]).errorCode == 39)
        #expect(try await world.reassign("orders", to: [1, 1]).errorCode == 39)
        #expect(try await world.reassign("orders", to: []).errorCode == 39)
        #expect(try await world.reassign("orders", to: nil).errorCode == 85)
        #expect(world.metadata.reassignmentCount == 0)
        let next = await world.successor()
        await #expect(throws: Refusal.self) {
            try await world.controller.reassignPartitions(ReassignPartitionsRequest(partitions: []))
        }
        #expect(next.metadata.reassignmentCount == 0)
    }

    @Test func `a cancelled move purges what it added`() async throws {
        let world = try await started()
        _ = try await world.reassign("orders", to: [4, 1, 2])
        try await world.settle { world.isStarted(on: 4) }
        #expect(try await world.reassign("orders", to: nil).errorCode == 0)
        try await finish(world)
        #expect(world.brokers.hosted(4).isEmpty)
        #expect(try world.partition("orders").replicas.map(\.broker) == [1, 2, 3])
    }

    @Test func `a broker that was away is purged once it is back`() async throws {
        let world = try await started()
        _ = try await world.reassign("orders", to: [1, 2, 4])
        world.brokers.change(3) { $0.isUp = false }
        try await world.settle {
            await world.moveGroups()
            return world.metadata.reassignmentCount == 0
        }
        #expect(world.metadata.tombstone(1001)?.unconfirmed == [NodeID(owner: 3, incarnation: 1)])
        try await world.settle { world.metadata.broker(3)?.isOnline == false }
        world.brokers.change(3) { $0.isUp = true }
        try await finish(world)
        #expect(world.brokers.hosted(3).isEmpty)
    }

    @Test func `a broker with an empty directory is filled again without a person`() async throws {
        let world = try await started()
        world.clock.advance(.seconds(4))
        world.brokers.change(2) { broker in
            broker.directory = directory(99)
            broker.groups = [:]
        }
        try await world.register(2, session: 2)
        try await world.settle { world.isStarted(on: 2) }
        let order = try #require(world.brokers[2].started.last)
        #expect(order.join && order.directoryID == directory(99))
        try await finish(world)
        #expect(world.brokers.hosted(2).map(\.node) == [NodeID(owner: 2, incarnation: 2)])
        #expect(try world.partition("orders").replicas.map(\.broker) == [1, 2, 3])
        #expect(world.capture.messages.contains { $0.contains("on broker 2 is lost or damaged") })
    }

    @Test func `a disk that was away comes back too late and is purged before it is filled`()
        async throws
    {
        let world = try await started()
        let old = world.brokers[2]
        world.clock.advance(.seconds(4))
        world.brokers.change(2) { broker in
            broker.directory = directory(99)
            broker.groups = [:]
        }
        try await world.register(2, session: 2)
        try await finish(world)
        world.clock.advance(.seconds(4))
        world.brokers.change(2) { broker in
            broker.directory = old.directory
            broker.groups = old.groups
        }
        try await world.register(2, session: 3)
        try await finish(world)
        #expect(world.brokers.hosted(2).map(\.node) == [NodeID(owner: 2, incarnation: 3)])
        #expect(world.brokers[2].kept.isEmpty)
    }

    @Test func `a damaged replica is purged before its successor is started, never earlier`()
        async throws
    {
        let world = try await started()
        world.brokers.change(2) { $0.suspects = [1001] }
        try await world.settle { world.metadata.reassignmentCount == 1 }
        for _ in 0..<20 {
            world.clock.advance(.milliseconds(100))
            await world.beat()
            await world.controller.tick()
        }
        #expect(world.brokers.hosted(2).map(\.node.incarnation) == [1], "the group needs it yet")
        try await finish(world)
        #expect(world.brokers.hosted(2).map(\.node.incarnation) == [2])
        #expect(world.brokers[2].started.last?.join == true)
        #expect(world.brokers[2].suspects.isEmpty)
    }

    @Test func `a founder that never ran is told the founders while the group stands still`()
        async throws
    {
        let world = await World(brokers: 4)
        try await world.registerAll(4)
        world.brokers.change(2) { $0.isUp = false }
        let controller = world.controller
        let topic = NewTopic(
            name: "orders",
            partitions: 1,
            replicationFactor: 3,
            assignments: ["0": [1, 2, 3]]
        )
        _ = try await world.whileTicking(leadersReport: true) {
            try await controller.createTopics(CreateTopicsRequest(topics: [topic]))
        }
        _ = try await world.reassign("orders", to: [1, 2, 4])
        world.brokers.change(2) { $0.isUp = true }
        try await world.settle { world.isStarted(on: 2) }
        let order = try #require(world.brokers[2].started.last)
        #expect(!order.join && order.members?.map(\.node.owner) == [1, 2, 3])
    }

    @Test func `a founder that first runs after a move learns of the members from the log`()
        async throws
    {
        let world = await World(brokers: 4)
        try await world.registerAll(4)
        world.brokers.change(2) { $0.isUp = false }
        let controller = world.controller
        let topic = NewTopic(
            name: "orders",
            partitions: 1,
            replicationFactor: 3,
            assignments: ["0": [1, 2, 3]]
        )
        _ = try await world.whileTicking(leadersReport: true) {
            try await controller.createTopics(CreateTopicsRequest(topics: [topic]))
        }
        try await world.settle { world.isStarted(on: 1) && world.isStarted(on: 3) }
        let founder = NodeID(owner: 2, incarnation: 1)
        _ = try await world.reassign("orders", to: [1, 2, 4])
        try await world.settle { world.isStarted(on: 4) }
        let version = try #require(try world.partition("orders").reassignment?.version)
        let target = try world.partition("orders").desired.map(\.node)
        // Brokers 1 and 4 are a majority of the target.
        let report = MembersReport(
            group: 1001,
            targetVersion: version,
            voters: target,
            learners: []
        )
        _ = try await controller.reportLeaders(
            ReportLeadersRequest(session: session(1), leaders: [], members: [report]),
            of: 1
        )
        try await world.settle { world.metadata.reassignmentCount == 0 }
        world.brokers.change(2) { $0.isUp = true }
        try await world.settle { world.isStarted(on: 2) }
        #expect(world.brokers[2].groups[1001] == founder)
        #expect(world.brokers[2].started.last?.join == true)
    }

    @Test func `members that are no news are not written`() async throws {
        let world = try await started()
        _ = try await world.reassign("orders", to: [1, 2, 4])
        try await world.settle { world.isStarted(on: 4) }
        let info = try world.partition("orders")
        let version = try #require(info.reassignment?.version)
        func report(_ voters: [NodeID], _ version: MetadataVersion) async throws {
            let report = MembersReport(
                group: 1001,
                targetVersion: version,
                voters: voters,
                learners: []
            )
            _ = try await world.controller.reportLeaders(
                ReportLeadersRequest(session: session(1), leaders: [], members: [report]),
                of: 1
            )
            for _ in 0..<100 { await Task.yield() }
        }
        let count = world.log.commands.count
        try await report(info.replicas.prefix(3).map(\.node), version)
        try await report(info.desired.map(\.node), version - 1)
        #expect(world.log.commands.count == count)
        try await report(info.desired.map(\.node), version)
        try await world.settle { world.metadata.reassignmentCount == 0 }
    }
}

extension World {
    fileprivate func isStarted(on broker: Int32) -> Bool {
        metadata.startedReplicas(on: BrokerID(broker)).count == 1
    }
}
