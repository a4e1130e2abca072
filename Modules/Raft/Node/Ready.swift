import Model

/// An answer to `readIndex`.
public struct ReadState: Equatable, Sendable {
    /// The read may be served once this index is applied.
    public let index: LogIndex
    /// The number that the request carried.
    public let context: UInt64

    /// Joins the two.
    public init(index: LogIndex, context: UInt64) {
        self.index = index
        self.context = context
    }
}

/// What a replica wants done.
public struct Ready: Sendable {
    /// Leader and role, if they changed.
    public var softState: SoftState?
    /// Term, vote and commit index, if they changed.
    public var hardState: HardState?
    /// Reads that were confirmed.
    public var readStates: [ReadState] = []
    /// New entries; with asynchronous writes they are in a `storageAppend` too.
    public var entries = EntryList()
    /// A snapshot to install; with asynchronous writes it is in a `storageAppend` too.
    public var snapshot: Snapshot?
    /// Entries to apply; with asynchronous writes they are in a `storageApply` too.
    public var committedEntries = EntryList()
    /// What to send, and what to have done by the local threads.
    public var messages: [Message] = []
    /// Whether the write must be durable before anything after it.
    public var mustSync = false

    /// Nothing is to be done.
    public init() {}

    /// How many messages' memory is kept for the next round.
    private static let capacityKept = 256

    /// Forgets everything, with its payloads, and keeps memory for the next round.
    public mutating func removeAll() {
        softState = nil
        hardState = nil
        readStates.removeAll(keepingCapacity: readStates.capacity <= Self.capacityKept)
        entries = EntryList()
        snapshot = nil
        committedEntries = EntryList()
        messages.removeAll(keepingCapacity: messages.capacity <= Self.capacityKept)
        mustSync = false
    }
}

/// Arrays of responses that were handed out, to be filled again once their owner has let go.
///
/// An array that is still in use when its turn comes is left to its owner, and another one made.
struct ResponseBuffers {
    private static let count = 4
    private static let capacityMax = 16
    private var handedOut: [[Message]] = []
    private var next = 0

    /// Takes the collected responses and leaves an empty array.
    mutating func handOut(_ responses: inout [Message]) -> [Message] {
        let taken = responses
        if taken.capacity > Self.capacityMax || handedOut.count < Self.count {
            if taken.capacity <= Self.capacityMax { handedOut.append(taken) }
            responses = []
            return taken
        }
        swap(&handedOut[next], &responses)
        next = (next + 1) % Self.count
        responses.removeAll(keepingCapacity: true)
        return taken
    }
}
