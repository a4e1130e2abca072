public import Model

/// What a broker is told by its settings.
public struct BrokerOptions: Sendable {
    /// This broker.
    public var brokerID: BrokerID
    /// What Metadata answers tell clients of this broker.
    public var advertisedClient: Address
    /// The rack, if told.
    public var rack: String?
    /// Whether a Metadata request for an unknown topic creates it; default true.
    public var autoCreateTopics = true
    /// Partitions of a topic that is created without a number; default 1.
    public var defaultPartitions: Int32 = 1
    /// Replicas of a topic that is created without a number; default 3.
    public var defaultReplicationFactor: Int16 = 3
    /// Partitions of `__consumer_offsets`; default 50, and never changed in a cluster.
    public var offsetsTopicPartitions: Int32 = 50
    /// Replicas of `__consumer_offsets`; default 3.
    public var offsetsTopicReplicationFactor: Int16 = 3
    /// The largest record batch of topics that say nothing else; default 1,048,588 bytes.
    public var messageBytesMax = 1_048_588
    /// Producers that each partition remembers; default 20,000.
    public var producersMax = 20_000
    /// Producer ids that are reserved at a time; default and limit 1,000.
    public var producerIDBlock: Int32 = 1_000
    /// The client listener's limits.
    public var limits = ListenerLimits()

    /// The defaults for a broker.
    public init(brokerID: BrokerID, advertisedClient: Address) {
        self.brokerID = brokerID
        self.advertisedClient = advertisedClient
    }
}
