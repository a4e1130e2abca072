import Logging
import Synchronization
import Systemd

/// Where a daemon is between its start and its end.
enum DaemonPhase: Equatable, Sendable {
    case starting(String)
    case serving
    /// Asked to stop, and serving on until this does not speak against it any more.
    case waitingToStop(String)
    case stopping(String)

    /// Whether clients are answered, and every part must go on.
    var isAnswering: Bool {
        switch self {
        case .serving, .waitingToStop: true
        case .starting, .stopping: false
        }
    }
}

/// Keeps the service manager informed from a thread of its own: status, time extensions, watchdog.
///
/// It stands apart from everything that can hang: event loops, Swift's task pool, the journal.
final class Supervisor: Sendable {
    /// How much more time is asked for while start or stop makes progress.
    static let moreTime = Duration.seconds(30)

    private struct State {
        var phase: DaemonPhase
        var lastStatus = ""
        var stalled: [String] = []
        /// Shown until the next reload, when a reload was refused.
        var note: String?
        /// Looks that come sooner than others.
        var earlyLooks = 0
    }

    private let notifier: any ServiceNotifier
    private let progress: ProgressRegistry
    private let status: @Sendable () -> String
    private let watchdog: Duration?
    private let probe: @Sendable () -> Void
    private let logger: Logger
    private let state: Mutex<State>
    private let end = WakeSignal()
    private let ended = WakeSignal()

    init(
        notifier: any ServiceNotifier,
        progress: ProgressRegistry,
        status: @escaping @Sendable () -> String,
        watchdog: Duration?,
        probe: @escaping @Sendable () -> Void = {},
        logger: Logger
    ) {
        self.notifier = notifier
        self.progress = progress
        self.status = status
        self.watchdog = watchdog
        self.probe = probe
        self.logger = logger
        state = Mutex(State(phase: .starting("")))
    }

    /// The time between two looks: a quarter of the watchdog's, and a second at most.
    var interval: Duration { min(.seconds(1), (watchdog ?? .seconds(4)) / 4) }

    func start() {
        NamedThread.start(name: "supervisor") { [self] in
            while !end.wait(timeout: nextWait()) { look() }
            ended.signal()
        }
    }

    /// Shorter during a start, which must ask for more time before its own is over, and for a while
    /// after READY: much changes then, and `systemctl status` is often what an operator types next.
    func nextWait() -> Duration {
        let isEarly = state.withLock { state in
            if case .starting = state.phase { return true }
            guard state.earlyLooks > 0 else { return false }
            state.earlyLooks -= 1
            return true
        }
        return isEarly ? min(interval, .milliseconds(200)) : interval
    }

    func stop() {
        end.signal()
        _ = ended.wait(timeout: .seconds(1))
    }

    /// Enters a phase and says so at once.
    func enter(_ phase: DaemonPhase) {
        state.withLock { $0.phase = phase }
        progress.beginSteps()
        if phase != .serving { sendStatus() }
    }

    /// READY=1, at the start and after each reload.
    func ready(note: String? = nil) {
        let text = state.withLock { state -> String in
            state.note = note
            state.earlyLooks = 10
            return line(state)
        }
        state.withLock { $0.lastStatus = text }
        notifier.send(.ready(status: text))
    }

    /// STOPPING=1.
    func stopping() { notifier.send(.stopping(status: "stopping")) }

    func look(now: ContinuousClock.Instant = .now) {
        let look = progress.look(now: now)
        let phase = state.withLock { $0.phase }
        if phase != .serving, look.hasAdvanced { notifier.send(.extendTimeout(Self.moreTime)) }
        if !phase.isAnswering {
            notifier.send(.watchdog)
        } else if look.stalled.isEmpty {
            if watchdog != nil { notifier.send(.watchdog) }
        }
        if phase.isAnswering {
            report(look.stalled, now)
        } else {
            // It may stand still for good reasons now; that is no sign that it has gone on.
            state.withLock { $0.stalled = [] }
        }
        // Before the service is up there is nobody whose answer would be missed.
        if phase.isAnswering { probe() }
        sendStatus()
    }

    /// One entry when a stall begins or spreads, none while it lasts, one when it is over.
    ///
    /// It is written at once: the manager's SIGABRT follows as soon as the watchdog's time is over.
    private func report(_ stalled: [String], _ now: ContinuousClock.Instant) {
        let before = state.withLock { state in
            defer { state.stalled = stalled }
            return state.stalled
        }
        if stalled.contains(where: { !before.contains($0) }) {
            let report = StallReport(stalled: stalled, progress: progress, now: now)
            LogLines.progressStalled(report, logger)
        } else if stalled.isEmpty, !before.isEmpty {
            LogLines.progressResumed(before, logger)
        }
    }

    private func sendStatus() {
        let text = state.withLock { line($0) }
        let isNew = state.withLock { state in
            defer { state.lastStatus = text }
            return state.lastStatus != text
        }
        if isNew { notifier.send(.status(text)) }
    }

    private func line(_ state: State) -> String {
        switch state.phase {
        case .starting(let name):
            return "starting: \(name)" + (progress.lastStep.map { ": \($0)" } ?? "")
        case .waitingToStop(let obstacle): return "waits to stop: \(obstacle)"
        case .stopping(let name): return "stopping: \(name)"
        case .serving:
            var text = status()
            if let note = state.note { text += "; \(note)" }
            if !state.stalled.isEmpty {
                text += "; no progress: \(state.stalled.joined(separator: ", "))"
            }
            return text
        }
    }
}
