import InterBroker
import InterBrokerProtocol
import Metadata
import Model
import Testing

@testable import Controller

@Suite struct ReconcileTests {
    @Test func `a group that the metadata never knew is stopped and its data kept`() async throws {
        let world = await World()
        try await world.registerAll()
        let stranger = NodeID(owner: 2, incarnation: 5)
        world.brokers.change(2) { $0.groups[4711] = stranger }
        #expect(try await world.heartbeat(2).wantGroups)
        try await world.heartbeat(2, withGroups: true)
        await world.controller.tick()
        #expect(world.brokers.hosted(2).count == 1, "one list may be out of date")
        #expect(try await world.heartbeat(2).wantGroups)
        try await world.heartbeat(2, withGroups: true)
        try await world.settle { world.brokers.hosted(2).isEmpty }
        #expect(world.brokers[2].kept == [4711])
        #expect(world.capture.messages.contains { $0.contains("Raft group 4711") })
    }

    @Test func `a purged replica that is back while its tombstone stands is purged again`()
        async throws
    {
        let world = await World()
        try await world.registerAll()
        _ = try await world.createTopic("orders", partitions: 1)
        try await world.settle { world.log.store.metadata.startedReplicas(on: 3).count == 1 }
        world.brokers.change(3) { $0.isUp = false }
        let controller = world.controller
        _ = try await world.whileTicking {
            try await controller.deleteTopics(
                DeleteTopicsRequest(topics: [TopicReference(name: "orders")])
            )
        }
        try await world.settle { world.brokers.hosted(1).isEmpty }
        world.brokers.change(1) { $0.groups[1001] = NodeID(owner: 1, incarnation: 1) }
        try await world.heartbeat(1, withGroups: true)
        try await world.settle { world.brokers.hosted(1).isEmpty }
        #expect(world.brokers[1].kept.isEmpty)
        world.brokers.change(3) { $0.isUp = true }
        try await world.settle { world.log.store.metadata.tombstones.isEmpty }
    }

    @Test func `a start whose answer was lost is recorded and not given to another replica`()
        async throws
    {
        let world = await World()
        try await world.registerAll()
        world.brokers.change(2) { $0.lostAnswers = 1 }
        _ = try await world.createTopic("orders", partitions: 1)
        try await world.settle { world.log.store.metadata.startedReplicas(on: 2).count == 1 }
        #expect(world.brokers.hosted(2).map(\.node) == [NodeID(owner: 2, incarnation: 1)])
    }

    @Test func `a new leader finishes what the former one began`() async throws {
        let world = await World()
        try await world.registerAll()
        world.brokers.change(2) { $0.isUp = false }
        world.brokers.change(3) { $0.isUp = false }
        let controller = world.controller
        let request = CreateTopicsRequest(
            topics: [NewTopic(name: "orders", partitions: 2, replicationFactor: 3)]
        )
        let response = Task { try await controller.createTopics(request) }
        try await world.settle { world.brokers.hosted(1).count == 2 }
        let next = await world.successor()
        // The former leader says that it does not know the outcome.
        #expect(try await response.value.topics.map(\.errorCode) == [7])
        world.brokers.change(2) { $0.isUp = true }
        world.brokers.change(3) { $0.isUp = true }
        try await next.settle {
            ids(1...3).allSatisfy {
                next.log.store.metadata.startedReplicas(on: BrokerID($0)).count == 2
            }
        }
    }

    @Test func `a replica that was started is never started again, and its absence is logged once`()
        async throws
    {
        let world = await World()
        try await world.registerAll()
        _ = try await world.createTopic("orders", partitions: 1)
        try await world.settle { world.log.store.metadata.startedReplicas(on: 2).count == 1 }
        let starts = world.brokers[2].starts
        world.brokers.change(2) { $0.groups = [:] }
        for _ in 0..<5 {
            try await world.heartbeat(2, withGroups: true)
            world.clock.advance(.seconds(1))
            for id in Int32(1)...3 { try await world.heartbeat(id) }
            await world.controller.tick()
        }
        #expect(world.brokers[2].starts == starts)
        let lines = world.capture.messages.filter { $0.contains("does not run its replica") }
        #expect(lines.count == 1)
    }

