import Model

/// Linearizable reads that wait until a quorum has confirmed the leader.
///
/// Reads are numbered from 1 in their order. A heartbeat carries the number of the newest one,
/// and the answer to it confirms that read and all before it.
struct ReadOnlyQueue {
    struct Read {
        let request: Message
        /// The commit index when the request came.
        let index: LogIndex
    }

    /// How many reads may wait before those of peers are dropped.
    static let waitingMax = 4_096

    private var waiting: [Read] = []
    private var confirmed: UInt64 = 0
    private var acknowledged: [(id: NodeID, position: UInt64)] = []

    /// How many reads wait.
    var count: Int { waiting.count }

    /// The number of the newest read, which the next heartbeat carries; nil if none waits.
    var position: UInt64? { waiting.isEmpty ? nil : confirmed + UInt64(waiting.count) }

    mutating func add(_ request: Message, index: LogIndex) {
        waiting.append(Read(request: request, index: index))
    }

    /// Notes that a member has heard of all reads up to a number.
    mutating func acknowledge(_ id: NodeID, position: UInt64) {
        // A number that was never sent confirms nothing beyond what waits.
        let position = min(position, confirmed + UInt64(waiting.count))
        if let place = acknowledged.firstIndex(where: { $0.id == id }) {
            acknowledged[place].position = max(acknowledged[place].position, position)
        } else {
            acknowledged.append((id, position))
        }
    }

    /// Takes out the reads that a quorum has confirmed.
    mutating func advance(_ voters: JointConfig) -> [Read] {
        let position = voters.committedIndex { id in
            acknowledged.first { $0.id == id }?.position
        }
        guard position > confirmed else { return [] }
        let count = Int(min(position - confirmed, UInt64(waiting.count)))
        let reads = Array(waiting.prefix(count))
        waiting.removeFirst(count)
        confirmed += UInt64(count)
        return reads
    }

    /// Forgets all reads, at the start of a term.
    mutating func reset() {
        waiting.removeAll()
        acknowledged.removeAll()
        confirmed = 0
    }
}
