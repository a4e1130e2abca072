import Disk
import InterBroker
import InterBrokerProtocol
import Metadata
import Model
import Synchronization
import Testing

@testable import BrokerServer

/// The broker's way to the controllers, with controllers that are a struct of this test.
@Suite(.timeLimit(.minutes(1))) struct ControllerLinkTests {
    /// A leader that refuses whoever names no cluster, and notes what it is sent.
    private struct Controllers: InterBrokerCommunicator {
        let caller: InterBrokerCaller
        var limit: Duration?
        let seen: Seen

        final class Seen: Sendable {
            let goodbyes = Atomic(0)
            let types = Mutex<[InterBrokerRequestType]>([])
            /// Where the leader is, and who takes requests and says nothing.
            let leader = Mutex("c1:9190")
            let silent = Mutex("")
        }

        func send<Request: InterBrokerRequest>(
            _ request: Request,
            to target: InterBrokerTarget,
            requestID: RequestID?
        ) async throws(InterBrokerError) -> Request.Response {
            guard target.address != "gone:9190" else {
                throw .connectFailed(address: target.address, reason: "connection refused")
            }
            if target.address == seen.silent.withLock({ $0 }) {
                try? await Task.sleep(for: limit ?? .seconds(86_400))
                throw .deadlineExceeded(address: target.address)
            }
            seen.types.withLock { $0.append(Request.type) }
            let answer: Any
            switch request {
            case let heartbeat as BrokerHeartbeatRequest:
                if heartbeat.isLeaving == true { seen.goodbyes.add(1, ordering: .relaxed) }
                answer = BrokerHeartbeatResponse(wantGroups: false, metadataVersion: 0)
            case is ControllerDiscoverRequest:
                answer = ControllerDiscoverResponse(
                    leaderID: 1,
                    leaderAddress: seen.leader.withLock { $0 },
                    epoch: 1,
                    members: [:]
                )
            case is RegisterBrokerRequest:
                answer = RegisterBrokerResponse(
                    clusterID: TestController.cluster,
                    epoch: 1,
                    metadataVersion: 0
                )
            default:
                guard caller.clusterID != nil else {
                    throw .refused(Refusal("wrong cluster ID: none given"))
                }
                answer = CreateTopicsResponse(topics: [])
            }
            guard let response = answer as? Request.Response else {
                throw .badAnswer(address: target.address, reason: "\(Request.type.name)")
            }
            return response
        }

        func send<Request: InterBrokerRequest>(
            batch requests: [Request],
            to target: InterBrokerTarget,
            requestIDs: [RequestID]?
        ) async -> [Result<Request.Response, InterBrokerError>] { [] }
    }

    @Test func `the controllers of the metadata are asked when those of the settings are gone`()
        async throws
    {
        let broker = try await TestBroker.start()
        let files = MemoryFiles()
        try files.makeDirectory("/state")
        let executor = ThreadExecutor(name: "state")
        func open() throws -> BrokerStateFile {
            try BrokerStateFile.open(
                directory: "/state",
                broker: 1,
                files: files,
                executor: executor
            )
        }
        let state = try open()
        try await state.save(TestController.cluster)
        func makeLink(_ state: BrokerStateFile, _ seen: Controllers.Seen) -> ControllerLink {
            var configuration = ControllerLink.Configuration(
                broker: 1,
                controllers: [InterBrokerTarget(id: 9, address: "gone:9190")],
                registration: RegisterBrokerRequest(
                    clientHost: "b1",
                    clientPort: 9092,
                    peerAddress: "b1:9192",
                    directoryID: DirectoryID(UniqueID(high: 1, low: 1)),
                    session: SessionID(UniqueID(high: 2, low: 2))
                )
            )
            configuration.retryInterval = .milliseconds(1)
            return ControllerLink(
                configuration,
                broker: broker.reference,
                state: state,
                logger: broker.log.logger
            ) { Controllers(caller: $0, limit: $1, seen: seen) }
        }
        let lost = Controllers.Seen()
        await #expect(throws: InterBrokerError.self) {
            try await makeLink(state, lost).ask(CreateTopicsRequest(topics: []), attempts: 2)
        }
        let founder = ControllerReplica(
            node: NodeID(owner: 1, incarnation: 1),
            directoryID: nil,
            address: "c1:9190",
            state: .voting
        )
        _ = try await broker.reference.run { broker in
            (broker.controllers as? TestController)?.commit(.controllersFounded([founder]))
        }
        await makeLink(state, lost).remember(
            try await broker.reference.run { $0.metadata.controllers }
        )
        // Also after a restart.
        let reopened = try open()
        #expect(reopened.controllers == [InterBrokerTarget(id: 1, address: "c1:9190")])
        let link = makeLink(reopened, Controllers.Seen())
        #expect(await link.controllers.map(\.id) == [1, 9])
        _ = try await link.ask(CreateTopicsRequest(topics: []), attempts: 2)
        try await broker.stop()
        executor.stop()
    }

    @Test func `a leader that falls silent is not waited for as long as a call may take`()
        async throws
    {
        let broker = try await TestBroker.start()
        let files = MemoryFiles()
        try files.makeDirectory("/state")
        let executor = ThreadExecutor(name: "state")
        let state = try BrokerStateFile.open(
            directory: "/state",
            broker: 1,
            files: files,
            executor: executor
        )
        let seen = Controllers.Seen()
        var configuration = ControllerLink.Configuration(
            broker: 1,
            controllers: [
                InterBrokerTarget(id: 1, address: "c1:9190"),
                InterBrokerTarget(id: 2, address: "c2:9190"),
            ],
            registration: RegisterBrokerRequest(
                clientHost: "b1",
                clientPort: 9092,
                peerAddress: "b1:9192",
                directoryID: DirectoryID(UniqueID(high: 1, low: 1)),
                session: SessionID(UniqueID(high: 2, low: 2))
            )
        )
        configuration.retryInterval = .milliseconds(1)
        configuration.heartbeatInterval = .milliseconds(1)
        configuration.patience = .milliseconds(1)
        let link = ControllerLink(
            configuration,
            broker: broker.reference,
            state: state,
            logger: broker.log.logger
        ) { Controllers(caller: $0, limit: $1, seen: seen) }
        func registrations() -> Int {
            seen.types.withLock { $0.count { $0 == .registerBroker } }
        }
        let work = Task { await link.run() }
        while registrations() == 0 { await Task.yield() }
        seen.leader.withLock { $0 = "c2:9190" }
        seen.silent.withLock { $0 = "c1:9190" }
        while registrations() == 1 { await Task.yield() }
        work.cancel()
        await work.value
        try await broker.stop()
        executor.stop()
    }

    @Test func `what needs a cluster waits until the broker belongs to one`() async throws {
        let broker = try await TestBroker.start()
        let files = MemoryFiles()
        try files.makeDirectory("/state")
        let executor = ThreadExecutor(name: "state")
        let state = try BrokerStateFile.open(
            directory: "/state",
            broker: 1,
            files: files,
            executor: executor
        )
        let seen = Controllers.Seen()
        var configuration = ControllerLink.Configuration(
            broker: 1,
            controllers: [InterBrokerTarget(id: 1, address: "c1:9190")],
            registration: RegisterBrokerRequest(
                clientHost: "b1",
                clientPort: 9092,
                peerAddress: "b1:9192",
                directoryID: DirectoryID(UniqueID(high: 1, low: 1)),
                session: SessionID(UniqueID(high: 2, low: 2))
            )
        )
        configuration.retryInterval = .milliseconds(1)
        let link = ControllerLink(
            configuration,
            broker: broker.reference,
            state: state,
            logger: broker.log.logger
        ) { Controllers(caller: $0, limit: $1, seen: seen) }
        await #expect(throws: InterBrokerError.self) {
            try await link.ask(CreateTopicsRequest(topics: []), attempts: 3)
        }
        #expect(seen.types.withLock { $0 } == [], "nothing is sent that must be refused")
        let work = Task { await link.run() }
        _ = try await link.ask(CreateTopicsRequest(topics: []), attempts: 10_000)
        let types = seen.types.withLock { $0 }
        let registered = try #require(types.firstIndex(of: .registerBroker))
        #expect(try registered < #require(types.firstIndex(of: .createTopics)))
        work.cancel()
        await work.value
        await link.leave(within: .seconds(60))
        #expect(seen.goodbyes.load(ordering: .relaxed) == 1)
        try await broker.stop()
        executor.stop()
    }
}
