import InterBroker
import InterBrokerProtocol
import Metadata
import Model
import Testing

@testable import Controller

@Suite struct BrokerTests {
    @Test func `a broker registers, and a new run of it gets a new incarnation`() async throws {
        let world = await World()
        let first = try await world.register(1)
        #expect(first.clusterID == world.log.store.clusterID && first.epoch == 1)
        try await world.register(1)
        #expect(world.log.store.metadata.broker(1)?.incarnation == 1)
        try await world.register(1, session: 2)
        #expect(world.log.store.metadata.broker(1)?.incarnation == 2)
    }

    @Test func `a new run does not inherit the silence of the one before`() async throws {
        let world = await World()
        try await world.register(1)
        world.clock.advance(.seconds(60))
        await world.controller.tick()
        try await until("it is offline") { world.log.store.metadata.onlineBrokers.isEmpty }
        // The controller looks at the metadata before it hears what has changed in them.
        let controller = world.controller
        world.log.connect { _ in await controller.tick() }
        try await world.register(1, session: 2)
        #expect(await world.controller.reign?.changing.isEmpty == true)
        #expect(world.log.store.metadata.onlineBrokers.map(\.id) == [1])
    }

    @Test func `a heartbeat of an unknown run is refused`() async throws {
        let world = await World()
        await #expect(throws: ClusterController.notRegistered) { try await world.heartbeat(1) }
        try await world.register(1, session: 2)
        await #expect(throws: ClusterController.notRegistered) {
            try await world.heartbeat(1, session: 1)
        }
        try await world.heartbeat(1, session: 2)
    }

    @Test func `a broker id that another data directory uses is refused while its owner is heard`()
        async throws
    {
        let world = await World()
        try await world.register(1)
        let other = directory(77)
        do {
            try await world.register(1, session: 2, directory: other)
            Issue.record("a second broker took the number")
        } catch {
            #expect((error as? Refusal)?.error == "broker ID in use")
        }
        world.clock.advance(.seconds(4))
        try await world.register(1, session: 2, directory: other)
        #expect(world.log.store.metadata.broker(1)?.directoryID == other)
    }

    @Test func `a broker that says that it stops is offline at once, without a warning`()
        async throws
    {
        let world = await World()
        try await world.registerAll()
        _ = try await world.controller.heartbeat(
            BrokerHeartbeatRequest(
                session: session(1),
                metadataVersion: 0,
                digest: "",
                isLeaving: true
            ),
            of: 2
        )
        try await until { world.log.store.metadata.onlineBrokers.map(\.id) == [1, 3] }
        try await until {
            world.capture.messages.contains { $0.hasPrefix("Broker 2 has stopped") }
        }
        #expect(!world.capture.messages.contains { $0.contains("silent for too long") })
        try await world.register(2, session: 2)
        #expect(world.log.store.metadata.onlineBrokers.count == 3)
    }

    @Test func `a broker that is silent for three seconds is offline until it is heard again`()
        async throws
    {
        let world = await World()
        try await world.registerAll()
        world.clock.advance(.milliseconds(2_900))
        try await world.heartbeat(1)
        try await world.heartbeat(2)
        await world.controller.tick()
        #expect(world.log.store.metadata.onlineBrokers.count == 3)
        world.clock.advance(.milliseconds(200))
        try await world.settle(step: .zero, isHeard: false) {
            world.log.store.metadata.onlineBrokers.count == 2
        }
        #expect(world.log.store.metadata.broker(3)?.isOnline == false)
        try await world.settle(step: .zero, isHeard: false) {
            try await world.heartbeat(3)
            return world.log.store.metadata.onlineBrokers.count == 3
        }
        #expect(world.log.store.metadata.broker(3)?.incarnation == 1)
    }

    @Test func `a new leader restarts every broker's clock of silence`() async throws {
        let world = await World()
        try await world.registerAll()
        world.clock.advance(.seconds(10))
        let next = await world.successor()
        await next.controller.tick()
        next.clock.advance(.milliseconds(2_900))
        await next.controller.tick()
        #expect(next.log.store.metadata.onlineBrokers.count == 3)
        next.clock.advance(.milliseconds(200))
        try await next.settle(step: .zero, isHeard: false) {
            next.log.store.metadata.onlineBrokers.isEmpty
        }
    }

    @Test func `who does not lead refuses and names the leader`() async throws {
        let world = await World(leads: false)
        await world.depose(for: 2)
        do {
            try await world.register(1)
            Issue.record("a follower registered a broker")
        } catch {
            let refusal = try #require(error as? Refusal)
            #expect(refusal.isNotControllerLeader)
            #expect(refusal.leaderID == 2 && refusal.leaderAddress == "c2:9190")
        }
        #expect(world.log.commands.isEmpty)
    }

    @Test func `the newest term wins, and everybody is told`() async throws {
        let world = await World()
        try await world.registerAll()
        _ = try await world.createTopic("orders", partitions: 1)
        let node = NodeID(owner: 2, incarnation: 1)
        func report(_ term: Term, _ node: NodeID, from broker: Int32) async throws {
            _ = try await world.controller.reportLeaders(
                ReportLeadersRequest(
                    session: session(1),
                    leaders: [LeaderReport(group: 1001, term: term, node: node)]
                ),
                of: BrokerID(broker)
            )
        }
        try await report(7, node, from: 2)
        try await report(6, NodeID(owner: 1, incarnation: 1), from: 1)
        try await world.settle {
            ids(1...3).allSatisfy { world.brokers[$0].leaders[1001]?.term == 7 }
        }
        #expect(world.brokers[1].leaders[1001]?.node == node)
        #expect(await world.controller.reportedLeaders().map(\.term) == [7])
    }

    @Test func `producer ids go out in blocks that never overlap`() async throws {
        let world = await World()
        try await world.registerAll()
        var next: Int64 = 0
        for _ in 0..<3 {
            let block = try await world.controller.allocateProducerIDs(
                AllocateProducerIDsRequest(count: 1000)
            )
            #expect(block.first == next && block.count == 1000)
            next += 1000
        }
    }

    @Test func `the full list is asked for only when the digest differs`() async throws {
        let world = await World()
        try await world.registerAll()
        #expect(try await world.heartbeat(1).wantGroups == false)
        _ = try await world.createTopic("orders")
        try await world.settle { world.log.store.metadata.startedReplicas(on: 1).count == 3 }
        #expect(try await world.heartbeat(1).wantGroups == false)
        world.brokers.change(1) { $0.groups[1001] = nil }
        #expect(try await world.heartbeat(1).wantGroups == true)
        #expect(try await world.heartbeat(1, withGroups: true).wantGroups == false)
    }

    @Test func `a controller that holds entries is recorded as having joined`() async throws {
        let world = await World()
        world.log.form([1, 2, 3], silent: [2])
        try await world.settle { world.log.store.metadata.controllers == [1, 3] }
        #expect(world.log.store.metadata.controllerReplicas.map(\.id) == [1, 2, 3])
    }

    @Test func `the first leader writes the cluster's identity into the log`() async throws {
        let world = await World()
        try await world.settle {
            world.log.store.metadata.clusterID == world.log.store.clusterID
        }
    }
}
