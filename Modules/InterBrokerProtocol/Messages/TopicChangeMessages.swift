public import Model

/// Asks for more partitions of topics.
public struct CreatePartitionsRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = CreatePartitionsResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.createPartitions

    /// The topics.
    public var topics: [PartitionIncrease]
    /// Whether nothing is to be created.
    public var validateOnly: Bool
    /// How long the sender waits; milliseconds.
    public var timeoutMs: Int32

    /// Makes one of its fields.
    public init(
        topics: [PartitionIncrease],
        validateOnly: Bool = false,
        timeoutMs: Int32 = 30_000
    ) {
        self.topics = topics
        self.validateOnly = validateOnly
        self.timeoutMs = timeoutMs
    }

    private enum CodingKeys: String, CodingKey {
        case topics
        case validateOnly = "validate_only"
        case timeoutMs = "timeout_ms"
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        topics = try fields.decode([PartitionIncrease].self, forKey: .topics)
        validateOnly = try fields.decodeIfPresent(Bool.self, forKey: .validateOnly) ?? false
        timeoutMs = try fields.decodeIfPresent(Int32.self, forKey: .timeoutMs) ?? 30_000
    }
}

/// How many partitions a topic is to have.
public struct PartitionIncrease: Codable, Equatable, Sendable {
    /// The topic's name.
    public var name: String
    /// How many partitions there are to be.
    public var count: Int32
    /// New partition number in decimal to brokers, if the sender decides.
    public var assignments: [String: [BrokerID]]?

    /// Makes one of its fields.
    public init(
        name: String,
        count: Int32,
        assignments: [String: [BrokerID]]? = nil
    ) {
        self.name = name
        self.count = count
        self.assignments = assignments
    }

    private enum CodingKeys: String, CodingKey {
        case name
        case count
        case assignments
    }
}

/// What became of each topic, in the order of the request.
public struct CreatePartitionsResponse: Codable, Equatable, Sendable {
    /// The results.
    public var topics: [NamedResult]

    /// Makes one of its fields.
    public init(topics: [NamedResult]) {
        self.topics = topics
    }

    private enum CodingKeys: String, CodingKey {
        case topics
    }
}

/// What became of one named thing.
public struct NamedResult: Codable, Equatable, Sendable {
    /// Its name.
    public var name: String
    /// Kafka's error code; 0 if it was done.
    public var errorCode: Int16
    /// A sentence for people.
    public var message: String

    /// Makes one of its fields.
    public init(
        name: String,
        errorCode: Int16,
        message: String = ""
    ) {
        self.name = name
        self.errorCode = errorCode
        self.message = message
    }

    private enum CodingKeys: String, CodingKey {
        case name
        case errorCode = "error_code"
        case message
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        name = try fields.decode(String.self, forKey: .name)
        errorCode = try fields.decode(Int16.self, forKey: .errorCode)
        message = try fields.decodeIfPresent(String.self, forKey: .message) ?? ""
    }
}

/// Asks to change configurations.
public struct AlterConfigsRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = AlterConfigsResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.alterConfigs

    /// The changes.
    public var resources: [ConfigChange]
    /// Whether nothing is to be changed.
    public var validateOnly: Bool

    /// Makes one of its fields.
    public init(resources: [ConfigChange], validateOnly: Bool = false) {
        self.resources = resources
        self.validateOnly = validateOnly
    }

    private enum CodingKeys: String, CodingKey {
        case resources
        case validateOnly = "validate_only"
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        resources = try fields.decode([ConfigChange].self, forKey: .resources)
        validateOnly = try fields.decodeIfPresent(Bool.self, forKey: .validateOnly) ?? false
    }
}

/// Changes of one resource.
public struct ConfigChange: Codable, Equatable, Sendable {
    /// Kafka's type of resource: 2 for a topic, 4 for a broker.
    public var resourceType: Int8
    /// The topic's name, or the broker's number in decimal.
    public var name: String
    /// Keys that get a value.
    public var set: [String: String]
    /// Keys that return to their defaults.
    public var removed: [String]

