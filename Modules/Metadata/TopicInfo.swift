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

    /// The number of replicas that its first partition has.
    public var replicationFactor: Int { partitions.first?.replicas.count ?? 0 }

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

/// A partition: the Raft group that holds it, and where the group's replicas lie.
public struct PartitionInfo: Codable, Equatable, Sendable {
    /// Its number in its topic.
    public var partition: PartitionID
    /// The Raft group; never used for anything else.
    public var group: RaftGroupID
    /// The replicas, the preferred leader first; invariant: never empty, one per broker.
    public var replicas: [ReplicaInfo]
    /// The incarnation of the replica that is placed next.
    public var nextIncarnation: UInt32

    /// The replica that is to lead when nothing else speaks against it.
    public var preferredLeader: NodeID { replicas[0].node }

    /// The replica on `broker`, if there is one.
    public func replica(on broker: BrokerID) -> ReplicaInfo? {
        replicas.first { $0.broker == broker }
    }

    private enum CodingKeys: String, CodingKey {
        case partition
        case group
        case replicas
        case nextIncarnation = "next_incarnation"
    }
}

/// One replica of a partition.
public struct ReplicaInfo: Codable, Equatable, Sendable {
    /// The replica's number in its Raft group.
    public var node: NodeID
    /// The data directory that it was placed in.
    public var directoryID: DirectoryID
    /// Whether its start was ever confirmed; from then on it is never started with `join=false`.
    public var isStarted: Bool

    /// The broker that holds it.
    public var broker: BrokerID { node.broker }

    private enum CodingKeys: String, CodingKey {
        case node
        case directoryID = "directory_id"
        case isStarted = "started"
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

/// A partition that was deleted, while some replica may still hold its data.
public struct Tombstone: Codable, Equatable, Sendable {
    /// The Raft group.
    public var group: RaftGroupID
    /// The deleted topic's identity.
    public var topicID: TopicID
    /// The deleted topic's name.
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
