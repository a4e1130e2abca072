import InterBroker
import InterBrokerProtocol
import Logging
import Metadata
import Model
import Synchronization
import Testing

@testable import Controller

/// One controller with its log, its brokers and its clock.
struct World {
    let log: InstantLog
    let brokers: FakeBrokers
    let clock: ManualClock
    let capture = LogCapture()
    var controller: ClusterController
    var epoch: UInt64 = 1

    /// A leader of a cluster with this many brokers that are not registered yet.
    init(
        brokers count: Int32 = 3,
        log: InstantLog = InstantLog(),
        fleet: FakeBrokers? = nil,
        clock: ManualClock = ManualClock(),
        epoch: UInt64 = 1,
        leads: Bool = true
    ) async {
        self.log = log
        self.brokers = fleet ?? FakeBrokers(1...count)
        self.clock = clock
        self.epoch = epoch
        if log.store.clusterID == nil {
            log.store.setClusterID(ClusterID(UniqueID(high: 9, low: 9)))
        }
        log.store.setConfigured(
            (1...3).map { InterBrokerTarget(id: $0, address: "c\($0):9190") }
        )
        let communicator = self.brokers
        let controller = ClusterController(
            ClusterController.Configuration(id: 1),
            store: log.store,
            proposer: log,
            clock: clock,
            random: Drawn(state: epoch),
            logger: capture.logger()
        ) { _, _ in communicator }
        self.controller = controller
        log.connect { await controller.take($0) }
        if leads { await lead() }
    }

    func lead() async {
        let leadership = ControllerLeadership(
            leader: 1,
            epoch: ControllerEpoch(epoch),
            isConfirmed: true
        )
        log.store.setLeadership(leadership)
        await controller.take(.leadership(leadership))
    }

    func depose(for leader: ControllerID = 2) async {
        let leadership = ControllerLeadership(
            leader: leader,
            epoch: ControllerEpoch(epoch + 1),
            isConfirmed: false
        )
        log.store.setLeadership(leadership)
        await controller.take(.leadership(leadership))
    }

    /// Another controller takes over; the first one's soft state is gone.
    func successor() async -> World {
        await depose()
        return await World(
            log: log,
            fleet: brokers,
            clock: clock,
            epoch: epoch + 1
        )
    }

    @discardableResult
    func register(
        _ id: Int32,
        session number: UInt64 = 1,
        directory: DirectoryID? = nil
    ) async throws -> RegisterBrokerResponse {
        try await controller.register(
            RegisterBrokerRequest(
                clientHost: "broker\(id)",
                clientPort: 9092,
                peerAddress: "broker\(id):9192",
                directoryID: directory ?? brokers[id].directory,
                session: session(number)
            ),
            of: BrokerID(id)
        )
    }

    func registerAll(_ count: Int32 = 3) async throws {
        for id in 1...count { try await register(id) }
    }

    @discardableResult
    func heartbeat(
        _ id: Int32,
        session number: UInt64 = 1,
        withGroups: Bool = false
    ) async throws -> BrokerHeartbeatResponse {
        try await controller.heartbeat(
            BrokerHeartbeatRequest(
                session: session(number),
                metadataVersion: brokers[id].version,
                digest: brokers.digest(id),
                groups: withGroups ? brokers.hosted(id) : nil
            ),
            of: BrokerID(id)
        )
    }

    /// The preferred leader of every group that runs reports itself.
    func reportLeaders(session number: UInt64 = 1) async throws {
        let metadata = log.store.metadata
        for id in metadata.brokers.map(\.id.rawValue) where brokers[id].isUp {
            let leaders = brokers.hosted(id).filter { hosted in
                metadata.partition(hosted.group)?.info.preferredLeader == hosted.node
            }
            guard !leaders.isEmpty else { continue }
            _ = try? await controller.reportLeaders(
                ReportLeadersRequest(
                    session: session(number),
                    leaders: leaders.map {
                        LeaderReport(group: $0.group, term: Term(epoch), node: $0.node)
                    }
                ),
                of: BrokerID(id)
            )
        }
    }

    /// Creates a topic while the brokers elect leaders as soon as their groups run.
    func createTopic(
        _ name: String,
        partitions: Int32 = 3,
        replicas: Int16 = 3,
        timeoutMs: Int32 = 5_000
    ) async throws -> CreatedTopic {
        let request = CreateTopicsRequest(
            topics: [NewTopic(name: name, partitions: partitions, replicationFactor: replicas)],
            timeoutMs: timeoutMs
        )
        let controller = controller
        let response = try await whileTicking(leadersReport: true) {
            try await controller.createTopics(request)
        }
        return try #require(response.topics.first)
    }

    /// Does what waits for time or brokers, while the clock goes on.
    func whileTicking<Answer: Sendable>(
        leadersReport: Bool = false,
        step: Duration = .milliseconds(1),
        sourceLocation: SourceLocation = #_sourceLocation,
        _ work: @escaping @Sendable () async throws -> Answer
    ) async throws -> Answer {
        let isDone = Flag()
        let task = Task {
            defer { isDone.set() }
            return try await work()
        }
        try await until("is answered", sourceLocation: sourceLocation) {
            if isDone.isSet { return true }
            if leadersReport { try await reportLeaders() }
            clock.advance(step)
            await beat()
            await controller.tick()
            return false
        }
        return try await task.value
    }

    /// Every broker that is up and registered is heard, and lists what it hosts when asked to.
    func beat() async {
        for broker in log.store.metadata.brokers where brokers[broker.id.rawValue].isUp {
            var request = BrokerHeartbeatRequest(
                session: broker.session,
                metadataVersion: brokers[broker.id.rawValue].version,
                digest: brokers.digest(broker.id.rawValue)
            )
            let answer = try? await controller.heartbeat(request, of: broker.id)
            guard answer?.wantGroups == true else { continue }
            request.groups = brokers.hosted(broker.id.rawValue)
            _ = try? await controller.heartbeat(request, of: broker.id)
        }
    }

    /// Ticks until the condition holds; fails the test when it never does.
    func settle(
        _ what: Comment = "settles",
        step: Duration = .milliseconds(20),
        isHeard: Bool = true,
        sourceLocation: SourceLocation = #_sourceLocation,
        _ condition: () async throws -> Bool
    ) async throws {
        try await until(what, sourceLocation: sourceLocation) {
            clock.advance(step)
            if isHeard { await beat() }
            await controller.tick()
            return try await condition()
        }
    }
}

/// Repeats until the condition holds, letting other tasks run in between.
func until(
    _ what: Comment = "comes about",
    sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    for _ in 0..<400_000 {
        if try await condition() { return }
        await Task.yield()
    }
    Issue.record(what, sourceLocation: sourceLocation)
    throw NeverHappened()
}

struct NeverHappened: Error {}

/// Something that happens once.
final class Flag: Sendable {
    private let state = Atomic(false)
    var isSet: Bool { state.load(ordering: .acquiring) }
    func set() { state.store(true, ordering: .releasing) }
}

/// A generator that replays: SplitMix64.
struct Drawn: RandomNumberGenerator, Sendable {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }
}

func name(_ text: String) throws -> TopicName { try #require(TopicName(text)) }
