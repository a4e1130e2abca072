import DequeModule
import Model

/// Old entries that a core wants to have from the disk.
struct ColdRead {
    let replica: Replica
    let from: LogIndex
    let to: LogIndex
    /// At most about so many bytes.
    let bytes: Int
}

/// The reads for replicas that lag far behind, oldest first, and how many bytes they may take.
///
/// Throttled is the reading: what was not read is not sent, and fills no queue.
/// - Invariant: the balance never exceeds what comes with one tick.
struct CatchUpQueue {
    /// What is to become of a read that waits.
    enum Verdict {
        case go
        case wait
        /// Nobody wants it any more.
        case drop
    }

    private var waiting: Deque<ColdRead> = []
    private let bytesPerTick: Int
    private var balance: Int

    /// Begins with what comes with one tick.
    init(bytesPerTick: Int) {
        self.bytesPerTick = max(1, bytesPerTick)
        balance = self.bytesPerTick
    }

    /// How many reads wait.
    var count: Int { waiting.count }

    /// Whether anything may be read that is not urgent.
    var hasBalance: Bool { balance > 0 }

    /// Adds what comes with a tick.
    mutating func refill() { balance = min(balance + bytesPerTick, bytesPerTick) }

    /// Takes bytes from the balance, which may fall below zero; or gives some back.
    mutating func spend(_ bytes: Int) { balance -= bytes }

    /// Lets a read wait for its turn.
    mutating func add(_ read: ColdRead) { waiting.append(read) }

    /// Takes out the first read that may go, and those before it that nobody wants any more.
    mutating func next(
        _ judge: (ColdRead) -> Verdict
    ) -> (read: ColdRead?, dropped: [ColdRead]) {
        var dropped: [ColdRead] = []
        var place = 0
        while place < waiting.count {
            switch judge(waiting[place]) {
            case .wait: place += 1
            case .drop: dropped.append(waiting.remove(at: place))
            case .go: return (waiting.remove(at: place), dropped)
            }
        }
        return (nil, dropped)
    }
}
