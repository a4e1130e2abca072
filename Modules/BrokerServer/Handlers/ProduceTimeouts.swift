import DequeModule
import NIOCore

/// The produce requests that wait, by their deadline: cheaper than a timer for each.
///
/// - Thread: the broker's event loop.
/// - Invariant: requests with the same timeout expire in the order in which they came. A request
///   expires up to one tick late, which a client cannot tell from a slow network.
struct ProduceTimeouts {
    private struct Waiting {
        let deadline: NIODeadline
        let produce: PendingProduce
    }

    /// By timeout; clients use few different ones.
    private var queues: [Int64: Deque<Waiting>] = [:]

    /// Different timeouts that are kept apart; more are rounded up to whole seconds.
    private static let timeoutsMax = 64

    /// Remembers a request.
    mutating func add(_ produce: PendingProduce, after timeout: TimeAmount) {
        var nanoseconds = min(timeout.nanoseconds, TimeAmount.hours(1).nanoseconds)
        if queues.count >= Self.timeoutsMax, queues[nanoseconds] == nil {
            let second = TimeAmount.seconds(1).nanoseconds
            nanoseconds = (nanoseconds + second - 1) / second * second
        }
        let deadline = NIODeadline.now() + .nanoseconds(nanoseconds)
        queues[nanoseconds, default: []].append(Waiting(deadline: deadline, produce: produce))
    }

    /// Takes out the requests whose time is over, and forgets those that were answered.
    mutating func expired(at now: NIODeadline) -> [PendingProduce] {
        var expired: [PendingProduce] = []
        for timeout in queues.keys {
            while let first = queues[timeout]?.first {
                guard first.produce.isAnswered || first.deadline <= now else { break }
                queues[timeout]?.removeFirst()
                if !first.produce.isAnswered { expired.append(first.produce) }
            }
            if queues[timeout]?.isEmpty == true { queues[timeout] = nil }
        }
        return expired
    }
}
