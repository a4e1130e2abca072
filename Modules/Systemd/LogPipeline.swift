public import Logging
import Synchronization

/// The way of log entries from any thread to the one logger thread: a bounded ring in between.
///
/// journald can block a sender for as long as it likes, so event loops and Raft threads never write
/// themselves. When the ring is full, entries are dropped and counted; the logger thread says how
/// many as soon as it can.
///
/// - Thread: any. Appending takes one short lock.
/// - Invariant: entries come out in the order in which they went in.
public final class LogPipeline: Sendable {
    /// The ring's length.
    public static let entriesMax = 8192

    private enum Item: Sendable {
        case entry(LogEntry)
        case flushed(WakeSignal)
    }

    private struct Queue: ~Copyable {
        var items: [Item] = []
        var isClosed = false
        /// Dropped and not yet reported.
        var unreported: UInt64 = 0
    }

    private let queue = Mutex(Queue())
    private let wake = WakeSignal()
    private let droppedCount = Atomic<UInt64>(0)
    private let levelPosition: Atomic<Int>
    private let entriesMax: Int

    /// Starts the logger thread.
    public convenience init(sink: any LogSink, level: Logger.Level = .info) {
        self.init(sink: sink, level: level, entriesMax: Self.entriesMax)
    }

    init(sink: any LogSink, level: Logger.Level, entriesMax: Int) {
        self.entriesMax = entriesMax
        levelPosition = Atomic(Self.position(of: level))
        NamedThread.start(name: "logger") { [self] in run(sink) }
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
    public func close(timeout: Duration = .seconds(2)) {
        _ = flush(timeout: timeout)
        queue.withLock { $0.isClosed = true }
        wake.signal()
    }

    private func run(_ sink: any LogSink) {
        while true {
            wake.wait()
            let (items, unreported, isClosed) = queue.withLock { queue in
                let taken = (queue.items, queue.unreported, queue.isClosed)
                queue.items = []
                queue.unreported = 0
                return taken
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

    private static func dropNotice(_ count: UInt64) -> LogEntry {
        LogEntry(
            level: .warning,
            message: "dropped \(count) log entries: the journal was slower than the daemon",
            metadata: ["message-id": "\(MessageID.logEntriesDropped)"],
            label: "martlet.log"
        )
    }
}
