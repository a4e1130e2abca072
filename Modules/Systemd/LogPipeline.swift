public import Logging
import Synchronization

/// The way of log entries from any thread to the one logger thread: a bounded ring in between.
///
/// journald can block a sender for as long as it likes, so event loops and Raft threads never write
/// themselves. When the ring is full, entries are dropped and counted; the logger thread says how
/// many as soon as it can. A flood of one event is cut, see ``EventLimit``.
///
/// - Thread: any. Appending takes one short lock.
/// - Invariant: entries come out in the order in which they went in.
public final class LogPipeline: Sendable {
    /// The ring's length: a broker with ten thousand groups says something of each in one breath.
    public static let entriesMax = 32_768

    private enum Item: Sendable {
        case entry(LogEntry)
        case flushed(WakeSignal)
    }

    private struct Queue: ~Copyable {
        var items: [Item] = []
        var isClosed = false
        /// Dropped and not yet reported.
        var unreported: UInt64 = 0
        var limit: EventLimit
    }

    private let queue: Mutex<Queue>
    private let sink: any LogSink
    private let wake = WakeSignal()
    private let droppedCount = Atomic<UInt64>(0)
    private let levelPosition: Atomic<Int>
    private let entriesMax: Int

    /// Starts the logger thread.
    public convenience init(sink: any LogSink, level: Logger.Level = .info) {
        self.init(sink: sink, level: level, entriesMax: Self.entriesMax)
    }

    init(
        sink: any LogSink,
        level: Logger.Level,
        entriesMax: Int,
        limit: EventLimit = EventLimit()
    ) {
        self.sink = sink
        self.entriesMax = entriesMax
        queue = Mutex(Queue(limit: limit))
        levelPosition = Atomic(Self.position(of: level))
        NamedThread.start(name: "logger") { [self] in run() }
    }

    /// Entries lost since the start.
    public var dropped: UInt64 { droppedCount.load(ordering: .relaxed) }

    /// The least important level that is written, for all loggers without a level of their own.
    public var level: Logger.Level {
        get { Logger.Level.allCases[levelPosition.load(ordering: .relaxed)] }
        set { levelPosition.store(Self.position(of: newValue), ordering: .relaxed) }
    }

    private static func position(of level: Logger.Level) -> Int {
        Logger.Level.allCases.firstIndex(of: level) ?? 0
    }

    /// Queues an entry, or drops and counts it.
    public func append(_ entry: LogEntry) {
        let isFirst = queue.withLock { queue in
            let isReportDue = queue.limit.nextReport != nil
            // The first that is left out tells the logger thread when to report.
            guard queue.limit.admits(entry, at: .now) else { return !isReportDue }
            guard !queue.isClosed, queue.items.count < entriesMax else {
                queue.unreported += 1
                droppedCount.wrappingAdd(1, ordering: .relaxed)
                return false
            }
            queue.items.append(.entry(entry))
            return queue.items.count == 1
        }
        if isFirst { wake.signal() }
    }

    /// Waits until everything that was queued before is written; false when that takes too long.
    public func flush(timeout: Duration = .seconds(2)) -> Bool {
        let done = WakeSignal()
        let isOpen = queue.withLock { queue in
            if !queue.isClosed { queue.items.append(.flushed(done)) }
            return !queue.isClosed
        }
        guard isOpen else { return true }
        wake.signal()
        return done.wait(timeout: timeout)
    }

    /// Writes what is queued and ends the logger thread; later entries are dropped.
    ///
    /// Returns when the journal has read everything: of a process that is gone, it cannot tell the
    /// unit any more, and `journalctl -u` would not show its last words.
    public func close(timeout: Duration = .seconds(2)) {
        queue.withLock { queue in
            queue.items += queue.limit.lastReports().map(Item.entry)
        }
        if flush(timeout: timeout) { sink.settle(timeout: timeout) }
        queue.withLock { $0.isClosed = true }
        wake.signal()
    }

    private func run() {
        while true {
            waitForWork()
            let (items, unreported, isClosed) = queue.withLock { queue in
                var items = queue.items
                items += queue.limit.reports(at: .now).map(Item.entry)
                queue.items = []
                defer { queue.unreported = 0 }
                return (items, queue.unreported, queue.isClosed)
            }
            var waiting: [WakeSignal] = []
            for item in items {
                switch item {
                case .entry(let entry): sink.write(entry)
                case .flushed(let semaphore): waiting.append(semaphore)
                }
            }
            if unreported > 0 { sink.write(Self.dropNotice(unreported)) }
            for semaphore in waiting { semaphore.signal() }
            if isClosed { return }
        }
    }

    /// Until there is something to write, or to say of what was left out.
    private func waitForWork() {
        guard let report = queue.withLock({ $0.limit.nextReport }) else { return wake.wait() }
        _ = wake.wait(timeout: ContinuousClock.now.duration(to: report))
    }

    private static func dropNotice(_ count: UInt64) -> LogEntry {
        LogEntry(
            level: .warning,
            message: "dropped \(count) log entries: the journal was slower than the daemon",
            metadata: ["message-id": "\(MessageID.logEntriesDropped)"],
            label: "martlet.log"
        )
    }
}
