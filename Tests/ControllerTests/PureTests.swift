import InterBroker
import InterBrokerProtocol
import Logging
import Metadata
import Model
import Raft
import Testing

@testable import Controller

/// A push that has to be there.
private func begun(_ push: PushTable.Push?) throws -> PushTable.Push { try #require(push) }

/// No push is needed, or none may begin.
private func expectIdle(
    _ push: PushTable.Push?,
    sourceLocation: SourceLocation = #_sourceLocation
) {
    #expect(push == nil, sourceLocation: sourceLocation)
}

@Suite struct PureTests {
    @Test func `the fixed lines are word for word`() {
        let capture = LogCapture()
        LogLines.startingRaftGroups(3, capture.logger())
        LogLines.stoppingRaftGroups(3, capture.logger())
        #expect(
            capture.messages == [
                "Starting Raft groups for 3 partitions across multiple brokers",
                "Stopping Raft groups for 3 partitions across multiple brokers",
            ]
        )
    }

    @Test func `what happens to controllers is told in words`() {
        let capture = LogCapture()
        let logger = capture.logger()
        let node = NodeID(owner: 2, incarnation: 3)
        let replica = ControllerReplica(
            node: node,
            directoryID: directory(2),
            address: "c2:9190",
            state: .voting
        )
        LogLines.waitsForPlace("run a command", logger)
        LogLines.controllerPlaced(replica, logger)
        LogLines.controllerVotes(replica, logger)
        LogLines.controllerMoved(replica, logger)
        LogLines.controllerLeaving(2, logger)
        LogLines.controllerRemoved(replica, logger)
        LogLines.removedHere(2, logger)
        LogLines.controllerStep(.wait(.catchingUp(node)), logger)
        LogLines.controllerStep(.wait(.noMajority), logger)
        LogLines.controllerStep(.wait(.leavingJoint), logger)
        let successor = NodeID(owner: 2, incarnation: 4)
        LogLines.controllerStep(
            .change([
                ConfChangeSingle(.addNode, successor), ConfChangeSingle(.removeNode, node),
            ]),
            logger
        )
        LogLines.controllerStep(.change([ConfChangeSingle(.addLearnerNode, successor)]), logger)
        LogLines.controllerStep(.transfer(node), logger)
        #expect(
            capture.messages == [
                "Waiting to be added: run a command",
                "Controller 2 at c2:9190 is to join the controllers as incarnation 3",
                "Controller 2 (incarnation 3) has all entries and votes from now on",
                "Controller 2 is reached at c2:9190 from now on",
                "Controller 2 is to leave the controllers",
                "Controller 2 (incarnation 3) is no member of the controllers any more",
                """
                This controller, 2, is no member of the cluster's controllers any more: it may be \
                stopped
                """,
                """
                A change of the controllers waits: controller 2 (incarnation 3) has not all \
                entries yet
                """,
                """
                A change of the controllers waits: too many of the controllers that would be left \
                do not answer
                """,
                """
                A change of the controllers waits: a change of the members is being completed
                """,
                "Changing the controllers: controller 2 votes, controller 2 goes",
                "Changing the controllers: controller 2 is filled",
                "Handing the leadership to controller 2: this one is to leave",
            ]
        )
    }

    @Test func `a digest is XXH64 over the sorted pairs`() {
        #expect(HostedDigest.text(of: []) == "ef46db3751d8e999")
        let one = ReplicaReference(group: 1001, node: NodeID(owner: 1, incarnation: 1))
        let two = ReplicaReference(group: 1002, node: NodeID(owner: 1, incarnation: 1))
        let text = HostedDigest.text(of: [one, two])
        #expect(text == HostedDigest.text(of: [two, one]))
        #expect(text != HostedDigest.text(of: [one]) && text.utf8.count == 16)
    }

    @Test func `an order that fails waits longer each time, and never above the limit`() {
        var book = OrderBook()
        let replica = ReplicaReference(group: 1001, node: NodeID(owner: 1, incarnation: 1))
        var now = Duration.zero
        var delays: [Duration] = []
        for _ in 0..<8 {
            #expect(book.mayBegin(replica, at: now))
            book.begin(replica)
            #expect(!book.mayBegin(replica, at: now))
            book.fail(replica, at: now)
            let start = now
            while !book.mayBegin(replica, at: now) { now += .milliseconds(100) }
            delays.append(now - start)
        }
        #expect(
            delays
                == [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000].map {
                    .milliseconds($0)
                }
        )
        book.begin(replica)
        book.fail(replica, at: now)
        book.forgive(1)
        #expect(book.mayBegin(replica, at: now))
    }

    @Test func `one push at a time, and what changes meanwhile goes into the next one`() throws {
        let store = MetadataStore()
        var table = PushTable()
        var leaders = LeaderTable()
        func change() {
            _ = store.apply(.allocateProducerIDs(1), "{}", at: store.version + 1)
        }
        let greeting = try begun(table.begin(to: 1, store, leaders, at: .zero))
        #expect(greeting.request.version == 0 && greeting.request.commands.isEmpty)
        change()
        change()
        leaders.take(PartitionLeader(group: 1001, term: 2, node: 5))
        table.leaderChanged(1001)
        expectIdle(table.begin(to: 1, store, leaders, at: .zero))
        table.succeed(greeting, to: 1, holding: 0, at: .zero)
        let push = try begun(table.begin(to: 1, store, leaders, at: .zero))
        #expect(push.request.fromVersion == 0 && push.request.version == 2)
        #expect(push.request.commands.map(\.version) == [1, 2])
        #expect(push.request.leaders.map(\.group) == [1001])
        table.succeed(push, to: 1, holding: 2, at: .zero)
        expectIdle(table.begin(to: 1, store, leaders, at: .zero))
        #expect(table.hasReached(2, 1) && !table.hasReached(3, 1))
    }

    @Test func `a push that fails is tried again later, with everything that is new`() throws {
        let store = MetadataStore()
        var table = PushTable()
        let leaders = LeaderTable()
        let first = try begun(table.begin(to: 1, store, leaders, at: .zero))
        table.succeed(first, to: 1, holding: 0, at: .zero)
        _ = store.apply(.allocateProducerIDs(1), "{}", at: 1)
        _ = try begun(table.begin(to: 1, store, leaders, at: .zero))
        table.fail(to: 1, at: .zero)
        expectIdle(table.begin(to: 1, store, leaders, at: .milliseconds(100)))
        let again = try begun(table.begin(to: 1, store, leaders, at: .milliseconds(200)))
        // What the broker holds is not known any more: it pulls if it lacks something.
        #expect(again.request.fromVersion == 1 && again.request.commands.isEmpty)
        table.succeed(again, to: 1, holding: 0, at: .zero)
        expectIdle(table.begin(to: 1, store, leaders, at: .milliseconds(100)))
        let delta = try begun(table.begin(to: 1, store, leaders, at: .milliseconds(200)))
        #expect(delta.request.commands.count == 1)
    }

    @Test func `only recent commands are kept, and a version before them needs everything`() {
        let store = MetadataStore()
        let count = MetadataStore.recentCommandsMax + 10
        for version in 1...count {
            let command = MetadataCommand.allocateProducerIDs(1)
            _ = store.apply(command, "x", at: MetadataVersion(UInt64(version * 2)))
        }
        #expect(store.commands(since: 0) == nil)
        let last = MetadataVersion(UInt64(count * 2))
        #expect(store.commands(since: last) == [])
        #expect(store.commands(since: last - 3)?.map(\.version) == [last - 2, last])
        #expect(store.commands(since: last + 1) == nil)
    }

    @Test func `pages are cut between characters and make the whole`() {
        let text = String(repeating: "aé€😀", count: 50)
        let pages = MetadataStore.cut(Array(text.utf8), pageBytesMax: 7)
        #expect(pages.joined() == text)
        #expect(pages.allSatisfy { $0.utf8.count <= 7 && !$0.isEmpty })
        #expect(MetadataStore().pages().texts.count == 1)
    }

    @Test func `every type of request of the controller stands in the table once`() async {
        let world = await World()
        let table = requestConfigs(
            id: 1,
            directoryID: directory(1),
            controller: world.controller,
            store: world.log.store
        )
        let types = table.map(\.type.rawValue)
        #expect(
            types.sorted() == [
                1000, 1001, 1002, 1005, 1006, 1007, 1009, 1010, 1011, 1012, 1013,
                1015, 1017, 1018, 1019, 1020,
            ]
        )
    }

    @Test func `metadata is answered as a delta, or in full to a stranger`() async throws {
        let world = await World()
        try await world.registerAll()
        let handler = GetTopicMetadataHandler(controller: world.controller, store: world.log.store)
        let context = RequestContext(
            header: RequestHeader(
                clusterID: nil,
                senderRole: .broker,
                senderID: 1,
                targetID: 1,
                requestID: RequestID(.zero)
            ),
            peer: "test",
            logger: world.capture.logger()
        )
        let full = try await handler.handle(GetTopicMetadataRequest(sinceVersion: 0), context)
        #expect(full.full && full.pages == 1)
        #expect(try ClusterMetadata(json: Array(full.snapshot.utf8)) == world.log.store.metadata)
        let delta = try await handler.handle(
            GetTopicMetadataRequest(sinceVersion: full.version - 1),
            context
        )
        #expect(!delta.full && delta.commands.count == 1 && delta.version == full.version)
        await #expect(throws: Refusal.self) {
            try await handler.handle(
                GetTopicMetadataRequest(sinceVersion: 0, page: 7, pageVersion: full.version),
                context
            )
        }
    }
}

