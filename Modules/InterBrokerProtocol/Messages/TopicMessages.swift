public import Model

/// Asks for new topics.
public struct CreateTopicsRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = CreateTopicsResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.createTopics

    /// The topics.
    public var topics: [NewTopic]
    /// Whether nothing is to be created.
    public var validateOnly: Bool
    /// How long the sender waits; milliseconds.
    public var timeoutMs: Int32

    /// Makes one of its fields.
    public init(
        topics: [NewTopic],
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
        topics = try fields.decode([NewTopic].self, forKey: .topics)
        validateOnly = try fields.decodeIfPresent(Bool.self, forKey: .validateOnly) ?? false
        timeoutMs = try fields.decodeIfPresent(Int32.self, forKey: .timeoutMs) ?? 30_000
    }
}

/// A topic that is asked for.
public struct NewTopic: Codable, Equatable, Sendable {
    /// Its name.
    public var name: String
    /// How many partitions; -1 for the controllers' default.
    public var partitions: Int32
    /// How many replicas of each; -1 for the controllers' default.
    public var replicationFactor: Int16
    /// Partition number in decimal to brokers, if the sender decides.
    public var assignments: [String: [BrokerID]]?
    /// Its configuration.
    public var configs: [String: String]

    /// Makes one of its fields.
    public init(
        name: String,
        partitions: Int32,
        replicationFactor: Int16,
        assignments: [String: [BrokerID]]? = nil,
        configs: [String: String] = [:]
    ) {
        self.name = name
        self.partitions = partitions
        self.replicationFactor = replicationFactor
        self.assignments = assignments
        self.configs = configs
    }

    private enum CodingKeys: String, CodingKey {
        case name
        case partitions
        case replicationFactor = "replication_factor"
        case assignments
        case configs
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        name = try fields.decode(String.self, forKey: .name)
        partitions = try fields.decode(Int32.self, forKey: .partitions)
        replicationFactor = try fields.decode(Int16.self, forKey: .replicationFactor)
        assignments = try fields.decodeIfPresent([String: [BrokerID]].self, forKey: .assignments)
        configs = try fields.decodeIfPresent([String: String].self, forKey: .configs) ?? [:]
    }
}

/// What became of each topic, in the order of the request.
public struct CreateTopicsResponse: Codable, Equatable, Sendable {
    /// The results.
    public var topics: [CreatedTopic]

    /// Makes one of its fields.
    public init(topics: [CreatedTopic]) {
        self.topics = topics
    }

    private enum CodingKeys: String, CodingKey {
        case topics
    }
}

/// What became of one topic.
public struct CreatedTopic: Codable, Equatable, Sendable {
    /// Its name.
    public var name: String
    /// Its identity; zero if it was not created.
    public var topicID: TopicID
    /// Kafka's error code; 0 if it was created.
    public var errorCode: Int16
    /// A sentence for people.
    public var message: String
    /// How many partitions it has.
    public var partitions: Int32
    /// How many replicas of each.
    public var replicationFactor: Int16

    /// Makes one of its fields.
    public init(
        name: String,
        topicID: TopicID,
        errorCode: Int16,
        message: String = "",
        partitions: Int32 = -1,
        replicationFactor: Int16 = -1
    ) {
        self.name = name
        self.topicID = topicID
        self.errorCode = errorCode
        self.message = message
        self.partitions = partitions
        self.replicationFactor = replicationFactor
    }

    private enum CodingKeys: String, CodingKey {
        case name
        case topicID = "topic_id"
        case errorCode = "error_code"
        case message
        case partitions
        case replicationFactor = "replication_factor"
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        name = try fields.decode(String.self, forKey: .name)
        topicID = try fields.decode(TopicID.self, forKey: .topicID)
        errorCode = try fields.decode(Int16.self, forKey: .errorCode)
        message = try fields.decodeIfPresent(String.self, forKey: .message) ?? ""
        partitions = try fields.decodeIfPresent(Int32.self, forKey: .partitions) ?? -1
        replicationFactor = try fields.decodeIfPresent(Int16.self, forKey: .replicationFactor) ?? -1
    }
}

/// Asks to delete topics.
public struct DeleteTopicsRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = DeleteTopicsResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.deleteTopics

    /// The topics.
    public var topics: [TopicReference]

    /// Makes one of its fields.
    public init(topics: [TopicReference]) {
        self.topics = topics
    }

    private enum CodingKeys: String, CodingKey {
        case topics
    }
}

/// A topic by name or by identity.
public struct TopicReference: Codable, Equatable, Sendable {
    /// Its name.
    public var name: String?
    /// Its identity.
    public var topicID: TopicID?

    /// Makes one of its fields.
    public init(name: String? = nil, topicID: TopicID? = nil) {
        self.name = name
        self.topicID = topicID
    }

    private enum CodingKeys: String, CodingKey {
        case name
        case topicID = "topic_id"
    }
}

/// What became of each topic, in the order of the request.
public struct DeleteTopicsResponse: Codable, Equatable, Sendable {
    /// The results.
    public var topics: [DeletedTopic]

    /// Makes one of its fields.
    public init(topics: [DeletedTopic]) {
        self.topics = topics
    }

    private enum CodingKeys: String, CodingKey {
        case topics
    }
}

/// What became of one topic.
public struct DeletedTopic: Codable, Equatable, Sendable {
    /// Its name.
    public var name: String
    /// Its identity; zero if there was none.
    public var topicID: TopicID
    /// Kafka's error code; 0 if it is being deleted.
    public var errorCode: Int16
    /// A sentence for people.
    public var message: String

    /// Makes one of its fields.
    public init(
        name: String,
        topicID: TopicID,
        errorCode: Int16,
        message: String = ""
    ) {
        self.name = name
        self.topicID = topicID
        self.errorCode = errorCode
        self.message = message
    }

    private enum CodingKeys: String, CodingKey {
        case name
        case topicID = "topic_id"
        case errorCode = "error_code"
        case message
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        name = try fields.decode(String.self, forKey: .name)
        topicID = try fields.decode(TopicID.self, forKey: .topicID)
        errorCode = try fields.decode(Int16.self, forKey: .errorCode)
        message = try fields.decodeIfPresent(String.self, forKey: .message) ?? ""
    }
}
