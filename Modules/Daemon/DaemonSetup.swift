import Glibc
public import Logging
public import Settings
public import Systemd
import Telemetry

/// What a daemon does before it reads anything: limits, allocator, logger, metrics.
public enum DaemonSetup {
    /// Prepares the process; call once, first thing in main, before any thread exists.
    ///
    /// - Parameter identity: fields of every journal entry that tell this daemon from others of its
    ///   kind.
    /// - Returns: the way of log lines; close it before the process exits, or its last lines are
    ///   lost.
    public static func prepare(identifier: String, identity: [String: String]) -> LogPipeline {
        let isTuned = ProcessTuning.tuneAllocator()
        // A peer that closes its socket must not end the daemon.
        signal(SIGPIPE, SIG_IGN)
        // Data and sockets are nobody else's business.
        umask(0o077)
        raiseFileLimit()
        let pipeline = JournalLogHandler.bootstrap(identifier: identifier, identity: identity)
        let registry = MetricsRegistry.process
        registry.install()
        ProcessMetrics.register(in: registry)
        registry.observe(.logEntriesDropped) { Double(pipeline.dropped) }
        if !isTuned {
            Logger(label: "martlet.daemon").warning("the C library refused the allocator's tuning")
        }
        return pipeline
    }

    /// Every partition and connection needs a descriptor, and shells give few.
    private static func raiseFileLimit() {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// swift-log's level for a setting.
    public static func level(_ setting: LogLevelSetting) -> Logger.Level {
        switch setting {
        case .trace: .trace
        case .debug: .debug
        case .info: .info
        case .notice: .notice
        case .warning: .warning
        case .error: .error
        case .critical: .critical
        }
    }
}
