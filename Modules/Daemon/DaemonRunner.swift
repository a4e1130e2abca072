public import Logging
import ServiceLifecycle
public import Systemd
import UnixSignals

/// Runs a service list from the first start to the exit status.
///
/// - SIGTERM, SIGINT: wait while others would lose a quorum, then stop in order; a second one ends
///   the wait. SIGHUP: RELOADING, `reload`, READY.
/// - READY=1 follows when every service has started; STOPPING=1 comes before any of them stops.
/// - STATUS is kept current; EXTEND_TIMEOUT_USEC is sent while start or stop makes progress; the
///   watchdog is fed only while every registered part advances or is idle.
public struct DaemonRunner: Sendable {
    /// The daemon's name in log lines.
    public var name: String
    /// What runs.
    public var services: [DaemonService]
    /// How others ask the daemon to stop or to give up.
    public var control = DaemonControl()
    /// Parts that must make progress.
    public var progress = ProgressRegistry()
    /// One line for `systemctl status`; called about once a second on the supervisor's thread, and
    /// must not block.
    public var status: @Sendable () -> String = { "serving" }
    /// Reads the settings again and returns what has changed; an error leaves everything as it was.
    public var reload: (@Sendable () async throws -> String)?
    /// What follows "is ready" in the journal: who the daemon is, and how to reach it.
    public var introduction: String?
    /// What speaks against a stop, in words for an operator; nil when nothing does.
    ///
    /// Asked again and again while the daemon waits, and serves on, before it stops.
    public var stopObstacle: (@Sendable () async -> String?)?
    /// How long a stop waits for an obstacle to go away.
    public var stopWait: Duration = .zero
    /// Whether the whole system shuts down: then nobody is waited for.
    public var isSystemStopping: @Sendable () -> Bool = { ServiceManager.isSystemStopping() }
    /// Which status an error of a service means; storage errors must give ``ExitStatus/storage``.
    public var exitStatus: @Sendable (any Error) -> ExitStatus = { error in
        (error as? DaemonFailure)?.status ?? .failure
    }
    /// Where messages to the service manager go.
    public var notifier: any ServiceNotifier = SystemdNotifier()
    /// The manager's watchdog time; nil when it does not watch.
    public var watchdog: Duration? = ServiceManager.watchdogTimeout()
    /// How long a stop in good order may take.
    public var stopTimeout: Duration = .seconds(25)
    /// How long a stop may take after something failed.
    public var failTimeout: Duration = .seconds(5)
    /// Whether the process's signals are taken; tests leave them alone.
    public var takesSignals = true

    private let logger: Logger

    /// Describes a daemon; set the other properties before ``run()``.
    public init(name: String, services: [DaemonService], logger: Logger) {
        self.name = name
        self.services = services
        self.logger = logger
    }

    /// Starts, serves, stops, and returns the status with which the tool should exit.
    ///
    /// Returns in any case: services that hang are left behind after a time.
    public func run() async -> ExitStatus {
        let supervisor = Supervisor(
            notifier: notifier,
            progress: progress,
            status: status,
            watchdog: watchdog,
            // Everything that is no event loop's work runs there, this runner's own included.
            probe: progress.probing("task pool") { job in Task.detached { job() } },
            logger: logger
        )
        supervisor.start()
        defer { supervisor.stop() }
        let signals = takesSignals ? await watchSignals() : nil
        defer { signals?.cancel() }
        let group = serviceGroup(supervisor)
        let work = Task { [control] in
            do {
                try await group.run()
                control.send(.finished(nil))
            } catch {
                control.send(.finished(failure(error)))
            }
        }
        defer { work.cancel() }
        return await handleEvents(group, supervisor)
    }

    private func serviceGroup(_ supervisor: Supervisor) -> ServiceGroup {
        let line = ServiceLine(count: services.count + 1)
        var list: [ServiceGroupConfiguration.ServiceConfiguration] = []
        func add(_ service: any Service) {
            list.append(
                .init(
                    service: service,
                    successTerminationBehavior: .gracefullyShutdownGroup,
                    failureTerminationBehavior: .gracefullyShutdownGroup
                )
            )
        }
        for (position, service) in services.enumerated() {
            add(
                OrderedService(
                    service: service,
                    position: position,
                    line: line,
                    supervisor: supervisor,
                    failed: { [control] in control.send(.fail(failure($0))) }
                )
            )
        }
        add(
            ReadinessService(position: services.count, line: line, supervisor: supervisor) {
                [name, introduction, logger] in LogLines.ready(name, introduction, logger)
            }
        )
        line.give(0)
        var quiet = Logger(label: "martlet.lifecycle") { _ in SwiftLogNoOpLogHandler() }
        quiet.logLevel = .critical
        return ServiceGroup(configuration: .init(services: list, logger: quiet))
    }

