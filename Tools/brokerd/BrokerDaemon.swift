import BrokerServer
import Console
import Daemon
import Disk
import Glibc
import InterBroker
import InterBrokerProtocol
import Logging
import Model
import NIOCore
import NIOPosix
import RaftHost
import RaftLog
import RaftTransport
import Security
import ServiceLifecycle
import Settings
import Synchronization
import Systemd
import Telemetry

/// What runs in brokerd: the parts, and the list in which they are started and stopped.
final class BrokerDaemon: Sendable {
    let settings: BrokerSettings
    let logger = Logger(label: "martlet.brokerd")
    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let writer = ThreadExecutor(name: "wal")
    let reader = ThreadExecutor(name: "reader")
    let keeper = ThreadExecutor(name: "metadata")
    let control = DaemonControl()
    let progress = ProgressRegistry()
    let session: SessionID
    /// What exists once the data directory is recovered.
    let parts = Mutex<Parts?>(nil)
    let stopPatience = StopPatience()
    private let status = Mutex("starting")
    private let isServing = Atomic<Bool>(false)
    let peerServer = Mutex<InterBrokerListener?>(nil)

    struct Parts: Sendable {
        let directory: LogDirectory
        let state: BrokerStateFile
        let broker: NIOLoopBound<Broker>
        let transport: NIOLoopBound<StreamTransport>
        let link: ControllerLink
    }

    init(_ settings: BrokerSettings) {
        self.settings = settings
        var random = SystemRandomNumberGenerator()
        session = SessionID(using: &random)
    }