@Suite struct StateMachineTests {
    private final class Failures {
        var reasons: [String] = []
    }

    @Test func `commands in batches are applied, and what cannot be read stops everything`() {
        let store = MetadataStore()
        let failures = Failures()
        let machine = MetadataStateMachine(
            store: store,
            logger: Logger(label: "test"),
            events: { _ in },
            failed: { failures.reasons.append($0) }
        )
        let batch = MetadataRecord.write(.allocateProducerIDs(7), unixMilliseconds: 5)
        machine.apply(1, .normal, [])
        machine.apply(2, .normal, batch)
        #expect(machine.effects(at: 2) == [.producerIDsAllocated(first: 0, count: 7)])
        #expect(store.version == 2 && failures.reasons.isEmpty)
        var torn = batch
        torn.removeLast()
        machine.apply(3, .normal, torn)
        #expect(failures.reasons.count == 1)
        machine.apply(4, .normal, batch)
        #expect(store.version == 2 && machine.takeSnapshot() == nil)
    }

    @Test func `a snapshot restores what was applied`() throws {
        let store = MetadataStore()
        let machine = MetadataStateMachine(
            store: store,
            logger: Logger(label: "test"),
            events: { _ in },
            failed: { _ in }
        )
        machine.apply(
            5,
            .normal,
            MetadataRecord.write(.controllerJoined(1), unixMilliseconds: 5)
        )
        let snapshot = try #require(machine.takeSnapshot())
        let other = MetadataStore()
        let restored = MetadataStateMachine(
            store: other,
            logger: Logger(label: "test"),
            events: { _ in },
            failed: { _ in }
        )
        restored.restore(snapshot, index: 5)
        #expect(other.metadata == store.metadata && other.version == 5)
        #expect(other.commands(since: 5) == [] && other.commands(since: 4) == nil)
    }

    @Test func `an unknown command is refused by its name`() {
        let text = #"{"body":1,"type":"frobnicate","version":1}"#
        let batch = MetadataRecordProbe.batch(text)
        #expect(throws: MetadataError.unknownCommand("frobnicate")) {
            try MetadataRecord.read(batch)
        }
    }
}
