import Telemetry

/// Bounds what the groups of a directory keep of their newest payloads in memory.
///
/// - Thread: the event loop of the groups only, like ``GroupLog`` itself.
/// - Invariant: payloads above a group's applied index are never dropped; of the others, those of
///   the group that appended least recently go first.
final class TailCache: @unchecked Sendable {
    // `@unchecked Sendable`: the directory carries it between threads, but only `GroupLog`s touch
    // it, and all of them belong to one event loop.
    private let bytesMax: Int
    private let gauge: GaugeMetric
    private(set) var bytes = 0
    private var sentinel = TailLink()

    init(bytesMax: Int, gauge: GaugeMetric) {
        self.bytesMax = bytesMax
        self.gauge = gauge
        sentinel.next = sentinel
        sentinel.previous = sentinel
    }

    deinit {
        // The ring of links holds itself alive.
        var link = sentinel.next
        while let current = link, current !== sentinel {
            link = current.next
            current.next = nil
            current.previous = nil
        }
        sentinel.next = nil
        sentinel.previous = nil
    }

    /// A group kept `count` more bytes: it is the last one to lose any.
    func add(_ count: Int, _ link: TailLink) {
        bytes += count
        gauge.set(bytes)
        link.unlink()
        link.previous = sentinel.previous
        link.next = sentinel
        sentinel.previous?.next = link
        sentinel.previous = link
    }

    func remove(_ count: Int) {
        bytes -= count
        gauge.set(bytes)
    }

    /// Drops payloads until the budget holds or nothing may be dropped any more.
    func evict() {
        var link = sentinel.next
        while bytes > bytesMax, let current = link, current !== sentinel {
            link = current.next
            guard let owner = current.owner else {
                current.unlink()
                continue
            }
            owner.dropPayloads(atLeast: bytes - bytesMax)
        }
    }
}

/// A group's place in the order of eviction.
final class TailLink {
    weak var owner: GroupLog?
    var next: TailLink?
    var previous: TailLink?

    func unlink() {
        previous?.next = next
        next?.previous = previous
        next = nil
        previous = nil
    }
}
