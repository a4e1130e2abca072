public import KafkaProtocol
public import Model

/// A broker as the cluster describes it.
public struct BrokerDescription: Equatable, Sendable {
    /// Its number.
    public var id: Int32
    /// Where it says that clients reach it.
    public var address: Address
    /// Its rack, if it has one.
    public var rack: String?
}

/// A partition as the cluster describes it.
public struct PartitionDescription: Equatable, Sendable {
    /// Its number in the topic.
    public var id: Int32
    /// The broker that leads it, or -1.
    public var leader: Int32
    /// The leader's epoch, or -1.
    public var leaderEpoch: Int32
    /// The brokers that hold a copy; the preferred leader first.
    public var replicas: [Int32]
    /// The copies that are up to date.
    public var inSync: [Int32]
    /// The copies whose brokers are away.
    public var offline: [Int32]
    /// What is wrong with it.
    public var error: KafkaError?
}

/// A topic as the cluster describes it.
public struct TopicDescription: Equatable, Sendable {
    /// Its name.
    public var name: String
    /// Its identity; zero when the broker does not tell.
    public var id: UniqueID
    /// Whether it belongs to the cluster itself.
    public var isInternal: Bool
    /// Its partitions, by number.
    public var partitions: [PartitionDescription]
    /// What is wrong with it.
    public var error: KafkaError?
}

/// A cluster's brokers and, as far as asked for, its topics.
public struct ClusterDescription: Equatable, Sendable {
    /// The cluster's identity, if it has one.
    public var clusterID: String?
    /// The broker that takes administrative requests, or -1.
    public var controllerID: Int32
    /// The brokers, by number.
    public var brokers: [BrokerDescription]
    /// The topics, by name.
    public var topics: [TopicDescription]
}

/// A topic to be created.
public struct NewTopic: Equatable, Sendable {
    /// Its name.
    public var name: String
    /// How many partitions; -1 takes the cluster's default.
    public var partitions: Int32
    /// How many copies of each; -1 takes the cluster's default.
    public var replicationFactor: Int16
    /// Its settings.
    public var configs: [(name: String, value: String)]

    /// Describes a topic.
    public init(
        name: String,
        partitions: Int32 = -1,
        replicationFactor: Int16 = -1,
        configs: [(name: String, value: String)] = []
    ) {
        self.name = name
        self.partitions = partitions
        self.replicationFactor = replicationFactor
        self.configs = configs
    }

    /// Compares all fields.
    public static func == (lhs: NewTopic, rhs: NewTopic) -> Bool {
        lhs.name == rhs.name && lhs.partitions == rhs.partitions
            && lhs.replicationFactor == rhs.replicationFactor
            && lhs.configs.elementsEqual(rhs.configs) { $0 == $1 }
    }
}

/// What became of a topic that was to be created or deleted.
public struct TopicOutcome: Equatable, Sendable {
    /// The topic's name.
    public var name: String
    /// Its partitions, where the broker tells; -1 otherwise.
    public var partitions: Int32
    /// Its copies, where the broker tells; -1 otherwise.
    public var replicationFactor: Int16
    /// Why it was refused; nil when it was done.
    public var error: KafkaClientError?
}

/// What became of a move of a partition's copies that was ordered.
public struct ReassignmentOutcome: Equatable, Sendable {
    /// The partition.
    public var partition: PartitionName
    /// Why it was refused; nil when it has begun, or there is nothing to do.
    public var error: KafkaClientError?
}

/// A move of a partition's copies that is under way.
public struct ReassignmentDescription: Equatable, Sendable {
    /// The partition.
    public var partition: PartitionName
    /// The brokers that hold a copy or are to hold one.
    public var replicas: [Int32]
    /// Those that are to hold one and were not asked to before.
    public var adding: [Int32]
    /// Those that hold one and are to lose it.
    public var removing: [Int32]

    /// Describes a move.
    public init(
        partition: PartitionName,
        replicas: [Int32],
        adding: [Int32],
        removing: [Int32]
    ) {
        self.partition = partition
        self.replicas = replicas
        self.adding = adding
        self.removing = removing
    }
}

/// The cluster's controllers, as the one that leads sees them.
public struct QuorumDescription: Equatable, Sendable {
    /// The controller that leads.
    public var leader: Int32
    /// Its epoch.
    public var epoch: Int32
    /// The last entry of the metadata log that is committed.
    public var committed: Int64
    /// Every controller, voters first, each part in order of numbers.
    public var controllers: [ControllerDescription]
}

/// One controller.
public struct ControllerDescription: Equatable, Sendable {
    /// Its number.
    public var id: Int32
    /// Where brokers and other controllers reach it, where the broker tells.
    public var address: Address?
    /// Whether it votes; else it is only filled.
    public var isVoter: Bool
    /// Whether the leader has heard it lately.
    public var isActive: Bool
    /// The last entry of the metadata log that it is known to hold.
    public var end: Int64
}

/// One setting of a topic.
public struct ConfigDescription: Equatable, Sendable {
    /// Its name.
    public var name: String
    /// Its value; nil when it is secret.
    public var value: String?
    /// Whether the value is the default and not set for the topic.
    public var isDefault: Bool
}

/// A partition by the names that Kafka's wire has for it.
public struct PartitionName: Hashable, Sendable, CustomStringConvertible {
    /// The topic.
    public var topic: String
    /// The partition's number.
    public var partition: Int32

    /// Names a partition.
    public init(_ topic: String, _ partition: Int32) {
        self.topic = topic
        self.partition = partition
    }

    /// `topic-partition`, as Kafka prints it.
    public var description: String { "\(topic)-\(partition)" }
}

/// A place in a partition.
public enum OffsetPosition: Equatable, Sendable {
    /// The first record that is kept.
    case earliest
    /// Behind the last record that consumers may see.
    case latest
    /// The first record at or after a time, in milliseconds since 1970; the end if there is none.
    case timestamp(Int64)
    /// An offset.
    case offset(Int64)
}