    func run(_ arguments: DaemonArguments, _ pipeline: LogPipeline) async -> ExitStatus {
        let console = ConsoleServer(group: group) { [self] in
            let line = status.withLock { $0 }
            return HealthReport(
                isHealthy: isServing.load(ordering: .relaxed),
                status: line,
                fields: [("broker_id", .number(Int(settings.brokerID.rawValue)))]
            )
        }
        var runner = DaemonRunner(
            name: "brokerd",
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
                    "controllers",
                    start: {},
                    run: { await self.followControllers() },
                    stop: { await self.leave() }
                ),
                clientListener(),
            ],
            logger: logger
        )
        let reload = makeReload(arguments, pipeline)
        runner.reload = { try reload.reload().description }
        runner.introduction = settings.introduction
        runner.control = control
        runner.progress = progress
        runner.status = { [self] in status.withLock { $0 } }
        runner.stopWait = settings.stopWait
        runner.stopObstacle = { await self.stopObstacle() }
        return await runner.run()
    }

    /// The parts; only services below "log recovery" ask.
    private func recovered() throws -> Parts {
        guard let parts = parts.withLock({ $0 }) else {
            throw DaemonFailure(status: .software, reason: "the log is not recovered yet")
        }
        return parts
    }

    // MARK: Log recovery

    private func recover() async throws {
        let files = RealFiles()
        do {
            try files.makeDirectories(settings.dataDirectory)
        } catch {
            throw DaemonFailure(
                status: .storage,
                reason: "cannot make the data directory: \(error)"
            )
        }
        let state: BrokerStateFile
        do {
            state = try BrokerStateFile.open(
                directory: settings.dataDirectory,
                broker: settings.brokerID,
                files: files,
                executor: writer
            )
        } catch {
            throw DaemonFailure(status: .config, reason: "\(error)")
        }
        let loop = group.next()
        let parts = try await loop.submit { [self] in
            try open(files, state, loop)
        }.get()
        self.parts.withLock { $0 = parts }
    }

    /// Opens the log and builds everything that lives on the event loop.
    private func open(
        _ files: RealFiles,
        _ state: BrokerStateFile,
        _ loop: any EventLoop
    ) throws -> Parts {
        let random = SystemRandomNumberGenerator()
        let (directory, logs) = try openLog(files, state)
        if directory.hasTornEnd { StorageLogLines.truncated(logger) }
        if let damage = directory.damage {
            logger.error("the write-ahead log is damaged, its groups take no part: \(damage)")
        }
        var hostOptions = RaftHostOptions()
        hostOptions.catchUpBytesPerSecond = settings.catchUpBytesPerSecond
        let manager = RaftManager(
            eventLoop: loop,
            directory: directory,
            options: hostOptions,
            random: random,
            logger: logger
        )
        manager.storageFailed = { [control] error in
            control.fail(.storage, reason: "the log cannot be written: \(error)")
        }
        let broker = Broker(
            eventLoop: loop,
            options: brokerOptions(),
            manager: manager,
            metrics: BrokerMetrics(),
            logger: logger
        )
        broker.clusterID = state.clusterID
        broker.use(
            MetadataJournal(
                directory: settings.dataDirectory,
                files: files,
                executor: keeper,
                eventLoop: loop,
                logger: logger
            )
        )
        var groupSettings = GroupSettings()
        groupSettings.initialRebalanceDelay = TimeAmount(settings.groupInitialRebalanceDelay)
        broker.use(GroupService(broker: broker, settings: groupSettings))
        let transport = makeTransport(broker, state, loop)
        transport.sink = manager
        manager.connect(to: transport)
        let link = controllerLink(broker, directory, state)
        broker.use(LinkAccess(link: link, broker: broker))
        try broker.recover(logs) { [progress] count in
            guard count % 100 == 0 else { return }
            progress.step("started \(count) of \(logs.count) groups")
        }
        watch(manager, loop)
        let parts = Parts(
            directory: directory,
            state: state,
            broker: NIOLoopBound(broker, eventLoop: loop),
            transport: NIOLoopBound(transport, eventLoop: loop),
            link: link
        )
        return parts
    }

    private func openLog(
        _ files: RealFiles,
        _ state: BrokerStateFile
    ) throws -> (LogDirectory, [GroupLog]) {
        var random = SystemRandomNumberGenerator()
        var options = RaftLogOptions()
        options.walFileBytes = settings.log.walFileBytes
        options.walFilesMax = settings.log.walFiles
        options.tailCacheBytes = settings.log.tailCacheBytes
        options.segmentBytesMax = settings.log.segmentBytes
        options.onSlowSync = { [logger] in StorageLogLines.slowSync($0, count: $1, logger) }
        do {
            return try LogDirectory.open(
                path: settings.dataDirectory,
                files: files,
                writer: writer,
                reader: reader,
                options: options,
                cluster: state.clusterID,
                random: &random,
                progress: { [progress] text in progress.step(text) },
                onFailure: { [control] error in
                    control.fail(.storage, reason: "the log cannot be written: \(error)")
                }
            )
        } catch {
            throw DaemonFailure(status: .storage, reason: "cannot open the log: \(error)")
        }
    }

    private func makeTransport(
        _ broker: Broker,
        _ state: BrokerStateFile,
        _ loop: any EventLoop
    ) -> StreamTransport {
        var options = TransportOptions()
        options.catchUpBytesMax = settings.catchUpQueueBytes
        return StreamTransport(
            eventLoop: loop,
            identity: RaftPeerIdentity(
                role: .broker,
                id: settings.brokerID.rawValue,
                clusterID: { state.clusterID },
                session: session
            ),
            options: options,
            logger: logger,
            addressOf: { [unowned broker] in broker.peerAddress(of: BrokerID($0)) }
        )
    }

    private func brokerOptions() -> BrokerOptions {
        var options = BrokerOptions(
            brokerID: settings.brokerID,
            advertisedClient: settings.advertised.client
        )
        options.rack = settings.rack
        options.autoCreateTopics = settings.autoCreateTopics
        options.defaultPartitions = Int32(clamping: settings.defaultPartitions)
        options.defaultReplicationFactor = Int16(clamping: settings.defaultReplicationFactor)
        options.offsetsTopicPartitions = Int32(clamping: settings.offsetsTopicPartitions)
        options.offsetsTopicReplicationFactor = Int16(
            clamping: settings.offsetsTopicReplicationFactor
        )
        options.messageBytesMax = settings.messageBytesMax
        options.limits.descriptorLimit = ProcessLimits.openFilesMax()
        return options
    }

    private func controllerLink(
        _ broker: Broker,
        _ directory: LogDirectory,
        _ state: BrokerStateFile
    ) -> ControllerLink {
        var configuration = ControllerLink.Configuration(
            broker: settings.brokerID,
            controllers: settings.peers.controllers.map {
                InterBrokerTarget(id: $0.id.rawValue, address: $0.address.description)
            },
            registration: RegisterBrokerRequest(
                clientHost: settings.advertised.client.host,
                clientPort: Int32(clamping: settings.advertised.client.port),
                peerAddress: settings.advertised.peer.description,
                directoryID: directory.directoryID,
                session: session,
                rack: settings.rack
            )
        )
        configuration.adopt = { cluster in try directory.adopt(cluster) }
        var options = callOptions()
        // A machine that is gone says nothing; while it is waited for, nobody hears of this one.
        options.connectTimeout = min(options.connectTimeout, configuration.patience)
        return ControllerLink(
            configuration,
            broker: broker.reference,
            state: state,
            logger: logger
        ) { [options] caller, limit in
            var options = options
            if let limit { options.deadline = min(options.deadline, limit) }
            return SimpleBrokerCommunicator(caller: caller, options: options)
        }
    }

    private func callOptions() -> CallOptions {
        var options = CallOptions(logger: logger)
        options.connectTimeout = settings.peers.connectTimeout
        options.deadline = settings.peers.deadline
        options.group = group
        return options
    }

    /// Feeds the watchdog and the status line from the loop's own ticks.
    ///
    /// The loop applies entries; the threads that write and read the log are probed from it.
    private func watch(_ manager: RaftManager, _ loop: any EventLoop) {
        let ticks = progress.ticking("event loop")
        let probeWriter = progress.probing("WAL writer") { [writer] in writer.run($0) }
        let probeReader = progress.probing("log reader") { [reader] in reader.run($0) }
        let probeKeeper = progress.probing("metadata writer") { [keeper] in keeper.run($0) }
        manager.onTick { [self] count in
            ticks.advance()
            if count % 10 == 0 {
                probeWriter()
                probeReader()
                probeKeeper()
            }
            if count % 2 == 0, let parts = parts.withLock({ $0 }) { showStatus(parts) }
        }
        manager.startTicking()
    }

    private func showStatus(_ parts: Parts) {
        var line = parts.broker.value.statusLine
        if parts.link.isAlone { line += "; no controller answers" }
        status.withLock { $0 = line }
    }

    private func closeLog() async {
        guard let parts = parts.withLock({ $0 }) else { return }
        let loop = parts.broker.eventLoop
        await withCheckedContinuation { continuation in
            loop.execute { parts.broker.value.storeMetadata { continuation.resume() } }
        }
        try? await loop.submit {
            parts.broker.value.manager.shutdown()
            parts.transport.value.shutdown()
        }.get()
        await withCheckedContinuation { continuation in
            parts.directory.close { _ in continuation.resume() }
        }
    }

    // MARK: Listeners

    private func peerListener() -> DaemonService {
        DaemonService(
            "peer listener",
            start: { [self] in
                let made = try await makePeerListener()
                let address = settings.listeners.peer
                if let passed = passedSocket(named: SocketName.peers, for: address) {
                    try await made.start(onListeningSocket: passed)
                } else {
                    try await made.start()
                }
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
        let reference = try await parts.broker.eventLoop.submit {
            parts.broker.value.reference
        }.get()
        let state = parts.state
        let controllers = settings.peers.controllers.map {
            InterBrokerTarget(id: $0.id.rawValue, address: $0.address.description)
        }
        var options = ListenerOptions()
        options.insecurePeers = settings.peers.insecurePeers
        return InterBrokerListener(
            address: settings.listeners.peer,
            requestConfigs: requestConfigs(
                broker: reference,
                controllers: ControllerDiscoverHandler(state: state, controllers: controllers)
            )
                + [RequestConfig(raftStream: acceptor)],
            checks: PeerChecks(
                allowList: try settings.peerAllowList(),
                role: .broker,
                id: settings.brokerID.rawValue,
                clusterID: { state.clusterID },
                epochs: ControllerEpochGate(newest: state.controllerEpoch, store: state)
            ),
            options: options,
            group: group,
            logger: logger
        )
    }

    private func clientListener() -> DaemonService {
        let listener = Mutex<(any Channel)?>(nil)
        return DaemonService(
            "client listener",
            start: { [self] in
                let parts = try recovered()
                let address = settings.listeners.client
                do {
                    let socket = try await clientSocket()
                    let channel = try await parts.broker.eventLoop.flatSubmit {
                        parts.broker.value.startTicking()
                        return KafkaListener.adopt(socket, broker: parts.broker.value)
                    }.get()
                    listener.withLock { $0 = channel }
                } catch {
                    throw cannotListen(on: address, "listeners.client", error)
                }
                // READY carries the status, so it must not be that of the recovery.
                try await parts.broker.eventLoop.submit { self.showStatus(parts) }.get()
                isServing.store(true, ordering: .relaxed)
            },
            stop: { [self] in
                isServing.store(false, ordering: .relaxed)
                await moveLeadersAway()
                try? await listener.withLock({ $0 })?.close().get()
                guard let parts = parts.withLock({ $0 }) else { return }
                try? await parts.broker.eventLoop.submit { parts.broker.value.shutdown() }.get()
            }
        )
    }

    private func followControllers() async {
        guard let parts = try? recovered() else { return }
        await cancelWhenGracefulShutdown { await parts.link.run() }
    }
}

/// Names the key to look at, and the system's own words without NIO's around them.
func cannotListen(on address: Address, _ key: String, _ error: any Error) -> DaemonFailure {
    var reason = (error as? IOError).map { String(cString: strerror($0.errnoCode)) }
    if case .cannotListen(_, let words)? = error as? InterBrokerError { reason = words }
    return DaemonFailure(
        status: .failure,
        reason: "cannot listen on \(address) (\(key)): \(reason ?? "\(error)")"
    )
}
