/// A topic's name, valid by Kafka's rules.
///
/// - Shape: 1 to 249 of `[a-zA-Z0-9._-]`, and neither `.` nor `..`.
/// - Source: Apache Kafka, `Topic.validate`.
public struct TopicName: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The name as text.
    public let text: String

    /// Takes a valid name; nil for anything else.
    public init?(_ text: String) {
        guard (1...249).contains(text.utf8.count), text != ".", text != ".." else { return nil }
        guard text.utf8.allSatisfy(Self.isLegal) else { return nil }
        self.text = text
    }

    private static func isLegal(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
            UInt8(ascii: "-"):
            true
        default: false
        }
    }

    /// The name as text.
    public var description: String { text }
    /// Orders by Unicode scalars, which for legal names is by bytes.
    public static func < (lhs: TopicName, rhs: TopicName) -> Bool { lhs.text < rhs.text }

    /// The topic that holds consumer groups' offsets.
    public static let consumerOffsets = TopicName(internalName: "__consumer_offsets")
    /// The topic that holds transactions' states.
    public static let transactionState = TopicName(internalName: "__transaction_state")

    private init(internalName: String) { self.text = internalName }

    /// Whether the topic belongs to Martlet itself and is hidden from ordinary listings.
    public var isInternal: Bool { self == .consumerOffsets || self == .transactionState }
}

/// One partition of a topic, by name.
public struct TopicPartition: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The topic.
    public let topic: TopicName
    /// The partition's number.
    public let partition: PartitionID
    /// Names a partition.
    public init(_ topic: TopicName, _ partition: PartitionID) {
        self.topic = topic
        self.partition = partition
    }
    /// `topic-partition`, as Kafka prints it.
    public var description: String { "\(topic)-\(partition)" }
    /// Orders by topic, then by number.
    public static func < (lhs: TopicPartition, rhs: TopicPartition) -> Bool {
        (lhs.topic, lhs.partition) < (rhs.topic, rhs.partition)
    }
}
