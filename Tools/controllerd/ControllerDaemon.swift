import Console
import Controller
import Daemon
import Disk
import Glibc
import InterBroker
import InterBrokerProtocol
import Logging
import Metadata
import Model
import NIOCore
import NIOPosix
import Raft
import RaftHost
import RaftLog
import RaftTransport
import Security
import ServiceLifecycle
import Settings
import Synchronization
import Systemd
import Telemetry

/// What runs in controllerd: the parts, and the list in which they are started and stopped.
final class ControllerDaemon: Sendable {
    let settings: ControllerSettings
    let logger = Logger(label: "martlet.controllerd")
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let writer = ThreadExecutor(name: "wal")
    let reader = ThreadExecutor(name: "reader")
    let control = DaemonControl()
    let progress = ProgressRegistry()
    let store = MetadataStore()
    let clock = SystemControllerClock()
    let events: AsyncStream<ControllerEvent>
    private let eventSink: AsyncStream<ControllerEvent>.Continuation
    private let parts = Mutex<Parts?>(nil)
    private let isServing = Atomic<Bool>(false)
    /// Whether the cluster does not know this controller's directory.
    let isWaiting = Atomic<Bool>(false)
    /// Whether it was a member and is none any more.
    let stopPatience = StopPatience()
    let isRemoved = Atomic<Bool>(false)
    let peerServer = Mutex<InterBrokerListener?>(nil)

    /// What exists once the data directory is recovered.
    struct Parts: Sendable {
        let directory: LogDirectory
        let manager: NIOLoopBound<RaftManager>
        let machine: NIOLoopBound<MetadataStateMachine>
        let transport: NIOLoopBound<StreamTransport>
        let controller: ClusterController
        /// Whether the metadata group was found on disk.
        let isRecovered: Bool
    }

    init(_ settings: ControllerSettings) {
        self.settings = settings
        (events, eventSink) = AsyncStream.makeStream(of: ControllerEvent.self)
    }

    func run(_ arguments: DaemonArguments, _ pipeline: LogPipeline) async -> ExitStatus {
        let console = ConsoleServer(group: group) { [self] in
            HealthReport(
                isHealthy: isServing.load(ordering: .relaxed) && store.leadership.leader != nil,
                status: statusLine,
                fields: [("controller_id", .number(Int(settings.controllerID.rawValue)))]
            )
        }
        var runner = DaemonRunner(
            name: "controllerd",
            services: [
                DaemonService(
                    "console",
                    start: { [self] in
                        let address = settings.listeners.http
                        do { _ = try await console.bind(address) } catch {
                            throw cannotListen(on: address, "listeners.http", error)
                        }
                    },
                    stop: { await console.close() }
                ),
                DaemonService(
                    "log recovery",
                    start: { try await self.recover() },
                    stop: { await self.closeLog() }
                ),
                peerListener(),
                DaemonService(
                    "cluster",
                    start: { try await self.joinCluster() },
                    stop: { await self.moveLeadershipAway() }
                ),
                DaemonService(
                    "controller",
                    start: { self.isServing.store(true, ordering: .relaxed) },
                    run: { try await self.work() }
                ),
            ],
            logger: logger
        )
        let reload = makeReload(arguments, pipeline)
        runner.reload = { try reload.reload().description }
        runner.introduction = settings.introduction
        runner.control = control
        runner.progress = progress
        runner.status = { [self] in statusLine }
        runner.stopWait = settings.stopWait
        runner.stopObstacle = { await self.stopObstacle() }
        return await runner.run()
    }

    /// What systemd shows: `leader of the metadata group: 3 brokers, 12 topics`.
    private var statusLine: String {
        if isWaiting.load(ordering: .relaxed) {
            return "waiting to be added: see martlet cluster add-controller"
        }
        if isRemoved.load(ordering: .relaxed) {
            return "no member of the controllers any more: it may be stopped"
        }
        let leadership = store.leadership
        let metadata = store.metadata
        let brokers = metadata.onlineBrokers.count
        let topics = metadata.topics.count
        let size =
            "\(brokers) \(brokers == 1 ? "broker" : "brokers") online, "
            + "\(topics) \(topics == 1 ? "topic" : "topics")"
        if leadership.isConfirmed { return "leader in epoch \(leadership.epoch): \(size)" }
        guard let leader = leadership.leader else { return "no leader of the controllers yet" }
        // Elected, but the first entry of the term is not on a majority's disks yet.
        if leader == settings.controllerID { return "becoming the leader: \(size)" }
        return "following controller \(leader), the leader: \(size)"
    }

