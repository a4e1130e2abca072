import NIOCore

/// Producers whose batch was turned away a moment ago, and who will send it again.
///
/// What they had sent behind it before they heard of that is no gap of theirs. A producer that is
/// told of a gap begins a new epoch, and librdkafka then sends again even what another leader may
/// have in its log already.
struct TurnedAway {
    /// How long a producer may take to come again.
    static let memory = TimeAmount.seconds(10)
    /// How many producers are remembered; more than that are all forgotten.
    static let producersMax = 10_000

    private var deadlines: [Int64: NIODeadline] = [:]

    /// Remembers a producer.
    mutating func note(_ producerID: Int64, at now: NIODeadline = .now()) {
        if deadlines.count >= Self.producersMax { deadlines.removeAll() }
        deadlines[producerID] = now + Self.memory
    }

    /// Forgets a producer: its next batch is the one that was expected.
    mutating func forget(_ producerID: Int64) {
        if !deadlines.isEmpty { deadlines.removeValue(forKey: producerID) }
    }

    /// Whether a producer is remembered still.
    func contains(_ producerID: Int64, at now: NIODeadline = .now()) -> Bool {
        deadlines[producerID].map { now < $0 } ?? false
    }
}