    @Test func `a broker with another directory gets no start with join=false`() async throws {
        let world = await World()
        try await world.registerAll()
        world.brokers.change(2) { $0.isUp = false }
        _ = try await world.createTopic("orders", partitions: 1)
        world.clock.advance(.seconds(4))
        world.brokers.change(2) { broker in
            broker.isUp = true
            broker.directory = directory(99)
        }
        try await world.register(2, session: 2)
        try await world.settle { world.clock.now > .seconds(20) }
        #expect(world.brokers[2].started.allSatisfy { $0.join })
        #expect(world.capture.messages.contains { $0.contains("another data directory") })
    }

    @Test(arguments: 1...25)
    func `whatever fails in between, brokers end with exactly what the metadata says`(
        seed: UInt64
    ) async throws {
        var random = Drawn(state: seed)
        var world = await World(brokers: 4)
        try await world.registerAll(4)
        var number = 0
        for _ in 0..<40 {
            switch Int.random(in: 0..<11, using: &random) {
            case 0, 1:
                number += 1
                let topic = NewTopic(
                    name: "t\(number)",
                    partitions: Int32.random(in: 1...4, using: &random),
                    replicationFactor: Int16.random(in: 1...3, using: &random)
                )
                _ = try await world.controller.createTopics(
                    CreateTopicsRequest(topics: [topic], timeoutMs: 0)
                )
            case 2:
                guard number > 0 else { continue }
                let name = "t\(Int.random(in: 1...number, using: &random))"
                let controller = world.controller
                _ = try await world.whileTicking(step: .milliseconds(50)) {
                    try await controller.deleteTopics(
                        DeleteTopicsRequest(topics: [TopicReference(name: name)])
                    )
                }
            case 3:
                let id = Int32.random(in: 1...4, using: &random)
                world.brokers.change(id) { $0.isUp.toggle() }
            case 4:
                let id = Int32.random(in: 1...4, using: &random)
                world.brokers.change(id) { $0.lostAnswers = 3 }
            case 5: world = await world.successor()
            case 6, 7:
                guard number > 0 else { continue }
                let name = "t\(Int.random(in: 1...number, using: &random))"
                let all = (1...4).map { BrokerID($0) }.shuffled(using: &random)
                let count = Int.random(in: 0...3, using: &random)
                _ = try await world.reassign(name, to: count > 0 ? Array(all.prefix(count)) : nil)
            case 8, 9: await world.moveGroups()
            default:
                let id = Int32.random(in: 1...4, using: &random)
                if world.brokers[id].isUp {
                    _ = try await world.heartbeat(id, withGroups: true)
                }
            }
        }
        try await settle(world)
    }

    /// Ends all mischief, and waits until the brokers hold what the metadata says.
    private func settle(_ world: World) async throws {
        for id in Int32(1)...4 {
            world.brokers.change(id) { broker in
                broker.isUp = true
                broker.lostAnswers = 0
            }
        }
        try await world.settle("the brokers hold what the metadata says", step: .milliseconds(100))
        {
            await world.moveGroups()
            for id in Int32(1)...4 { _ = try await world.heartbeat(id, withGroups: true) }
            let metadata = world.log.store.metadata
            guard metadata.tombstones.isEmpty, metadata.reassignmentCount == 0 else {
                return false
            }
            return ids(1...4).allSatisfy { id in
                let desired = metadata.replicas(on: BrokerID(id))
                let hosted = world.brokers.hosted(id).map {
                    ReplicaReference(group: $0.group, node: $0.node)
                }
                return desired == hosted && metadata.startedReplicas(on: BrokerID(id)) == desired
            }
        }
        #expect(ids(1...4).allSatisfy { world.brokers[$0].kept.isEmpty })
    }
}