    func recovered() throws -> Parts {
        guard let parts = parts.withLock({ $0 }) else {
            throw DaemonFailure(status: .software, reason: "the log is not recovered yet")
        }
        return parts
    }

    var targets: [InterBrokerTarget] {
        settings.peers.controllers.map {
            InterBrokerTarget(id: $0.id.rawValue, address: $0.address.description)
        }
    }

    func callOptions(_ deadline: Duration? = nil) -> CallOptions {
        var options = CallOptions(logger: logger)
        options.connectTimeout = settings.peers.connectTimeout
        options.deadline = deadline ?? settings.peers.deadline
        options.group = group
        return options
    }

    // MARK: Log recovery

    private func recover() async throws {
        let loop = group.next()
        let parts = try await loop.submit { [self] in try open(loop) }.get()
        self.parts.withLock { $0 = parts }
    }

    /// Opens the log and builds everything that lives on the event loop.
    private func open(_ loop: any EventLoop) throws -> Parts {
        let files = RealFiles()
        var random = SystemRandomNumberGenerator()
        let directory: LogDirectory
        let logs: [GroupLog]
        do {
            try files.makeDirectories(settings.dataDirectory)
            (directory, logs) = try LogDirectory.open(
                path: settings.dataDirectory,
                files: files,
                writer: writer,
                reader: reader,
                options: logOptions(),
                cluster: nil,
                random: &random,
                progress: { [progress] text in progress.step(text) },
                onFailure: { [control] error in
                    control.fail(.storage, reason: "the log cannot be written: \(error)")
                }
            )
        } catch {
            throw DaemonFailure(status: .storage, reason: "cannot open the log: \(error)")
        }
        if directory.hasTornEnd { StorageLogLines.truncated(logger) }
        let manager = RaftManager(
            eventLoop: loop,
            directory: directory,
            random: random,
            logger: logger
        )
        manager.storageFailed = { [control] error in
            control.fail(.storage, reason: "the log cannot be written: \(error)")
        }
        let machine = MetadataStateMachine(
            store: store,
            logger: logger,
            events: { [eventSink] in eventSink.yield($0) },
            failed: { [control] in control.fail(.software, reason: $0) }
        )
        let transport = makeTransport(manager, loop)
        let controller = makeController(manager, machine, transport)
        let log = logs.first { $0.identity.group == .metadata }
        store.setConfigured(configured(and: log?.identity))
        if let log {
            if let cluster = directory.cluster { store.setClusterID(cluster) }
            try manager.recover(log, stateMachine: machine)
            if let reason = damage(manager) {
                throw DaemonFailure(status: .storage, reason: reason)
            }
            store.setNode(log.identity.node)
            campaignIfAlone(manager)
        }
        watch(manager, controller)
        return Parts(
            directory: directory,
            manager: NIOLoopBound(manager, eventLoop: loop),
            machine: NIOLoopBound(machine, eventLoop: loop),
            transport: NIOLoopBound(transport, eventLoop: loop),
            controller: controller,
            isRecovered: log != nil
        )
    }

    /// Feeds the watchdog from the loop's own ticks, which also probe the other threads.
    private func watch(_ manager: RaftManager, _ controller: ClusterController) {
        let ticks = progress.ticking("event loop")
        let probeWriter = progress.probing("WAL writer") { [writer] in writer.run($0) }
        let probeReader = progress.probing("log reader") { [reader] in reader.run($0) }
        let probeController = progress.probing("controller") { job in
            Task {
                await controller.answer()
                job()
            }
        }
        manager.onTick { [self, unowned manager] count in
            ticks.advance()
            guard count % 10 == 0 else { return }
            if let reason = damage(manager) { control.fail(.storage, reason: reason) }
            probeWriter()
            probeReader()
            probeController()
        }
        manager.startTicking()
    }

    /// Why this controller ends, if its copy of the metadata is not to be trusted.
    ///
    /// Nobody replaces a controller by himself, and a silent one looks like one that works.
    private func damage(_ manager: RaftManager) -> String? {
        guard let replica = manager.replica(.metadata), replica.isSuspect else { return nil }
        let remedy =
            replica.configuration.voters.count > 1
            ? """
            move \(settings.dataDirectory) away, start controllerd again and run \
            martlet cluster replace-controller \(settings.controllerID)
            """
            : """
            keep \(settings.dataDirectory), for there is no other controller to fill this one from
            """
        return "the metadata of this controller are damaged: \(remedy)"
    }