    private func failure(_ error: any Error) -> DaemonFailure {
        if let failure = error as? DaemonFailure { return failure }
        return DaemonFailure(status: exitStatus(error), reason: "\(error)")
    }

    private func watchSignals() async -> Task<Void, Never> {
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup)
        return Task { [control] in
            for await signal in signals {
                switch signal {
                case .sighup: control.reload()
                case .sigint: control.stop(reason: "SIGINT")
                default: control.stop(reason: "SIGTERM")
                }
            }
        }
    }

    private func handleEvents(_ group: ServiceGroup, _ supervisor: Supervisor) async -> ExitStatus {
        var failed: DaemonFailure?
        var isStopping = false
        var isReloading = false
        var wait: Task<Void, Never>?
        defer { wait?.cancel() }
        for await event in control.events {
            switch event {
            case .stop(let reason):
                // Who asks a second time does not want to wait.
                wait?.cancel()
                if isStopping { continue }
                isStopping = true
                LogLines.stopping(name, reason, logger)
                wait = Task {
                    await waitForOthers(supervisor)
                    control.send(.stopNow)
                }
            case .stopNow:
                if failed != nil { continue }
                setDeadline(stopTimeout)
                await group.triggerGracefulShutdown()
            case .fail(let failure):
                if failed != nil { continue }
                failed = failure
                LogLines.failed(name, failure, logger)
                setDeadline(failTimeout)
                isStopping = true
                wait?.cancel()
                await group.triggerGracefulShutdown()
            case .reload:
                if isStopping || isReloading { continue }
                isReloading = true
                beginReload()
            case .reloaded(let result):
                isReloading = false
                endReload(result, supervisor)
            case .deadline:
                LogLines.stopTookTooLong(name, logger)
                return failed?.status ?? .failure
            case .finished(let failure):
                if failed == nil, let failure {
                    failed = failure
                    LogLines.failed(name, failure, logger)
                }
                if failed == nil { LogLines.stopped(name, logger) }
                return failed?.status ?? .success
            }
        }
        return .software
    }

    /// Returns when a stop takes nothing from anybody, or when it must go on in spite of that.
    private func waitForOthers(_ supervisor: Supervisor) async {
        guard let stopObstacle, stopWait > .zero else { return }
        let end = ContinuousClock.now + stopWait
        var said: String?
        while !isSystemStopping(), let obstacle = await stopObstacle() {
            if said == nil { LogLines.waitsToStop(name, obstacle, logger) }
            if obstacle != said { supervisor.enter(.waitingToStop(obstacle)) }
            said = obstacle
            // Cancelled means asked a second time; the task's sleep ends then as well.
            try? await Task.sleep(for: .milliseconds(200))
            if Task.isCancelled {
                return LogLines.stopsNevertheless(name, "it was asked again", logger)
            }
            if .now >= end {
                return LogLines.stopsNevertheless(name, "its time is over", logger)
            }
        }
    }

    /// The process ends at the deadline, so this task needs no owner.
    private func setDeadline(_ time: Duration) {
        Task { [control] in
            try? await Task.sleep(for: time)
            control.send(.deadline)
        }
    }

    /// Runs beside the event loop, so that a reload that hangs does not hold up a stop.
    private func beginReload() {
        notifier.send(.reloading())
        Task { [control, reload] in
            guard let reload else {
                control.send(.reloaded(.success("nothing can be reloaded")))
                return
            }
            do {
                control.send(.reloaded(.success(try await reload())))
            } catch {
                control.send(
                    .reloaded(.failure(DaemonFailure(status: .config, reason: "\(error)")))
                )
            }
        }
    }

    /// READY follows in both cases: without it, `systemctl reload` would hang.
    private func endReload(_ result: Result<String, DaemonFailure>, _ supervisor: Supervisor) {
        switch result {
        case .success(let what):
            LogLines.reloaded(what, logger)
            supervisor.ready()
        case .failure(let failure):
            LogLines.settingsRefused(failure.reason, logger)
            supervisor.ready(note: "settings refused: \(failure.reason)")
        }
    }
}
