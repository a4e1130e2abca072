/// What happens later, in the order of its time; things of one time in the order of their coming.
///
/// - Shape: a binary heap.
struct Timeline<Event> {
    private struct Item {
        var time: UInt64
        var sequence: UInt64
        var event: Event

        func isBefore(_ other: Item) -> Bool {
            (time, sequence) < (other.time, other.sequence)
        }
    }

    private var heap: [Item] = []
    private var sequence: UInt64 = 0

    /// When the earliest event happens; nil if there is none.
    var nextTime: UInt64? { heap.first?.time }

    /// Puts an event on the timeline; `time` in microseconds since the run's start.
    mutating func add(_ event: Event, at time: UInt64) {
        heap.append(Item(time: time, sequence: sequence, event: event))
        sequence += 1
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { return }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// Takes the earliest event.
    mutating func next() -> (time: UInt64, event: Event)? {
        guard !heap.isEmpty else { return nil }
        heap.swapAt(0, heap.count - 1)
        let item = heap.removeLast()
        var parent = 0
        while true {
            var first = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                if heap[child].isBefore(heap[first]) { first = child }
            }
            guard first != parent else { break }
            heap.swapAt(parent, first)
            parent = first
        }
        return (item.time, item.event)
    }
}