    /// Makes one of its fields.
    public init(
        resourceType: Int8,
        name: String,
        set: [String: String] = [:],
        removed: [String] = []
    ) {
        self.resourceType = resourceType
        self.name = name
        self.set = set
        self.removed = removed
    }

    private enum CodingKeys: String, CodingKey {
        case resourceType = "resource_type"
        case name
        case set
        case removed
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        resourceType = try fields.decode(Int8.self, forKey: .resourceType)
        name = try fields.decode(String.self, forKey: .name)
        set = try fields.decodeIfPresent([String: String].self, forKey: .set) ?? [:]
        removed = try fields.decodeIfPresent([String].self, forKey: .removed) ?? []
    }
}

/// What became of each resource, in the order of the request.
public struct AlterConfigsResponse: Codable, Equatable, Sendable {
    /// The results.
    public var resources: [NamedResult]

    /// Makes one of its fields.
    public init(resources: [NamedResult]) {
        self.resources = resources
    }

    private enum CodingKeys: String, CodingKey {
        case resources
    }
}

/// Asks to move replicas.
public struct ReassignPartitionsRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = ReassignPartitionsResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.reassignPartitions

    /// The moves.
    public var partitions: [PartitionMove]

    /// Makes one of its fields.
    public init(partitions: [PartitionMove]) {
        self.partitions = partitions
    }

    private enum CodingKeys: String, CodingKey {
        case partitions
    }
}

/// Where the replicas of one partition are to be.
public struct PartitionMove: Codable, Equatable, Sendable {
    /// The topic's name.
    public var topicName: String
    /// The partition's number.
    public var partitionID: PartitionID
    /// The brokers, the preferred leader first; nil cancels a move.
    public var replicas: [BrokerID]?

    /// Makes one of its fields.
    public init(
        topicName: String,
        partitionID: PartitionID,
        replicas: [BrokerID]? = nil
    ) {
        self.topicName = topicName
        self.partitionID = partitionID
        self.replicas = replicas
    }

    private enum CodingKeys: String, CodingKey {
        case topicName = "topic_name"
        case partitionID = "partition_id"
        case replicas
    }
}

/// What became of each move, in the order of the request.
public struct ReassignPartitionsResponse: Codable, Equatable, Sendable {
    /// The results.
    public var partitions: [PartitionResult]
    /// The version with which the last of them is committed.
    public var metadataVersion: MetadataVersion

    /// Makes one of its fields.
    public init(partitions: [PartitionResult], metadataVersion: MetadataVersion) {
        self.partitions = partitions
        self.metadataVersion = metadataVersion
    }

    private enum CodingKeys: String, CodingKey {
        case partitions
        case metadataVersion = "metadata_version"
    }
}

/// What became of one partition.
public struct PartitionResult: Codable, Equatable, Sendable {
    /// The topic's name.
    public var topicName: String
    /// The partition's number.
    public var partitionID: PartitionID
    /// Kafka's error code; 0 if it was done.
    public var errorCode: Int16
    /// A sentence for people.
    public var message: String

    /// Makes one of its fields.
    public init(
        topicName: String,
        partitionID: PartitionID,
        errorCode: Int16,
        message: String = ""
    ) {
        self.topicName = topicName
        self.partitionID = partitionID
        self.errorCode = errorCode
        self.message = message
    }

    private enum CodingKeys: String, CodingKey {
        case topicName = "topic_name"
        case partitionID = "partition_id"
        case errorCode = "error_code"
        case message
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        topicName = try fields.decode(String.self, forKey: .topicName)
        partitionID = try fields.decode(PartitionID.self, forKey: .partitionID)
        errorCode = try fields.decode(Int16.self, forKey: .errorCode)
        message = try fields.decodeIfPresent(String.self, forKey: .message) ?? ""
    }
}
