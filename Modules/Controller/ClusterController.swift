public import InterBroker
import InterBrokerProtocol
public import Logging
import Metadata
public import Model
import Telemetry

/// What controllerd does while it leads: watches brokers, places topics, gives orders.
///
/// - Thread: any; an actor. It never blocks, and owns every task that it starts.
/// - Invariant: `reign` is set exactly while this controller is the confirmed leader, as far as
///   the events have told.
public actor ClusterController {
    /// Makes a communicator for a caller; the duration limits a whole call, nil for the settings'.
    public typealias MakeCommunicator =
        @Sendable (InterBrokerCaller, Duration?) -> any InterBrokerCommunicator

    /// What the controller needs to know.
    public struct Configuration: Sendable {
        /// This controller.
        public var id: ControllerID
        /// How long a broker may be silent before it counts as offline; 3 s.
        public var brokerSilence: Duration = .seconds(3)
        /// How long a push of metadata may take; 1 s.
        public var pushTimeout: Duration = .seconds(1)
        /// The longest that a request about topics waits for leaders; 25 s, within a call's 30 s.
        public var topicWaitMax: Duration = .seconds(25)
        /// How long an answer waits for the brokers to know of it; 1 s.
        public var announceWaitMax: Duration = .seconds(1)
        /// How many orders one connection carries; 128.
        public var ordersPerCallMax = 128

        /// Describes a controller.
        public init(id: ControllerID) { self.id = id }
    }

    /// What a leader remembers beside the metadata; gone when it no longer leads.
    struct Reign {
        let epoch: ControllerEpoch
        var tracker: BrokerTracker
        var leaders = LeaderTable()
        var pushes = PushTable()
        var book = OrderBook()
        /// Replicas whose absence is in the log already.
        var missing: Set<ReplicaReference> = []
        /// Runs of brokers whose change between online and offline is being committed.
        var changing: Set<BrokerID> = []
        /// Groups whose members are being recorded.
        var settling: Set<RaftGroupID> = []
        /// Brokers that have said that they stop: nobody is told that they are silent.
        var leaving: Set<BrokerID> = []
        var needsPlan = true
        var quorum = QuorumWatch()
        var brokerStops: StopQueue
        var controllerStops: StopQueue

        init(epoch: ControllerEpoch, silence: Duration, now: Duration) {
            self.epoch = epoch
            tracker = BrokerTracker(silence: silence, now: now)
            brokerStops = StopQueue(now: now)
            controllerStops = StopQueue(now: now)
        }
    }

    let configuration: Configuration
    let store: MetadataStore
    let proposer: any MetadataProposer
    let clock: any ControllerClock
    let logger: Logger
    let metrics: ControllerMetrics
    private let makeCommunicator: MakeCommunicator
    var random: any RandomNumberGenerator & Sendable
    var reign: Reign?
    private var tasks: [UInt64: Task<Void, Never>] = [:]
    private var nextTask: UInt64 = 0
    private var waiters: [Waiter] = []
    /// Requests that wait for another one's topics to be placed.
    private var isPlacing = false
    private var placementQueue: [CheckedContinuation<Void, Never>] = []

    /// Makes a controller; `run` feeds it with events and time.
    public init(
        _ configuration: Configuration,
        store: MetadataStore,
        proposer: any MetadataProposer,
        clock: any ControllerClock,
        random: any RandomNumberGenerator & Sendable = SystemRandomNumberGenerator(),
        metrics: ControllerMetrics = ControllerMetrics(),
        logger: Logger,
        makeCommunicator: @escaping MakeCommunicator
    ) {
        self.configuration = configuration
        self.store = store
        self.proposer = proposer
        self.clock = clock
        self.random = random
        self.logger = logger
        self.metrics = metrics
        self.makeCommunicator = makeCommunicator
    }

    /// Works until its task is cancelled: takes the state machine's events, and ticks.
    public func run(_ events: AsyncStream<ControllerEvent>) async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                for await event in events { await self.take(event) }
            }
            group.addTask {
                while !Task.isCancelled {
                    await self.tick()
                    try? await self.clock.sleep(for: Self.tickInterval)
                }
            }
            await group.waitForAll()
        }
        endReign()
    }

    /// Does nothing, when its turn comes: so a watchdog can see that turns come.
    public func answer() {}

    /// The time between two looks at what is due; 50 ms.
    static let tickInterval = Duration.milliseconds(50)

    // MARK: Leadership

    /// Takes an event of the state machine.
    func take(_ event: ControllerEvent) {
        switch event {
        case .leadership(let leadership): take(leadership)
        case .applied(let effects): take(effects)
        }
    }

    private func take(_ leadership: ControllerLeadership) {
        metrics.show(store.metadata)
        if let reign, !leadership.isConfirmed || leadership.epoch != reign.epoch { endReign() }
        guard leadership.isConfirmed, reign == nil else { return }
        LogLines.reignBegins(configuration.id, leadership.epoch, logger)
        reign = Reign(
            epoch: leadership.epoch,
            silence: configuration.brokerSilence,
            now: clock.now
        )
        metrics.isLeader.set(1)
        if store.metadata.clusterID == nil, let cluster = store.clusterID {
            own { await $0.commit(.setClusterID(cluster)) }
        }
        tick()
    }

    private func endReign() {
        guard let reign else { return }
        LogLines.reignEnds(configuration.id, reign.epoch, logger)
        self.reign = nil
        metrics.isLeader.set(0)
        metrics.reconcilerPending.set(0)
        for task in tasks.values { task.cancel() }
        for waiter in waiters { waiter.continuation.resume(returning: false) }
        waiters = []
    }

    /// The reign, or the refusal that names who leads instead.
    func requireReign() throws(Refusal) -> Reign {
        if let reign { return reign }
        throw notLeading()
    }

    func notLeading() -> Refusal {
        let leadership = store.leadership
        let leader = leadership.leader.flatMap { id in
            // Whoever asks must not be sent back here before this controller is ready.
            id == configuration.id ? nil : id
        }
        let address = leader.flatMap { store.address(of: $0) }
        return .notControllerLeader(leaderID: leader, leaderAddress: address)
    }

    // MARK: Events

    private func take(_ effects: [Effect]) {
        metrics.show(store.metadata)
        guard reign != nil else { return }
        let metadata = store.metadata
        for effect in effects { take(effect, metadata) }
        reconcile()
        push()
        checkWaiters()
    }

    private func take(_ effect: Effect, _ metadata: ClusterMetadata) {
        switch effect {
        case .brokerRegistered(let id, isNewRun: true):
            reign?.leaving.remove(id)
            reign?.tracker.restarted(id, at: clock.now)
            reign?.pushes.restarted(id)
            reign?.needsPlan = true
            if let broker = metadata.broker(id) {
                LogLines.brokerRegistered(broker, logger)
                checkDirectory(of: broker, metadata)
            }
        case .brokerOnline(let id):
            LogLines.brokerOnline(id, logger)
            reign?.book.forgive(id)
            reign?.needsPlan = true
        case .brokerOffline(let id):
            if reign?.leaving.remove(id) != nil {
                LogLines.brokerStopped(id, logger)
            } else {
                LogLines.brokerOffline(id, logger)
            }
        case .topicCreated(let name, _):
            if let topic = metadata.topic(name) { LogLines.topicCreated(topic, logger) }
            reign?.needsPlan = true
        case .topicDeleted(let topic):
            LogLines.topicDeleted(topic, logger)
            for info in topic.partitions {
                reign?.leaders.forget(info.group)
                reign?.pushes.forget(info.group)
            }
            reign?.needsPlan = true
        case .tombstoneRemoved(let group): LogLines.deletionConfirmed(group, logger)
        case .partitionsCreated: reign?.needsPlan = true
        case .controllerPlaced(let replica): LogLines.controllerPlaced(replica, logger)
        case .controllerVotes(let replica): LogLines.controllerVotes(replica, logger)
        case .controllerLeaving(let id): LogLines.controllerLeaving(id, logger)
        case .controllerRemoved(let replica): LogLines.controllerRemoved(replica, logger)
        case .controllerMoved(let replica): LogLines.controllerMoved(replica, logger)
        default: takeReassignment(effect, metadata)
        }
    }

    private func takeReassignment(_ effect: Effect, _ metadata: ClusterMetadata) {
        switch effect {
        case .reassignmentChanged(let group):
            if let partition = metadata.partition(group) {
                LogLines.reassignmentChanged(partition, logger)
            }
        case .reassignmentFinished(let group):
            if let partition = metadata.partition(group) {
                LogLines.reassignmentFinished(partition, logger)
            }
        case .replicaReplaced(let lost, let node):
            if let partition = metadata.partition(lost.group) {
                LogLines.replicaReplaced(lost.node, by: node, of: partition, logger)
            }
        case .replicasRemoved, .replicasPurged: break
        default: return
        }
        reign?.needsPlan = true
    }

    private func checkDirectory(of broker: BrokerInfo, _ metadata: ClusterMetadata) {
        let lost = metadata.partitions(on: broker.id).count { partition in
            partition.info.desired.contains {
                $0.broker == broker.id && $0.directoryID != broker.directoryID
            }
        }
        if lost > 0 { LogLines.directoryReplaced(broker.id, replicas: lost, logger) }
    }

    /// Looks at everything that becomes due as time goes by.
    func tick() {
        guard let reign else { return }
        let now = clock.now
        for run in reign.tracker.silent(in: store.metadata, at: now) { markOffline(run) }
        if reign.book.hasDue(at: now) { self.reign?.needsPlan = true }
        watchControllers()
        reconcile()
        push()
        checkWaiters()
        metrics.reconcilerPending.set(reign.book.openCount)
    }

    // MARK: Work

    /// Starts a task that the controller owns: it is cancelled when the reign ends.
    func own(_ work: @escaping @Sendable (ClusterController) async -> Void) {
        let number = nextTask
        nextTask += 1
        tasks[number] = Task {
            await work(self)
            self.tasks[number] = nil
        }
    }

    /// A communicator that gives orders in this reign's epoch.
    func communicator(
        _ reign: Reign,
        limit: Duration? = nil
    ) -> any InterBrokerCommunicator {
        let caller = InterBrokerCaller(
            role: .controller,
            id: configuration.id.rawValue,
            clusterID: store.clusterID,
            controllerEpoch: reign.epoch
        )
        return makeCommunicator(caller, limit)
    }

    /// Commits a command whose failure is logged and otherwise left to a later attempt.
    @discardableResult
    func commit(_ command: MetadataCommand) async -> [Effect]? {
        do {
            return try await proposer.propose(command)
        } catch {
            if reign != nil { LogLines.proposalFailed(command.name, "\(error)", logger) }
            return nil
        }
    }
}

