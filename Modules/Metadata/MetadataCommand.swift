public import Model

/// A change of the cluster's metadata, as it stands in the controllers' log.
///
/// - Shape: JSON `{"body":{...},"type":"createTopic","version":1}`, keys sorted.
public enum MetadataCommand: Equatable, Sendable {
    /// Names the cluster; once and for all time.
    case setClusterID(ClusterID)
    /// Raises the level of features that every member understands.
    case setFeatureLevel(Int)
    /// Records that a controller's log holds entries of the cluster.
    case controllerJoined(ControllerID)
    /// Records the controllers with which the cluster began; once.
    case controllersFounded([ControllerReplica])
    /// Gives a controller a place among the controllers, instead of one that it has lost.
    case placeController(ControllerPlacement)
    /// Lets a controller leave.
    case removeController(ControllerID)
    /// Records what members the controllers' group has committed.
    case controllersChanged(ControllerMembers)
    /// Takes a broker into the cluster, or a new run of one.
    case registerBroker(BrokerRegistration)
    /// Marks a broker as offline, if it has not registered again since.
    case brokerOffline(BrokerRun)
    /// Marks a broker as online again, if it has not registered again since.
    case brokerOnline(BrokerRun)
    /// Creates a topic with its replicas' places.
    case createTopic(TopicCreation)
    /// Adds partitions to a topic.
    case createPartitions(PartitionCreation)
    /// Deletes a topic; its partitions leave tombstones.
    case deleteTopic(TopicID)
    /// Replaces what is configured for a topic.
    case setTopicConfigs(TopicConfigChange)
    /// Records replicas whose start was confirmed.
    case replicasStarted([ReplicaReference])
    /// Records replicas whose deletion was confirmed.
    case replicasPurged([ReplicaReference])
    /// Gives a block of so many producer ids away.
    case allocateProducerIDs(Int32)
    /// Says where a partition's replicas are to be.
    case reassignPartition(PartitionReassignment)
    /// Puts new replicas in the places of some that are lost or damaged, on the same brokers.
    case replaceReplicas([ReplicaReference])
    /// Records what members a group has committed.
    case membersChanged(GroupMembers)
}

/// One run of a broker, as it registered.
public struct BrokerRun: Codable, Equatable, Sendable {
    /// The broker.
    public var broker: BrokerID
    /// The version at which it registered.
    public var registrationEpoch: MetadataVersion

    /// Names a run.
    public init(broker: BrokerID, registrationEpoch: MetadataVersion) {
        self.broker = broker
        self.registrationEpoch = registrationEpoch
    }

    private enum CodingKeys: String, CodingKey {
        case broker
        case registrationEpoch = "registration_epoch"
    }
}

/// A replica by its group and its number there.
public struct ReplicaReference: Codable, Hashable, Comparable, Sendable {
    /// The group.
    public var group: RaftGroupID
    /// The replica.
    public var node: NodeID

    /// Names a replica.
    public init(group: RaftGroupID, node: NodeID) {
        self.group = group
        self.node = node
    }

    /// Orders by group, then by node.
    public static func < (lhs: ReplicaReference, rhs: ReplicaReference) -> Bool {
        (lhs.group, lhs.node) < (rhs.group, rhs.node)
    }
}

/// A topic that is to be.
public struct TopicCreation: Codable, Equatable, Sendable {
    /// The name, legal by Kafka's rules.
    public var name: String
    /// The identity, drawn by the controller.
    public var topicID: TopicID
    /// The brokers of partition 0, 1, ...; the preferred leader first.
    public var assignments: [[BrokerID]]
    /// What is configured.
    public var configs: TopicConfigs

    /// Describes a topic.
    public init(
        name: TopicName,
        topicID: TopicID,
        assignments: [[BrokerID]],
        configs: TopicConfigs = .defaults
    ) {
        self.name = name.text
        self.topicID = topicID
        self.assignments = assignments
        self.configs = configs
    }

    private enum CodingKeys: String, CodingKey {
        case name
        case topicID = "topic_id"
        case assignments
        case configs
    }
}

/// Partitions that a topic is to get.
public struct PartitionCreation: Codable, Equatable, Sendable {
    /// The topic.
    public var topicID: TopicID
    /// The number of the first new partition: how many there are now.
    public var first: PartitionID
    /// The brokers of each new partition; the preferred leader first.
    public var assignments: [[BrokerID]]

    /// Describes the partitions.
    public init(topicID: TopicID, first: PartitionID, assignments: [[BrokerID]]) {
        self.topicID = topicID
        self.first = first
        self.assignments = assignments
    }

    private enum CodingKeys: String, CodingKey {
        case topicID = "topic_id"
        case first
        case assignments
    }
}

/// A topic's new configuration.
public struct TopicConfigChange: Codable, Equatable, Sendable {
    /// The topic.
    public var topicID: TopicID
    /// Everything that is configured from now on.
    public var configs: TopicConfigs

    /// Describes the change.
    public init(topicID: TopicID, configs: TopicConfigs) {
        self.topicID = topicID
        self.configs = configs
    }

    private enum CodingKeys: String, CodingKey {
        case topicID = "topic_id"
        case configs
    }
}

// MARK: JSON

extension MetadataCommand {
    /// The form of commands that this release writes, and the newest that it reads.
    public static let version = 1

