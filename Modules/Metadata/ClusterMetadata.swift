public import Model

/// What a cluster is: the state that the controllers replicate and every broker holds a copy of.
///
/// - Shape: JSON with sorted keys; every list is in the order that its declaration states.
/// - Invariant: a function of the commands that were applied, byte for byte.
public struct ClusterMetadata: Equatable, Sendable {
    /// The version of the last command that was applied; 0 before the first.
    public internal(set) var version: MetadataVersion = 0
    /// The level of features that every member understands.
    public internal(set) var featureLevel = 1
    /// The cluster's identity, once it is drawn.
    public internal(set) var clusterID: ClusterID?
    /// Every controller whose log has ever held an entry of the cluster, in order of ids.
    ///
    /// Such a controller with an empty directory has lost its disk and must not take part.
    public internal(set) var controllers: [ControllerID] = []
    /// The controllers' own group, as it is and as it is to be, in order of nodes.
    ///
    /// Empty until the first leader has recorded the founders.
    public internal(set) var controllerReplicas: [ControllerReplica] = []
    /// The newest incarnation of every controller that ever had one, in order of ids.
    public internal(set) var controllerIncarnations: [ControllerIncarnation] = []
    /// Every broker that ever registered, in order of ids.
    public internal(set) var brokers: [BrokerInfo] = []
    /// Every topic, in order of names.
    public internal(set) var topics: [TopicInfo] = []
    /// Deleted partitions that some replica may still hold, in order of groups.
    public internal(set) var tombstones: [Tombstone] = []
    /// The group of the next partition.
    public internal(set) var nextGroupID = RaftGroupID.firstPartition
    /// The next producer id that nobody has been given.
    public internal(set) var nextProducerID: Int64 = 0

    // Lookups; functions of the above.
    var namesByTopicID: [TopicID: TopicName] = [:]
    var partitionsByGroup: [RaftGroupID: TopicPartition] = [:]
    /// The groups with a reassignment under way, in order.
    public private(set) var reassigned: [RaftGroupID] = []

    /// The metadata of a cluster in which nothing has happened yet.
    public init() {}
}

// MARK: Lookup

extension ClusterMetadata {
    /// A broker, if it ever registered.
    public func broker(_ id: BrokerID) -> BrokerInfo? {
        let position = brokers.firstPosition { $0.id >= id }
        return position < brokers.count && brokers[position].id == id ? brokers[position] : nil
    }

    /// The brokers that are online, in order of ids.
    public var onlineBrokers: [BrokerInfo] { brokers.filter(\.isOnline) }

    /// A topic by its name.
    public func topic(_ name: TopicName) -> TopicInfo? {
        position(of: name).map { topics[$0] }
    }

    /// A topic by its identity.
    public func topic(_ id: TopicID) -> TopicInfo? { namesByTopicID[id].flatMap { topic($0) } }

    /// A partition by topic and number.
    public func partition(_ partition: TopicPartition) -> PartitionInfo? {
        topic(partition.topic)?.partition(partition.partition)
    }

    /// The partition that a Raft group holds.
    public func partition(_ group: RaftGroupID) -> HostedPartition? {
        guard let name = partitionsByGroup[group], let topic = topic(name.topic),
            let info = topic.partition(name.partition)
        else { return nil }
        return HostedPartition(topic: topic.name, topicID: topic.topicID, info: info)
    }

    /// The tombstone of a deleted partition's group.
    public func tombstone(_ group: RaftGroupID) -> Tombstone? {
        let position = tombstones.firstPosition { $0.group >= group }
        guard position < tombstones.count, tombstones[position].group == group else { return nil }
        return tombstones[position]
    }

    /// Whether a group was ever given to a partition.
    public func wasKnown(_ group: RaftGroupID) -> Bool {
        group >= .firstPartition && group < nextGroupID
    }

    /// The partitions that have a replica on a broker, in order of groups.
    public func partitions(on broker: BrokerID) -> [HostedPartition] {
        var hosted: [HostedPartition] = []
        for topic in topics {
            for info in topic.partitions where !info.replicas(on: broker).isEmpty {
                hosted.append(
                    HostedPartition(topic: topic.name, topicID: topic.topicID, info: info)
                )
            }
        }
        return hosted.sorted { $0.info.group < $1.info.group }
    }

    /// The replicas on a broker, in order of groups.
    public func replicas(on broker: BrokerID) -> [ReplicaReference] {
        var references: [ReplicaReference] = []
        for topic in topics {
            for info in topic.partitions {
                for replica in info.replicas(on: broker) {
                    references.append(ReplicaReference(group: info.group, node: replica.node))
                }
            }
        }
        return references.sorted()
    }

    /// The partitions with a reassignment under way, in order of groups.
    public var reassignments: [HostedPartition] { reassigned.compactMap { partition($0) } }

    /// How many partitions have a reassignment under way.
    public var reassignmentCount: Int { reassigned.count }

    /// The number of partitions of all topics.
    public var partitionCount: Int { partitionsByGroup.count }

    /// What each broker that is online holds, in order of ids.
    public func onlineLoads() -> [PartitionAssigner.Load] {
        var loads = onlineBrokers.map { PartitionAssigner.Load(broker: $0.id) }
        for topic in topics {
            for info in topic.partitions {
                for replica in info.desired {
                    let position = loads.firstPosition { $0.broker >= replica.broker }
                    guard position < loads.count, loads[position].broker == replica.broker else {
                        continue
                    }
                    loads[position].replicas += 1
                    if replica.node == info.preferredLeader { loads[position].leaders += 1 }
                }
            }
        }
        return loads
    }

