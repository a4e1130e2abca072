import Logging
public import Settings
import Synchronization
import Systemd

/// What one reload did, in the words of its log line.
public struct ReloadReport: Equatable, Sendable, CustomStringConvertible {
    /// Keys that count from now on.
    public var applied: [String]
    /// Keys whose new values count from the next start.
    public var waiting: [String]

    /// Sorts the keys that differ from the running daemon into those that it can change and others.
    public init(changed: [String], live: Set<String>) {
        applied = changed.filter { live.contains($0) }
        waiting = changed.filter { !live.contains($0) }
    }

    /// `applied log_level; a restart is needed for wal_files, broker_id`.
    public var description: String {
        var parts: [String] = []
        if !applied.isEmpty { parts.append("applied \(applied.joined(separator: ", "))") }
        if !waiting.isEmpty {
            parts.append("a restart is needed for \(waiting.joined(separator: ", "))")
        }
        return parts.isEmpty ? "nothing has changed" : parts.joined(separator: "; ")
    }
}

/// The settings with which a daemon runs, and how they follow their file.
///
/// - Invariant: a file that is refused changes nothing.
public final class SettingsReload<Value: Sendable>: Sendable {
    private let running: Mutex<Value>
    private let load: @Sendable () throws -> Value
    private let changed: @Sendable (_ new: Value, _ old: Value) -> [String]
    private let live: Set<String>
    private let apply: @Sendable (_ new: Value, _ running: inout Value) throws -> Void

    /// Describes a daemon's settings.
    ///
    /// - Parameters:
    ///   - running: With what the daemon was started.
    ///   - live: The keys that `apply` can change.
    ///   - load: Reads the file again.
    ///   - changed: The keys in which two settings differ.
    ///   - apply: Puts the live keys of `new` into effect and into `running`; an error must leave
    ///     both as they were.
    public init(
        _ running: Value,
        live: Set<String>,
        load: @escaping @Sendable () throws -> Value,
        changed: @escaping @Sendable (_ new: Value, _ old: Value) -> [String],
        apply: @escaping @Sendable (_ new: Value, _ running: inout Value) throws -> Void
    ) {
        self.running = Mutex(running)
        self.live = live
        self.load = load
        self.changed = changed
        self.apply = apply
    }

    /// Reads the file, applies what can be applied, and says what was done.
    ///
    /// What waits for a restart is said at every reload until the restart.
    public func reload() throws -> ReloadReport {
        let new = try load()
        return try running.withLock { running in
            let report = ReloadReport(changed: changed(new, running), live: live)
            try apply(new, &running)
            return report
        }
    }
}

extension DaemonSetup {
    /// Says why a start was refused: to the journal as an event, elsewhere as it is.
    ///
    /// - Returns: the status to exit with.
    public static func refuse(_ error: SettingsError, identifier: String) -> ExitStatus {
        guard JournalStream.isConnected() else {
            StandardErrorSink.writePlain(error.description + "\n")
            return .config
        }
        let pipeline = LogPipeline(sink: JournalSink(identifier: identifier))
        let logger = Logger(label: "martlet.\(identifier)") {
            JournalLogHandler(label: $0, pipeline: pipeline)
        }
        LogLines.settingsRefused(error.description, logger)
        pipeline.close()
        return .config
    }
}