    /// Reads a command.
    ///
    /// - Throws: `unknownCommand` or `unsupportedCommandVersion` with the name, or `malformed`.
    public init(json bytes: [UInt8]) throws(MetadataError) {
        self = try MetadataJSON.decode(MetadataCommand.self, from: bytes)
    }

    /// The command as JSON.
    public var json: [UInt8] { MetadataJSON.encode(self) }

    /// The command as JSON text.
    public var jsonText: String { String(decoding: json, as: UTF8.self) }

    /// The name of the command's type.
    public var name: String { kind.rawValue }

    private enum Kind: String {
        case setClusterID
        case setFeatureLevel
        case controllerJoined
        case controllersFounded
        case placeController
        case removeController
        case controllersChanged
        case registerBroker
        case brokerOffline
        case brokerOnline
        case createTopic
        case createPartitions
        case deleteTopic
        case setTopicConfigs
        case replicasStarted
        case replicasPurged
        case allocateProducerIDs
        case reassignPartition
        case replaceReplicas
        case membersChanged
    }

    private var kind: Kind {
        switch self {
        case .setClusterID: .setClusterID
        case .setFeatureLevel: .setFeatureLevel
        case .controllerJoined: .controllerJoined
        case .controllersFounded: .controllersFounded
        case .placeController: .placeController
        case .removeController: .removeController
        case .controllersChanged: .controllersChanged
        case .registerBroker: .registerBroker
        case .brokerOffline: .brokerOffline
        case .brokerOnline: .brokerOnline
        case .createTopic: .createTopic
        case .createPartitions: .createPartitions
        case .deleteTopic: .deleteTopic
        case .setTopicConfigs: .setTopicConfigs
        case .replicasStarted: .replicasStarted
        case .replicasPurged: .replicasPurged
        case .allocateProducerIDs: .allocateProducerIDs
        case .reassignPartition: .reassignPartition
        case .replaceReplicas: .replaceReplicas
        case .membersChanged: .membersChanged
        }
    }
}

extension MetadataCommand: Codable {
    private enum CodingKeys: String, CodingKey {
        case type
        case version
        case body
    }

    /// Reads a command; an unknown type or version is refused by its name.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let type = try fields.decode(String.self, forKey: .type)
        let version = try fields.decode(Int.self, forKey: .version)
        guard let kind = Kind(rawValue: type) else { throw MetadataError.unknownCommand(type) }
        guard version == Self.version else {
            throw MetadataError.unsupportedCommandVersion(type, version)
        }
        func body<Body: Decodable>() throws -> Body {
            try fields.decode(Body.self, forKey: .body)
        }
        switch kind {
        case .setClusterID: self = .setClusterID(try body())
        case .setFeatureLevel: self = .setFeatureLevel(try body())
        case .controllerJoined: self = .controllerJoined(try body())
        case .controllersFounded: self = .controllersFounded(try body())
        case .placeController: self = .placeController(try body())
        case .removeController: self = .removeController(try body())
        case .controllersChanged: self = .controllersChanged(try body())
        case .registerBroker: self = .registerBroker(try body())
        case .brokerOffline: self = .brokerOffline(try body())
        case .brokerOnline: self = .brokerOnline(try body())
        case .createTopic: self = .createTopic(try body())
        case .createPartitions: self = .createPartitions(try body())
        case .deleteTopic: self = .deleteTopic(try body())
        case .setTopicConfigs: self = .setTopicConfigs(try body())
        case .replicasStarted: self = .replicasStarted(try body())
        case .replicasPurged: self = .replicasPurged(try body())
        case .allocateProducerIDs: self = .allocateProducerIDs(try body())
        case .reassignPartition: self = .reassignPartition(try body())
        case .replaceReplicas: self = .replaceReplicas(try body())
        case .membersChanged: self = .membersChanged(try body())
        }
    }

    /// Writes a command.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(name, forKey: .type)
        try fields.encode(Self.version, forKey: .version)
        switch self {
        case .setClusterID(let body): try fields.encode(body, forKey: .body)
        case .setFeatureLevel(let body): try fields.encode(body, forKey: .body)
        case .controllerJoined(let body), .removeController(let body):
            try fields.encode(body, forKey: .body)
        case .controllersFounded(let body): try fields.encode(body, forKey: .body)
        case .placeController(let body): try fields.encode(body, forKey: .body)
        case .controllersChanged(let body): try fields.encode(body, forKey: .body)
        case .registerBroker(let body): try fields.encode(body, forKey: .body)
        case .brokerOffline(let body), .brokerOnline(let body):
            try fields.encode(body, forKey: .body)
        case .createTopic(let body): try fields.encode(body, forKey: .body)
        case .createPartitions(let body): try fields.encode(body, forKey: .body)
        case .deleteTopic(let body): try fields.encode(body, forKey: .body)
        case .setTopicConfigs(let body): try fields.encode(body, forKey: .body)
        case .replicasStarted(let body), .replicasPurged(let body), .replaceReplicas(let body):
            try fields.encode(body, forKey: .body)
        case .allocateProducerIDs(let body): try fields.encode(body, forKey: .body)
        case .reassignPartition(let body): try fields.encode(body, forKey: .body)
        case .membersChanged(let body): try fields.encode(body, forKey: .body)
        }
    }
}
