import Logging
import Systemd

/// The daemon's own events; text, level and id stand here and nowhere else.
enum LogLines {
    static func ready(_ name: String, _ introduction: String?, _ logger: Logger) {
        let rest = introduction.map { ": \($0)" } ?? ""
        logger.notice("\(name) is ready\(rest)", metadata: id(.daemonReady))
    }

    static func stopping(_ name: String, _ reason: String, _ logger: Logger) {
        logger.notice("\(name) stops: \(reason)", metadata: id(.daemonStopping))
    }

    static func waitsToStop(_ name: String, _ obstacle: String, _ logger: Logger) {
        logger.warning(
            "\(name) waits before it stops: \(obstacle)",
            metadata: id(.daemonWaitsToStop)
        )
    }

    static func stopsNevertheless(_ name: String, _ reason: String, _ logger: Logger) {
        logger.warning("\(name) waits no longer: \(reason)", metadata: id(.daemonStopping))
    }

    static func stopped(_ name: String, _ logger: Logger) {
        logger.notice("\(name) has stopped", metadata: id(.daemonStopped))
    }

    static func failed(_ name: String, _ failure: DaemonFailure, _ logger: Logger) {
        let event = failure.status == .storage ? MessageID.storageFailed : .daemonFailed
        logger.critical(
            "\(name) ends with status \(failure.status.rawValue): \(failure.reason)",
            metadata: id(event)
        )
    }

    /// An entry to be written at once: no thread can be had that would do it.
    static func limitTooLow(_ name: String, _ reason: String) -> LogEntry {
        LogEntry(
            level: .critical,
            message: "\(name) cannot start: \(reason)",
            metadata: id(.limitTooLow),
            label: "martlet.daemon",
            file: #fileID,
            function: #function,
            line: #line
        )
    }

    static func stopTookTooLong(_ name: String, _ logger: Logger) {
        logger.error("\(name) did not stop in time and ends as it is", metadata: id(.daemonFailed))
    }

    static func reloaded(_ what: String, _ logger: Logger) {
        logger.notice("settings reloaded: \(what)", metadata: id(.settingsReloaded))
    }

    static func settingsRefused(_ reason: String, _ logger: Logger) {
        logger.error("settings refused: \(reason)", metadata: id(.settingsRefused))
    }

    static func progressStalled(_ report: StallReport, _ logger: Logger) {
        var metadata = id(.progressStalled)
        metadata["MARTLET_STALLED"] = "\(report.stalled.joined(separator: ", "))"
        logger.error("\(report.text)", metadata: metadata)
    }

    static func progressResumed(_ names: [String], _ logger: Logger) {
        var metadata = id(.progressResumed)
        metadata["MARTLET_STALLED"] = "\(names.joined(separator: ", "))"
        logger.notice(
            "progress again: \(names.joined(separator: ", ")); the watchdog is fed",
            metadata: metadata
        )
    }

    private static func id(_ event: MessageID) -> Logger.Metadata { ["message-id": "\(event)"] }
}
