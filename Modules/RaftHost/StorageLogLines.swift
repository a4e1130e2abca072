public import Logging
import Systemd

/// What a daemon says of its write-ahead log; both daemons say it in the same words.
public enum StorageLogLines {
    /// A crash had cut the last write short.
    public static func truncated(_ logger: Logger) {
        logger.notice(
            "The last write before a crash was incomplete; it was never acknowledged, and is cut",
            metadata: ["message-id": "\(MessageID.logTruncated)"]
        )
    }

    /// The disk took long to make writes durable; `count` times since this was said last.
    public static func slowSync(_ longest: Duration, count: Int, _ logger: Logger) {
        let (seconds, attoseconds) = longest.components
        let tenths = attoseconds / 100_000_000_000_000_000
        let more = count == 1 ? "" : " (the longest of \(count) that took a second or more)"
        logger.warning(
            "A sync of the write-ahead log took \(seconds).\(tenths) s\(more)",
            metadata: ["message-id": "\(MessageID.diskSlow)"]
        )
    }
}
