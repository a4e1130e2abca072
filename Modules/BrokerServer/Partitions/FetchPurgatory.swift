import NIOCore

/// A fetch that waits for more data, for its deadline or for an error.
///
/// - Thread: the broker's event loop.
final class ParkedFetch {
    /// What it waits for in one partition.
    struct Item {
        let partition: Partition
        /// `partition.appliedBytes` when the fetch was parked.
        let bytesAtStart: UInt64
        /// The most bytes of this partition that count.
        let bytesMax: Int
    }

    let items: [Item]
    /// The bytes that are still missing to the fetch's minimum.
    let bytesMissing: Int
    fileprivate let complete: () -> Void
    fileprivate var timeout: Scheduled<Void>?
    fileprivate(set) var isDone = false

    init(items: [Item], bytesMissing: Int, complete: @escaping () -> Void) {
        self.items = items
        self.bytesMissing = bytesMissing
        self.complete = complete
    }

    /// Whether enough has been committed since it was parked.
    var isSatisfied: Bool {
        var bytes = 0
        for item in items {
            bytes += min(Int(item.partition.appliedBytes - item.bytesAtStart), item.bytesMax)
            if bytes >= bytesMissing { return true }
        }
        return false
    }
}

/// Holds the fetches that wait, and wakes them when their partitions' watermarks move.
///
/// - Thread: the broker's event loop.
/// - Invariant: a fetch completes once: when enough bytes are committed, when a partition's
///   leadership changes, or when its time is over, whichever comes first. Partitions that moved
///   are gathered and looked at once a turn of the loop.
final class FetchPurgatory {
    private let eventLoop: any EventLoop
    private var moved: [Partition] = []
    private var isWakeScheduled = false
    /// The number of fetches that wait.
    private(set) var count = 0

    init(eventLoop: any EventLoop) {
        self.eventLoop = eventLoop
    }

    /// Parks a fetch until `wait` is over or something happens.
    func park(_ fetch: ParkedFetch, wait: TimeAmount) {
        count += 1
        for item in fetch.items { item.partition.waitingFetches.append(fetch) }
        let bound = NIOLoopBound((self, fetch), eventLoop: eventLoop)
        fetch.timeout = eventLoop.scheduleTask(in: wait) {
            let (purgatory, fetch) = bound.value
            purgatory.finish(fetch)
        }
    }

    /// The partition's high watermark or leadership moved; its fetches are looked at this turn.
    func partitionMoved(_ partition: Partition) {
        guard !partition.waitingFetches.isEmpty, !partition.isInPurgatoryQueue else { return }
        partition.isInPurgatoryQueue = true
        moved.append(partition)
        guard !isWakeScheduled else { return }
        isWakeScheduled = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { bound.value.wake() }
    }

    /// Gives up a fetch whose connection is gone.
    func cancel(_ fetch: ParkedFetch) {
        guard !fetch.isDone else { return }
        remove(fetch)
    }

    private func wake() {
        isWakeScheduled = false
        let partitions = moved
        moved.removeAll(keepingCapacity: true)
        for partition in partitions {
            partition.isInPurgatoryQueue = false
            let mustFinish = partition.mustWakeFetches
            partition.mustWakeFetches = false
            // A copy: finishing a fetch takes it off the list.
            for fetch in partition.waitingFetches where !fetch.isDone {
                if mustFinish || fetch.isSatisfied { finish(fetch) }
            }
        }
    }

    private func finish(_ fetch: ParkedFetch) {
        guard !fetch.isDone else { return }
        remove(fetch)
        fetch.complete()
    }

    private func remove(_ fetch: ParkedFetch) {
        fetch.isDone = true
        fetch.timeout?.cancel()
        fetch.timeout = nil
        count -= 1
        for item in fetch.items {
            item.partition.waitingFetches.removeAll { $0 === fetch }
        }
    }
}