    func position(of name: TopicName) -> Int? {
        let position = topics.firstPosition { $0.name >= name }
        return position < topics.count && topics[position].name == name ? position : nil
    }
}

extension Array {
    /// The first position whose element passes, in an array where passing ones come last.
    func firstPosition(where passes: (Element) -> Bool) -> Int {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if passes(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

// MARK: JSON

extension ClusterMetadata: Codable {
    /// The form of snapshots that this release writes, and the newest that it reads.
    public static let snapshotVersion = 1

    /// Reads a snapshot.
    ///
    /// - Throws: `unsupportedSnapshotVersion` or `malformed`.
    public init(json bytes: [UInt8]) throws(MetadataError) {
        self = try MetadataJSON.decode(ClusterMetadata.self, from: bytes)
    }

    /// The value as JSON: a snapshot.
    public var json: [UInt8] { MetadataJSON.encode(self) }

    private enum CodingKeys: String, CodingKey {
        case snapshotVersion = "snapshot_version"
        case version
        case featureLevel = "feature_level"
        case clusterID = "cluster_id"
        case controllers
        case controllerReplicas = "controller_replicas"
        case controllerIncarnations = "controller_incarnations"
        case brokers
        case topics
        case tombstones
        case nextGroupID = "next_group_id"
        case nextProducerID = "next_producer_id"
    }

    /// Reads a snapshot and makes its lookups.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        let form = try fields.decode(Int.self, forKey: .snapshotVersion)
        guard form == Self.snapshotVersion else {
            throw MetadataError.unsupportedSnapshotVersion(form)
        }
        version = try fields.decode(MetadataVersion.self, forKey: .version)
        featureLevel = try fields.decode(Int.self, forKey: .featureLevel)
        clusterID = try fields.decodeIfPresent(ClusterID.self, forKey: .clusterID)
        controllers = try fields.decode([ControllerID].self, forKey: .controllers)
        // Releases before these were written knew the founders alone, from their settings.
        controllerReplicas =
            try fields.decodeIfPresent([ControllerReplica].self, forKey: .controllerReplicas) ?? []
        controllerIncarnations =
            try fields.decodeIfPresent(
                [ControllerIncarnation].self,
                forKey: .controllerIncarnations
            ) ?? []
        brokers = try fields.decode([BrokerInfo].self, forKey: .brokers)
        topics = try fields.decode([TopicInfo].self, forKey: .topics)
        tombstones = try fields.decode([Tombstone].self, forKey: .tombstones)
        nextGroupID = try fields.decode(RaftGroupID.self, forKey: .nextGroupID)
        nextProducerID = try fields.decode(Int64.self, forKey: .nextProducerID)
        if let reason = disorder() { throw MetadataError.malformed(reason) }
        for topic in topics { index(topic) }
    }

    /// Writes a snapshot.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(Self.snapshotVersion, forKey: .snapshotVersion)
        try fields.encode(version, forKey: .version)
        try fields.encode(featureLevel, forKey: .featureLevel)
        try fields.encodeIfPresent(clusterID, forKey: .clusterID)
        try fields.encode(controllers, forKey: .controllers)
        try fields.encode(controllerReplicas, forKey: .controllerReplicas)
        try fields.encode(controllerIncarnations, forKey: .controllerIncarnations)
        try fields.encode(brokers, forKey: .brokers)
        try fields.encode(topics, forKey: .topics)
        try fields.encode(tombstones, forKey: .tombstones)
        try fields.encode(nextGroupID, forKey: .nextGroupID)
        try fields.encode(nextProducerID, forKey: .nextProducerID)
    }

    /// What breaks an invariant of the lists, in bytes that came from outside.
    private func disorder() -> String? {
        func isAscending<Key: Comparable>(_ keys: [Key]) -> Bool {
            zip(keys, keys.dropFirst()).allSatisfy { $0 < $1 }
        }
        guard isAscending(controllers) else { return "controllers out of order" }
        guard isAscending(controllerReplicas.map(\.node)),
            isAscending(controllerIncarnations.map(\.id))
        else { return "replicas of controllers out of order" }
        guard isAscending(brokers.map(\.id)) else { return "brokers out of order" }
        guard isAscending(topics.map(\.name)) else { return "topics out of order" }
        guard isAscending(tombstones.map(\.group)) else { return "tombstones out of order" }
        for topic in topics {
            for (position, info) in topic.partitions.enumerated() {
                guard info.partition.rawValue == position, info.group < nextGroupID else {
                    return "partition \(position) of topic \(topic.name)"
                }
                if let disorder = info.disorder {
                    return "\(disorder) of partition \(position) of topic \(topic.name)"
                }
            }
        }
        return nil
    }

    mutating func index(_ topic: TopicInfo) {
        namesByTopicID[topic.topicID] = topic.name
        for info in topic.partitions {
            partitionsByGroup[info.group] = TopicPartition(topic.name, info.partition)
            note(info)
        }
    }

    mutating func unindex(_ topic: TopicInfo) {
        namesByTopicID[topic.topicID] = nil
        for info in topic.partitions {
            partitionsByGroup[info.group] = nil
            note(info.group, isReassigned: false)
        }
    }

    /// Notes whether a partition has a reassignment under way.
    mutating func note(_ info: PartitionInfo) {
        note(info.group, isReassigned: info.reassignment != nil)
    }

    private mutating func note(_ group: RaftGroupID, isReassigned: Bool) {
        let position = reassigned.firstPosition { $0 >= group }
        let isNoted = position < reassigned.count && reassigned[position] == group
        if isReassigned, !isNoted { reassigned.insert(group, at: position) }
        if !isReassigned, isNoted { reassigned.remove(at: position) }
    }
}
