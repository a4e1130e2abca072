import Synchronization

/// Counts the work of one part of the daemon, so that a stall can be told from idleness.
///
/// - Thread: any; each call is one relaxed atomic addition.
public final class ProgressCounter: Sendable {
    private let begun = Atomic<UInt64>(0)
    private let ended = Atomic<UInt64>(0)

    init() {}

    /// Counts one piece of work that was begun and ended at once, for instance a loop's tick.
    public func advance() { ended.wrappingAdd(1, ordering: .relaxed) }

    /// Work was handed over; until ``end()`` the part is not idle.
    public func begin() { begun.wrappingAdd(1, ordering: .relaxed) }

    /// The work that was begun is done.
    public func end() { ended.wrappingAdd(1, ordering: .relaxed) }

    var count: UInt64 { ended.load(ordering: .relaxed) }
    var outstanding: UInt64 {
        begun.load(ordering: .relaxed) &- ended.load(ordering: .relaxed)
    }
}

/// All parts of a daemon that must make progress for the watchdog to be fed.
public final class ProgressRegistry: Sendable {
    private struct Source: Sendable {
        let name: String
        let patience: Duration
        let count: @Sendable () -> UInt64
        let isIdle: @Sendable () -> Bool
        var last: UInt64
        var lastAlive: ContinuousClock.Instant
    }

    private let sources = Mutex<[Source]>([])
    private let steps = Mutex<Steps>(Steps())

    /// What a start or a stop has got done, in words.
    private struct Steps {
        var text: String?
        var hasNew = false
    }

    /// Makes an empty registry.
    public init() {}

    /// Says how far a long start or stop is: that is progress, and STATUS shows it.
    ///
    /// It is forgotten when the next service's turn comes.
    public func step(_ text: String) {
        steps.withLock { $0 = Steps(text: text, hasNew: true) }
    }

    /// What ``step(_:)`` was told last.
    var lastStep: String? { steps.withLock { $0.text } }

    /// The next service's turn has come, which is progress too.
    func beginSteps() { steps.withLock { $0 = Steps(text: nil, hasNew: true) } }

    /// Registers a part that ticks for ever, such as an event loop: it is never idle.
    ///
    /// The tick must be well below `patience`; call ``ProgressCounter/advance()`` on each.
    public func ticking(_ name: String, patience: Duration = .seconds(3)) -> ProgressCounter {
        let counter = ProgressCounter()
        register(name, patience: patience, count: { counter.count }, isIdle: { false })
        return counter
    }

    /// Registers a part that works on request, such as the log's writer thread.
    ///
    /// Call ``ProgressCounter/begin()`` and ``ProgressCounter/end()`` around each request.
    /// `patience` is the longest time that one request may take: a slow disk is not a hang.
    public func working(_ name: String, patience: Duration = .seconds(20)) -> ProgressCounter {
        let counter = ProgressCounter()
        register(
            name,
            patience: patience,
            count: { counter.count },
            isIdle: { counter.outstanding == 0 }
        )
        return counter
    }

    /// Registers a thread that works off a queue, and returns how to probe it.
    ///
    /// Call the result regularly: it hands the thread an empty job, unless the last one still
    /// waits. A thread that hangs in one job leaves the probe behind it unanswered.
    /// - Parameter run: queues a job on the thread.
    public func probing(
        _ name: String,
        patience: Duration = .seconds(20),
        run: @escaping @Sendable (@escaping @Sendable () -> Void) -> Void
    ) -> @Sendable () -> Void {
        let counter = working(name, patience: patience)
        return {
            guard counter.outstanding == 0 else { return }
            counter.begin()
            run { counter.end() }
        }
    }

    /// Registers a part that counts by itself; both closures must not block.
    public func register(
        _ name: String,
        patience: Duration,
        count: @escaping @Sendable () -> UInt64,
        isIdle: @escaping @Sendable () -> Bool
    ) {
        let source = Source(
            name: name,
            patience: patience,
            count: count,
            isIdle: isIdle,
            last: count(),
            lastAlive: .now
        )
        sources.withLock { $0.append(source) }
    }

    /// A part as it is now, for whoever wants to know why the daemon stands still.
    struct Part: Equatable {
        var name: String
        /// The work that it has done since the start.
        var count: UInt64
        /// For how long it has neither advanced nor been idle.
        var standing: Duration
    }

    /// All parts, in the order in which they were registered.
    func parts(now: ContinuousClock.Instant = .now) -> [Part] {
        sources.withLock { sources in
            sources.map {
                let isAlive = $0.isIdle() || $0.count() != $0.last
                return Part(
                    name: $0.name,
                    count: $0.count(),
                    standing: isAlive ? .zero : $0.lastAlive.duration(to: now)
                )
            }
        }
    }

    /// What one look at all parts has shown.
    struct Look: Equatable {
        /// Parts that have neither advanced nor been idle for longer than their patience.
        var stalled: [String]
        /// Whether any part has advanced since the last look.
        var hasAdvanced: Bool
    }

    /// Looks at all parts; called by the supervisor alone.
    func look(now: ContinuousClock.Instant = .now) -> Look {
        let hasStep = steps.withLock { steps in
            defer { steps.hasNew = false }
            return steps.hasNew
        }
        return sources.withLock { sources in
            var look = Look(stalled: [], hasAdvanced: hasStep)
            for position in sources.indices {
                let count = sources[position].count()
                let hasAdvanced = count != sources[position].last
                if hasAdvanced || sources[position].isIdle() {
                    sources[position].lastAlive = now
                    sources[position].last = count
                } else if sources[position].lastAlive.duration(to: now) > sources[position].patience
                {
                    look.stalled.append(sources[position].name)
                }
                look.hasAdvanced = look.hasAdvanced || hasAdvanced
            }
            return look
        }
    }
}
