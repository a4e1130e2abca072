import DequeModule

/// Puts answers that are ready in any order back into the order of their requests.
///
/// - Invariant: an answer is released only after those of all earlier requests.
struct ResponseOrder<Response> {
    private enum Slot {
        case waiting
        case ready(Response)
        /// A request that is owed no answer, such as a produce with acks=0.
        case none
    }

    private var slots: Deque<Slot> = []
    /// The number of the first slot that is still held.
    private var first: UInt64 = 0

    /// The number of requests whose answers have not been released.
    var count: Int { slots.count }

    /// Opens a slot for a request that has arrived; slots are numbered in order.
    mutating func open() -> UInt64 {
        slots.append(.waiting)
        return first + UInt64(slots.count) - 1
    }

    /// Fills a slot; nil means that the request is owed no answer.
    mutating func fill(_ slot: UInt64, _ response: Response?) {
        precondition(slot >= first, "slot \(slot) was released before it was filled")
        let place = Int(slot - first)
        precondition(place < slots.count, "slot \(slot) was never opened")
        guard case .waiting = slots[place] else {
            preconditionFailure("slot \(slot) was filled twice")
        }
        slots[place] = response.map(Slot.ready) ?? .none
    }

    /// The next answer that may be sent, or nil while the oldest request waits.
    mutating func release() -> Response? {
        while let slot = slots.first {
            switch slot {
            case .waiting: return nil
            case .none:
                slots.removeFirst()
                first += 1
            case .ready(let response):
                slots.removeFirst()
                first += 1
                return response
            }
        }
        return nil
    }
}