    private func logOptions() -> RaftLogOptions {
        var options = RaftLogOptions()
        options.walFileBytes = settings.log.walFileBytes
        options.walFilesMax = settings.log.walFiles
        options.tailCacheBytes = settings.log.tailCacheBytes
        options.segmentBytesMax = settings.log.segmentBytes
        options.onSlowSync = { [logger] in StorageLogLines.slowSync($0, count: $1, logger) }
        return options
    }

    private func makeTransport(_ manager: RaftManager, _ loop: any EventLoop) -> StreamTransport {
        var random = SystemRandomNumberGenerator()
        // Where the metadata and the settings differ, both addresses are tried in turn.
        let attempts = Atomic<Int>(0)
        let transport = StreamTransport(
            eventLoop: loop,
            identity: RaftPeerIdentity(
                role: .controller,
                id: settings.controllerID.rawValue,
                clusterID: { [store] in store.clusterID },
                session: SessionID(using: &random)
            ),
            logger: logger,
            addressOf: { [store] peer in
                let addresses = store.addresses(of: ControllerID(peer))
                guard addresses.count > 1 else { return addresses.first }
                let attempt = attempts.wrappingAdd(1, ordering: .relaxed).oldValue
                return addresses[attempt % addresses.count]
            }
        )
        transport.sink = manager
        manager.connect(to: transport)
        return transport
    }

    private func makeController(
        _ manager: RaftManager,
        _ machine: MetadataStateMachine,
        _ transport: StreamTransport
    ) -> ClusterController {
        var configuration = ClusterController.Configuration(id: settings.controllerID)
        configuration.brokerSilence = settings.brokerSilence
        return ClusterController(
            configuration,
            store: store,
            proposer: RaftMetadataProposer(
                manager: manager,
                stateMachine: machine,
                clock: clock,
                session: { [weak transport] in transport?.session(of: $0) }
            ),
            clock: clock,
            logger: logger
        ) { [self] caller, deadline in
            SimpleBrokerCommunicator(caller: caller, options: callOptions(deadline))
        }
    }

    private func closeLog() async {
        guard let parts = parts.withLock({ $0 }) else { return }
        try? await parts.manager.eventLoop.submit {
            parts.manager.value.shutdown()
            parts.transport.value.shutdown()
        }.get()
        await withCheckedContinuation { continuation in
            parts.directory.close { _ in continuation.resume() }
        }
    }

    private func moveLeadershipAway() async {
        guard let parts = parts.withLock({ $0 }) else { return }
        let manager = parts.manager
        let moving = try? await manager.eventLoop.submit {
            manager.value.transferLeaderships()
        }.get()
        guard let moving, moving > 0 else { return }
        for _ in 0..<40 {
            try? await Task.sleep(for: .milliseconds(50))
            let left = try? await manager.eventLoop.submit {
                manager.value.movableLeaderships
            }.get()
            if left == 0 { return }
        }
    }

    // MARK: Listener

    private func peerListener() -> DaemonService {
        DaemonService(
            "peer listener",
            start: { [self] in
                let made = try await makePeerListener()
                try await made.start()
                peerServer.withLock { $0 = made }
            },
            stop: { [self] in await peerServer.withLock({ $0 })?.shutdown() }
        )
    }

    private func makePeerListener() async throws -> InterBrokerListener {
        let parts = try recovered()
        let acceptor = try await parts.transport.eventLoop.submit {
            parts.transport.value.raftStreamAcceptor
        }.get()
        var options = ListenerOptions()
        options.insecurePeers = settings.peers.insecurePeers
        return InterBrokerListener(
            address: settings.listeners.peer,
            requestConfigs: requestConfigs(
                id: settings.controllerID,
                directoryID: parts.directory.directoryID,
                controller: parts.controller,
                store: store
            ) + [RequestConfig(raftStream: acceptor)],
            checks: PeerChecks(
                allowList: try settings.peerAllowList(),
                role: .controller,
                id: settings.controllerID.rawValue,
                clusterID: { [store] in store.clusterID },
                isKnownPeer: { [store] role, id in
                    role == .broker
                        ? id >= 0 : store.controllers.contains { $0.id == id }
                }
            ),
            options: options,
            group: group,
            logger: logger
        )
    }
}

/// Names the key to look at, and the system's own words without NIO's around them.
func cannotListen(on address: Address, _ key: String, _ error: any Error) -> DaemonFailure {
    let reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) }
    return DaemonFailure(
        status: .failure,
        reason: "cannot listen on \(address) (\(key)): \(reason ?? "\(error)")"
    )
}