// MARK: Waiting

extension ClusterController {
    /// Somebody who waits until something is so.
    struct Waiter {
        let deadline: Duration
        let isSatisfied: (ClusterMetadata, Reign) -> Bool
        let continuation: CheckedContinuation<Bool, Never>
    }

    /// Waits until the condition holds; false when time or reign ends first.
    func wait(
        until deadline: Duration,
        _ isSatisfied: @escaping (ClusterMetadata, Reign) -> Bool
    ) async -> Bool {
        guard let reign else { return false }
        if isSatisfied(store.metadata, reign) { return true }
        guard clock.now < deadline else { return false }
        return await withCheckedContinuation { continuation in
            let waiter = Waiter(
                deadline: deadline,
                isSatisfied: isSatisfied,
                continuation: continuation
            )
            waiters.append(waiter)
        }
    }

    func checkWaiters() {
        guard let reign, !waiters.isEmpty else { return }
        let metadata = store.metadata
        let now = clock.now
        var rest: [Waiter] = []
        for waiter in waiters {
            if waiter.isSatisfied(metadata, reign) {
                waiter.continuation.resume(returning: true)
            } else if waiter.deadline <= now {
                waiter.continuation.resume(returning: false)
            } else {
                rest.append(waiter)
            }
        }
        waiters = rest
    }

    /// Waits, for a short time only, until every broker that is online holds what is now.
    func waitForBrokers(until limit: Duration) async {
        let version = store.version
        let deadline = min(limit, clock.now + configuration.announceWaitMax)
        push()
        _ = await wait(until: deadline) { metadata, reign in
            metadata.onlineBrokers.allSatisfy { reign.pushes.hasReached(version, $0.id) }
        }
    }

    /// Lets one request at a time choose brokers, so that each sees what the former one chose.
    func beginPlacing() async {
        if !isPlacing {
            isPlacing = true
            return
        }
        await withCheckedContinuation { placementQueue.append($0) }
    }

    func endPlacing() {
        if placementQueue.isEmpty {
            isPlacing = false
        } else {
            placementQueue.removeFirst().resume()
        }
    }
}
