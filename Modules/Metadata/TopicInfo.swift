public import Model

/// A topic: its identity, its partitions and what is configured for it.
public struct TopicInfo: Codable, Equatable, Sendable {
    /// Its name.
    public var name: TopicName
    /// Its identity; a topic created again under the name has another one.
    public var topicID: TopicID
    /// The partitions; invariant: partition n stands at position n.
    public var partitions: [PartitionInfo]
    /// The configurations that differ from the defaults.
    public var configs: TopicConfigs

    /// The number of replicas that its first partition has, or is to have.
    public var replicationFactor: Int { partitions.first?.desired.count ?? 0 }

    /// One partition, or nil if the topic has not so many.
    public func partition(_ id: PartitionID) -> PartitionInfo? {
        let position = Int(id.rawValue)
        return partitions.indices.contains(position) ? partitions[position] : nil
    }

    private enum CodingKeys: String, CodingKey {
        case name
        case topicID = "topic_id"
        case partitions
        case configs
    }

    init(name: TopicName, topicID: TopicID, partitions: [PartitionInfo], configs: TopicConfigs) {
        self.name = name
        self.topicID = topicID
        self.partitions = partitions
        self.configs = configs
    }

    /// Reads a topic; its name must be a legal one.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        name = try fields.decodeTopicName(forKey: .name)
        topicID = try fields.decode(TopicID.self, forKey: .topicID)
        partitions = try fields.decode([PartitionInfo].self, forKey: .partitions)
        configs = try fields.decode(TopicConfigs.self, forKey: .configs)
    }

    /// Writes a topic.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(name.text, forKey: .name)
        try fields.encode(topicID, forKey: .topicID)
        try fields.encode(partitions, forKey: .partitions)
        try fields.encode(configs, forKey: .configs)
    }
}

extension KeyedDecodingContainer {
    /// Reads a topic's name and refuses one that breaks Kafka's rules.
    func decodeTopicName(forKey key: Key) throws -> TopicName {
        let text = try decode(String.self, forKey: key)
        guard let name = TopicName(text) else {
            throw DecodingError.dataCorruptedError(
                forKey: key,
                in: self,
                debugDescription: "not a topic name"
            )
        }
        return name
    }
}

/// A partition with the topic that it belongs to.
public struct HostedPartition: Equatable, Sendable {
    /// The topic's name.
    public var topic: TopicName
    /// The topic's identity.
    public var topicID: TopicID
    /// The partition.
    public var info: PartitionInfo

    /// The partition by name.
    public var topicPartition: TopicPartition { TopicPartition(topic, info.partition) }
}

/// Replicas that may still hold data although they are members of nothing any more: those of a
/// partition that was deleted, and those that a partition has lost to a reassignment.
public struct Tombstone: Codable, Equatable, Sendable {
    /// The Raft group.
    public var group: RaftGroupID
    /// The topic's identity.
    public var topicID: TopicID
    /// The topic's name.
    public var topic: TopicName
    /// The partition's number.
    public var partition: PartitionID
    /// The replicas that have not confirmed yet; invariant: not empty, in order of node id.
    public var unconfirmed: [NodeID]

    private enum CodingKeys: String, CodingKey {
        case group
        case topicID = "topic_id"
        case topic
        case partition
        case unconfirmed
    }

    init(
        group: RaftGroupID,
        topicID: TopicID,
        topic: TopicName,
        partition: PartitionID,
        unconfirmed: [NodeID]
    ) {
        self.group = group
        self.topicID = topicID
        self.topic = topic
        self.partition = partition
        self.unconfirmed = unconfirmed
    }

    /// Reads a tombstone.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        group = try fields.decode(RaftGroupID.self, forKey: .group)
        topicID = try fields.decode(TopicID.self, forKey: .topicID)
        topic = try fields.decodeTopicName(forKey: .topic)
        partition = try fields.decode(PartitionID.self, forKey: .partition)
        unconfirmed = try fields.decode([NodeID].self, forKey: .unconfirmed)
    }

    /// Writes a tombstone.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(group, forKey: .group)
        try fields.encode(topicID, forKey: .topicID)
        try fields.encode(topic.text, forKey: .topic)
        try fields.encode(partition, forKey: .partition)
        try fields.encode(unconfirmed, forKey: .unconfirmed)
    }
}
