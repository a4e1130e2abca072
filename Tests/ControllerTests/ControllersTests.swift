import InterBroker
import InterBrokerProtocol
import Logging
import Metadata
import Model
import Raft
import Testing

@testable import Controller

/// The controllers change by request, and a new leader goes on where the former one ended.
@Suite struct ControllersTests {
    private func node(_ id: Int32, _ incarnation: UInt32 = 1) -> NodeID {
        NodeID(owner: id, incarnation: incarnation)
    }

    /// A leader of these controllers, which are recorded.
    private func founded(_ ids: [Int32]) async throws -> World {
        let world = await World()
        world.log.form(ids)
        try await world.settle {
            world.log.store.metadata.controllers == ids.map { ControllerID($0) }
        }
        return world
    }

    /// A controller with an empty directory waits at its usual address.
    private func waiting(_ id: Int32, _ number: Int32, in world: World) {
        world.brokers.answer(
            at: "c\(id):9190",
            ControllerDiscoverResponse(
                controllerID: ControllerID(id),
                directoryID: directory(number)
            )
        )
    }

    private func add(
        _ id: Int32,
        in world: World,
        timeoutMs: Int32 = 5_000
    ) async throws -> ControllerChangeResponse {
        let controller = world.controller
        let request = AddControllerRequest(
            id: ControllerID(id),
            address: "c\(id):9190",
            timeoutMs: timeoutMs
        )
        return try await world.whileTicking { try await controller.addController(request) }
    }

    private func remove(
        _ id: Int32,
        in world: World,
        timeoutMs: Int32 = 5_000
    ) async throws -> ControllerChangeResponse {
        let controller = world.controller
        let request = RemoveControllerRequest(id: ControllerID(id), timeoutMs: timeoutMs)
        return try await world.whileTicking { try await controller.removeController(request) }
    }

    private func replicas(_ world: World) -> [ControllerReplica] {
        world.log.store.metadata.controllerReplicas
    }

