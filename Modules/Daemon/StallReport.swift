import Telemetry

/// What the journal is told when a part of the daemon stands still: enough to find out why.
///
/// - Thread: the supervisor's; nothing here waits for a part that may stand still.
/// - Invariant: bounded, so that the journal takes it as one entry.
struct StallReport {
    /// The parts that stand still.
    let stalled: [String]
    private let parts: [ProgressRegistry.Part]
    private let threads: [ThreadState]
    private let gauges: [String]

    /// The most that is said of threads and gauges.
    private static let linesMax = 100

    init(
        stalled: [String],
        progress: ProgressRegistry,
        threads: [ThreadState] = ThreadState.all(),
        metrics: MetricsRegistry = .process,
        now: ContinuousClock.Instant
    ) {
        self.stalled = stalled
        self.threads = threads
        parts = progress.parts(now: now)
        gauges = metrics.gaugeSamples()
    }

    /// The first line says what stands still; below it is what everything else does.
    var text: String {
        let names = stalled.map { name in
            let standing = parts.first { $0.name == name }?.standing ?? .zero
            return "\(name) for \(standing.components.seconds) s"
        }
        var lines = ["no progress: \(names.joined(separator: ", ")); the watchdog is not fed"]
        for part in parts {
            let seconds = part.standing.components.seconds
            let state = seconds == 0 ? "goes on or is idle" : "nothing for \(seconds) s"
            lines.append("  \(part.name): \(state), \(part.count) done since the start")
        }
        lines += threads.prefix(Self.linesMax).map { "  \($0)" }
        lines += gauges.prefix(Self.linesMax).map { "  \($0)" }
        return lines.joined(separator: "\n")
    }
}
