import Glibc

/// One message to the service manager, in sd_notify's text form.
public struct NotifyMessage: Hashable, Sendable {
    /// Lines `NAME=value`, joined by newlines.
    public let text: String

    private init(_ lines: String...) { text = lines.joined(separator: "\n") }

    /// The daemon answers clients; also ends a reload.
    public static func ready(status: String) -> NotifyMessage {
        NotifyMessage("READY=1", "STATUS=\(oneLine(status))")
    }

    /// One line for `systemctl status`.
    public static func status(_ status: String) -> NotifyMessage {
        NotifyMessage("STATUS=\(oneLine(status))")
    }

    /// The daemon has begun to stop.
    public static func stopping(status: String) -> NotifyMessage {
        NotifyMessage("STOPPING=1", "STATUS=\(oneLine(status))")
    }

    /// A reload has begun; ``ready(status:)`` must follow, also when the new settings are refused.
    ///
    /// Without the monotonic time, managers from 253 on wait for ever.
    public static func reloading() -> NotifyMessage {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        let microseconds = Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
        return NotifyMessage("RELOADING=1", "MONOTONIC_USEC=\(microseconds)")
    }

    /// Start or stop makes progress and needs this much more time, counted from now.
    public static func extendTimeout(_ time: Duration) -> NotifyMessage {
        NotifyMessage("EXTEND_TIMEOUT_USEC=\(microseconds(time))")
    }

    /// The daemon is alive and makes progress.
    public static let watchdog = NotifyMessage("WATCHDOG=1")

    /// Asks for the watchdog's action now: an invariant is broken.
    public static let watchdogTrigger = NotifyMessage("WATCHDOG=trigger")

    /// A status with a newline would be read as a second message.
    private static func oneLine(_ text: String) -> String {
        let line = text.unicodeScalars.map { $0.value < 0x20 ? " " : String($0) }.joined()
        return String(line.prefix(1024))
    }

    private static func microseconds(_ time: Duration) -> Int64 {
        let (seconds, attoseconds) = time.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        return max(0, overflow ? .max : whole &+ attoseconds / 1_000_000_000_000)
    }
}