    @Test func `one controller becomes three, and asking twice does no harm`() async throws {
        let world = try await founded([1])
        for id: Int32 in [2, 3] {
            waiting(id, id * 10, in: world)
            #expect(try await add(id, in: world) == .done)
            #expect(try await add(id, in: world) == .done)
        }
        #expect(world.log.members.voters == [node(1), node(2), node(3)])
        #expect(replicas(world).map(\.state) == [.voting, .voting, .voting])
        #expect(
            world.log.changes
                == [2, 3].flatMap { id in
                    [
                        [ConfChangeSingle(.addLearnerNode, node(id))],
                        [ConfChangeSingle(.addNode, node(id))],
                    ]
                }
        )
        let text = world.capture.messages.joined(separator: "\n")
        #expect(
            text.contains("Controller 2 at c2:9190 is to join the controllers as incarnation 1")
        )
        #expect(
            text.contains("Controller 2 (incarnation 1) has all entries and votes from now on")
        )
    }

    @Test func `a controller that lost its disk is replaced in one step`() async throws {
        let world = try await founded([1, 2, 3])
        world.log.setSilent([node(2)])
        waiting(2, 20, in: world)
        #expect(try await add(2, in: world) == .done)
        #expect(world.log.members.voters == [node(1), node(2, 2), node(3)])
        #expect(replicas(world).map(\.node) == [node(1), node(2, 2), node(3)])
        #expect(
            world.log.changes.last == [
                ConfChangeSingle(.addNode, node(2, 2)), ConfChangeSingle(.removeNode, node(2)),
            ]
        )
        let removed = "Controller 2 (incarnation 1) is no member of the controllers any more"
        #expect(world.capture.messages.contains(removed))
    }

    @Test func `a new leader completes what the former one began`() async throws {
        let world = try await founded([1])
        waiting(2, 20, in: world)
        // Decided, and nothing more: the leader ends before the first step.
        let request = AddControllerRequest(id: 2, address: "c2:9190")
        let answer = try await world.controller.addController(request)
        #expect(answer.errorCode == 0 && !answer.isFinished)
        let successor = await world.successor()
        #expect(try await add(2, in: successor) == .done)
        #expect(replicas(successor).map(\.node) == [node(1), node(2)])
    }

    @Test func `what cannot be is refused with a reason`() async throws {
        let early = await World()
        #expect(try await remove(1, in: early).errorCode == 7, "a moment later it is known")
        #expect(try await add(2, in: early).errorCode == 7)
        let world = try await founded([1, 2, 3])
        let absent = try await add(4, in: world)
        #expect(absent.errorCode == 8 && absent.message.contains("start it there first"))
        #expect(try await remove(9, in: world).errorCode == 127)
        world.log.setSilent([node(3)])
        let risky = try await remove(2, in: world)
        #expect(risky.errorCode == 42 && risky.message.contains("2 are needed"))
        #expect(replicas(world).map(\.state) == [.voting, .voting, .voting])
        // The number of one that runs elsewhere with its data is not given away.
        world.brokers.answer(
            at: "c2:9190",
            ControllerDiscoverResponse(
                controllerID: 2,
                directoryID: directory(2),
                nodeID: node(2)
            )
        )
        world.brokers.answer(
            at: "other:9190",
            ControllerDiscoverResponse(controllerID: 2, directoryID: directory(20))
        )
        let twice = try await world.controller.addController(
            AddControllerRequest(id: 2, address: "other:9190")
        )
        #expect(twice.errorCode == 126)
    }

    @Test func `a controller goes, and asking twice does no harm`() async throws {
        let world = try await founded([1, 2, 3])
        #expect(try await remove(3, in: world) == .done)
        #expect(world.log.members.voters == [node(1), node(2)])
        #expect(try await remove(3, in: world) == .done)
        #expect(replicas(world).map(\.id) == [1, 2])
    }

    @Test func `a leader that has to go hands over, and its successor lets it go`() async throws {
        let world = try await founded([1, 2, 3])
        let begun = try await remove(1, in: world, timeoutMs: 0)
        #expect(begun.errorCode == 0 && !begun.isFinished)
        try await world.settle { world.log.transfers == [node(2)] }
        #expect(world.log.changes.isEmpty, "it does not leave while it leads")
        world.log.setOwn(node(2))
        let successor = await world.successor()
        #expect(try await remove(1, in: successor) == .done)
        #expect(successor.log.members.voters == [node(2), node(3)])
    }

    @Test func `a replica is gone when it had its place and has it no more`() async throws {
        let world = try await founded([1, 2, 3])
        let cluster = world.log.store.clusterID
        func isGone(_ node: NodeID) async throws -> Bool {
            let handler = ControllerDiscoverHandler(
                id: 1,
                directoryID: directory(1),
                store: world.log.store
            )
            let answer = try await handler.handle(ControllerDiscoverRequest(), .test)
            let told = RemovalWatch.isGone(node, answer, cluster)
            #expect(told == RemovalWatch.isGone(node, world.log.store.metadata))
            #expect(!RemovalWatch.isGone(node, answer, ClusterID(UniqueID(high: 1, low: 9))))
            return told
        }
        #expect(try await isGone(node(3)) == false)
        // It has heard of its place before those did that are asked.
        #expect(try await isGone(node(3, 2)) == false)
        #expect(try await isGone(node(4)) == false)
        // On its way out it may still be needed.
        world.log.setSilent([node(2)])
        _ = try await world.log.propose(.removeController(3))
        #expect(try await isGone(node(3)) == false)
        world.log.setSilent([])
        #expect(try await remove(3, in: world) == .done)
        #expect(try await isGone(node(3)))
        waiting(3, 30, in: world)
        #expect(try await add(3, in: world) == .done)
        #expect(try await isGone(node(3)))
        #expect(try await isGone(node(3, 2)) == false)
    }

    @Test(arguments: [true, false])
    func `who is removed asks the others, whether or not it has heard of its end`(
        isTold: Bool
    ) async throws {
        let world = try await founded([1, 2, 3])
        let removed = World.storeOfRemoved(node(3), like: world)
        removed.setMembers(ConfState(voters: [node(1), node(2)] + (isTold ? [] : [node(3)])))
        removed.setLeadership(
            ControllerLeadership(leader: isTold ? 1 : nil, epoch: 1, isConfirmed: false)
        )
        world.brokers.answer(
            at: "c2:9190",
            ControllerDiscoverResponse(
                controllerID: 2,
                clusterID: removed.clusterID,
                replicas: [ControllerPlace(node: node(2), address: "c2:9190")],
                incarnations: ["3": 1]
            )
        )
        let watch = RemovalWatch(
            id: 3,
            store: removed,
            communicator: world.brokers,
            clock: world.clock,
            logger: world.capture.logger()
        )
        try await watch.run()
        #expect(world.clock.now >= RemovalWatch.interval * RemovalWatch.patience)
        #expect(world.capture.messages.last?.hasPrefix("This controller, 3,") == true)
    }

    @Test func `who the controllers are is told with how far each is`() async throws {
        let world = try await founded([1, 2, 3])
        world.log.setSilent([node(3)])
        let told = try await world.controller.describeControllers()
        #expect(told.leaderID == 1 && told.epoch == 1)
        #expect(told.controllers.map(\.node) == [node(1), node(2), node(3)])
        #expect(told.controllers.map(\.isActive) == [true, true, false])
        #expect(told.controllers.map(\.isVoter) == [true, true, true])
        #expect(told.controllers[1].match == told.committed && told.controllers[2].match == 0)
    }

    @Test func `discovery answers name the members of the metadata, not of the settings`()
        async throws
    {
        let world = try await founded([1])
        waiting(4, 40, in: world)
        _ = try await add(4, in: world)
        let store = world.log.store
        #expect(store.controllers.map(\.id) == [1, 2, 3, 4], "2 and 3 are in the settings")
        #expect(store.address(of: 4) == "c4:9190")
        #expect(store.places.map(\.node) == [node(1), node(4)])
        #expect(store.places.last?.directoryID == directory(40))
    }
}

extension World {
    /// What a replica knows that was not told of its end.
    fileprivate static func storeOfRemoved(_ node: NodeID, like world: World) -> MetadataStore {
        let store = MetadataStore()
        store.replace(by: world.log.store.metadata)
        store.setNode(node)
        if let cluster = world.log.store.clusterID { store.setClusterID(cluster) }
        return store
    }
}

extension RequestContext {
    fileprivate static let test = RequestContext(
        header: RequestHeader(
            clusterID: nil,
            senderRole: .controller,
            senderID: 2,
            targetID: 1,
            requestID: RequestID(UniqueID(high: 1, low: 1))
        ),
        peer: "127.0.0.1:1",
        logger: Logger(label: "test")
    )
}

extension ControllerChangeResponse {
    fileprivate static let done = ControllerChangeResponse(errorCode: 0, isFinished: true)
}
