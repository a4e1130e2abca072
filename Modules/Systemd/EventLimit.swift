import Logging

/// How many lines of one event the journal is given in a while.
///
/// journald's own limit counts whatever a unit says, so a flood of one event would take others with
/// it; the units switch that one off. This one counts each event by itself, and says what it left
/// out. An event is a place in the source; of a Raft group's, each group has its own.
struct EventLimit {
    private struct Key: Hashable {
        var file: String
        var line: UInt
        var group: String
    }

    private struct Count {
        var lines = 0
        /// The first line that was left out.
        var example: LogEntry?
    }

    /// The largest number of lines of one event in one window.
    let linesMax: Int
    /// How long a window is.
    let window: Duration
    /// So many events are told apart; further ones are not limited.
    private static let eventsMax = 100_000

    private var counts: [Key: Count] = [:]
    private var windowEnd: ContinuousClock.Instant?

    init(linesMax: Int = 10_000, window: Duration = .seconds(30)) {
        self.linesMax = linesMax
        self.window = window
    }

    /// When something that was left out is to be reported; nil when nothing was.
    private(set) var nextReport: ContinuousClock.Instant?

    /// Counts a line and says whether the journal takes it.
    ///
    /// Lines for debugging are never left out.
    mutating func admits(_ entry: LogEntry, at now: ContinuousClock.Instant) -> Bool {
        guard entry.level > .debug else { return true }
        let end = windowEnd ?? now + window
        windowEnd = end
        let key = Key(
            file: entry.file,
            line: entry.line,
            group: entry.fields.first { $0.name == "MARTLET_GROUP" }?.value ?? ""
        )
        guard counts[key] != nil || counts.count < Self.eventsMax else { return true }
        var count = counts[key] ?? Count()
        defer { counts[key] = count }
        count.lines += 1
        guard count.lines > linesMax else { return true }
        if count.example == nil { count.example = entry }
        nextReport = end
        return false
    }

    /// What a window that is over has left out, an entry for each event.
    mutating func reports(at now: ContinuousClock.Instant) -> [LogEntry] {
        guard let end = windowEnd, now >= end else { return [] }
        return lastReports()
    }

    /// What this window has left out up to now; another one begins.
    mutating func lastReports() -> [LogEntry] {
        let left = counts.values.filter { $0.example != nil }
        counts = [:]
        windowEnd = nil
        nextReport = nil
        return left.compactMap { report($0) }.sorted { $0.message < $1.message }
    }

    private func report(_ count: Count) -> LogEntry? {
        guard let example = count.example else { return nil }
        return LogEntry(
            level: example.level,
            message: """
                left out \(count.lines - linesMax) lines of one event, after \(linesMax) within \
                \(window.components.seconds) s; the first was: \(example.message)
                """,
            metadata: ["message-id": "\(MessageID.logEntriesSuppressed)"],
            label: "martlet.log"
        )
    }
}
