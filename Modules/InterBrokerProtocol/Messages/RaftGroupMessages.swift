public import Model

/// Asks a broker to start its replica of a partition's Raft group.
public struct StartPartitionRaftGroupRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = StartPartitionRaftGroupResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.startPartitionRaftGroup

    /// The group; never 0.
    public var raftGroupID: RaftGroupID
    /// The topic's identity.
    public var topicID: TopicID
    /// The topic's name.
    public var topicName: String
    /// The partition's number in its topic.
    public var partitionID: PartitionID
    /// The replicas: node id in decimal to peer address; see `members`.
    public var nodeMembers: [String: String]
    /// Whether the replica waits to be added instead of taking the members as they are.
    public var join: Bool
    /// The data directory that the controller believes to be there.
    public var directoryID: DirectoryID

    /// Makes one of its fields.
    public init(
        raftGroupID: RaftGroupID,
        topicID: TopicID,
        topicName: String,
        partitionID: PartitionID,
        nodeMembers: [String: String],
        join: Bool,
        directoryID: DirectoryID
    ) {
        self.raftGroupID = raftGroupID
        self.topicID = topicID
        self.topicName = topicName
        self.partitionID = partitionID
        self.nodeMembers = nodeMembers
        self.join = join
        self.directoryID = directoryID
    }

    private enum CodingKeys: String, CodingKey {
        case raftGroupID = "raft_group_id"
        case topicID = "topic_id"
        case topicName = "topic_name"
        case partitionID = "partition_id"
        case nodeMembers = "node_members"
        case join
        case directoryID = "directory_id"
    }
}

/// The replica runs, and a durable record of it exists.
public struct StartPartitionRaftGroupResponse: Codable, Equatable, Sendable {
    /// A sentence for people.
    public var message: String

    /// Makes one of its fields.
    public init(message: String = "") {
        self.message = message
    }

    private enum CodingKeys: String, CodingKey {
        case message
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        message = try fields.decodeIfPresent(String.self, forKey: .message) ?? ""
    }
}

/// Asks a broker to stop its replica of a partition's Raft group.
public struct StopPartitionRaftGroupRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = StopPartitionRaftGroupResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.stopPartitionRaftGroup

    /// The group; never 0.
    public var raftGroupID: RaftGroupID
    /// The topic's identity.
    public var topicID: TopicID
    /// The topic's name.
    public var topicName: String
    /// The partition's number in its topic.
    public var partitionID: PartitionID
    /// Whether the data is deleted too.
    public var purge: Bool
    /// The data directory that is meant; nil for whichever is there.
    public var directoryID: DirectoryID?
    /// The replica that is meant, another one being left alone; nil for whichever is there.
    public var nodeID: NodeID?

    /// Makes one of its fields.
    public init(
        raftGroupID: RaftGroupID,
        topicID: TopicID,
        topicName: String,
        partitionID: PartitionID,
        purge: Bool = false,
        directoryID: DirectoryID? = nil,
        nodeID: NodeID? = nil
    ) {
        self.raftGroupID = raftGroupID
        self.topicID = topicID
        self.topicName = topicName
        self.partitionID = partitionID
        self.purge = purge
        self.directoryID = directoryID
        self.nodeID = nodeID
    }

    private enum CodingKeys: String, CodingKey {
        case raftGroupID = "raft_group_id"
        case topicID = "topic_id"
        case topicName = "topic_name"
        case partitionID = "partition_id"
        case purge
        case directoryID = "directory_id"
        case nodeID = "node_id"
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        raftGroupID = try fields.decode(RaftGroupID.self, forKey: .raftGroupID)
        topicID = try fields.decode(TopicID.self, forKey: .topicID)
        topicName = try fields.decode(String.self, forKey: .topicName)
        partitionID = try fields.decode(PartitionID.self, forKey: .partitionID)
        purge = try fields.decodeIfPresent(Bool.self, forKey: .purge) ?? false
        directoryID = try fields.decodeIfPresent(DirectoryID.self, forKey: .directoryID)
        nodeID = try fields.decodeIfPresent(NodeID.self, forKey: .nodeID)
    }
}

/// The replica does not run any more.
public struct StopPartitionRaftGroupResponse: Codable, Equatable, Sendable {
    /// "not running" if it did not run before.
    public var message: String

    /// Makes one of its fields.
    public init(message: String = "") {
        self.message = message
    }

    private enum CodingKeys: String, CodingKey {
        case message
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        message = try fields.decodeIfPresent(String.self, forKey: .message) ?? ""
    }
}

extension StartPartitionRaftGroupRequest {
    /// The replicas in the order of their node ids; nil if a key of `nodeMembers` is no node id.
    public var members: [(node: NodeID, address: String)]? {
        parseMembers(nodeMembers)
    }

    /// Refuses group 0, a group without members, and names and numbers that cannot be.
    public func validate() -> Refusal? {
        if let refusal = validateGroup(raftGroupID, topicName, partitionID) { return refusal }
        guard !nodeMembers.isEmpty else { return .invalidField("node_members", "empty") }
        guard let members else { return .invalidField("node_members", "not a node ID") }
        guard members.allSatisfy({ Address($0.address) != nil }) else {
            return .invalidField("node_members", "not an address")
        }
        return nil
    }

    /// The text form of members, for `nodeMembers`.
    public static func nodeMembers(_ members: [(node: NodeID, address: String)]) -> [String: String]
    {
        Dictionary(
            members.map { ($0.node.description, $0.address) },
            uniquingKeysWith: { _, last in last }
        )
    }
}

extension StopPartitionRaftGroupRequest {
    /// Refuses group 0, and names and numbers that cannot be.
    public func validate() -> Refusal? { validateGroup(raftGroupID, topicName, partitionID) }
}

private func validateGroup(
    _ group: RaftGroupID,
    _ topicName: String,
    _ partition: PartitionID
) -> Refusal? {
    guard group != 0 else { return .invalidRaftGroupID }
    guard TopicName(topicName) != nil else { return .invalidField("topic_name") }
    guard partition >= 0 else { return .invalidField("partition_id") }
    return nil
}

private func parseMembers(_ texts: [String: String]) -> [(node: NodeID, address: String)]? {
    var members: [(node: NodeID, address: String)] = []
    for (text, address) in texts {
        // Only the form that we print: "+7" or "007" would be a second name for a node.
        guard let number = UInt64(text), number != 0, String(number) == text else { return nil }
        members.append((NodeID(number), address))
    }
    return members.sorted { $0.node < $1.node }
}
