/// What one daemon asks of another: the first integer of every request.
///
/// - Shape: big-endian int32 on the wire; numbers are never reused.
public enum InterBrokerRequestType: Int32, CaseIterable, Sendable {
    /// Which controller answers here, and whom does it take for the leader?
    case controllerDiscover = 1000
    /// Is this controller a member of the cluster, and does it lead?
    case controllerVerify = 1001
    /// The cluster's metadata, in pages or as the changes since a version.
    case getTopicMetadata = 1002
    /// Start a partition's Raft group on a broker.
    case startPartitionRaftGroup = 1003
    /// Stop a partition's Raft group on a broker.
    case stopPartitionRaftGroup = 1004
    /// A broker makes itself known to the controller leader.
    case registerBroker = 1005
    /// A broker shows that it is alive and what it hosts.
    case brokerHeartbeat = 1006
    /// A broker tells which of its replicas have become leaders.
    case reportLeaders = 1007
    /// The controller leader pushes changes of the metadata.
    case metadataChanged = 1008
    /// Create topics.
    case createTopics = 1009
    /// Delete topics.
    case deleteTopics = 1010
    /// Add partitions to topics.
    case createPartitions = 1011
    /// Change configurations.
    case alterConfigs = 1012
    /// Reserve a block of producer ids.
    case allocateProducerIDs = 1013
    /// Turn the connection into a Raft peer stream.
    case raftStream = 1014
    /// Move replicas of partitions.
    case reassignPartitions = 1015
    /// Write the markers that end a transaction.
    case writeTxnMarkers = 1016
    /// Let a controller belong to the controllers.
    case addController = 1017
    /// Let a controller belong to them no more.
    case removeController = 1018
    /// Who the controllers are, and how far each of them is.
    case describeControllers = 1019
    /// May this broker or controller stop now, or would others lose a quorum?
    case controlledShutdown = 1020

    /// The name in log lines and metrics.
    public var name: String {
        switch self {
        case .controllerDiscover: "ControllerDiscover"
        case .controllerVerify: "ControllerVerify"
        case .getTopicMetadata: "GetTopicMetadata"
        case .startPartitionRaftGroup: "StartPartitionRaftGroup"
        case .stopPartitionRaftGroup: "StopPartitionRaftGroup"
        case .registerBroker: "RegisterBroker"
        case .brokerHeartbeat: "BrokerHeartbeat"
        case .reportLeaders: "ReportLeaders"
        case .metadataChanged: "MetadataChanged"
        case .createTopics: "CreateTopics"
        case .deleteTopics: "DeleteTopics"
        case .createPartitions: "CreatePartitions"
        case .alterConfigs: "AlterConfigs"
        case .allocateProducerIDs: "AllocateProducerIDs"
        case .raftStream: "RaftStream"
        case .reassignPartitions: "ReassignPartitions"
        case .writeTxnMarkers: "WriteTxnMarkers"
        case .addController: "AddController"
        case .removeController: "RemoveController"
        case .describeControllers: "DescribeControllers"
        case .controlledShutdown: "ControlledShutdown"
        }
    }

    /// Whether a request must name the epoch of the controller leader that sends it.
    public var needsControllerEpoch: Bool {
        switch self {
        case .startPartitionRaftGroup, .stopPartitionRaftGroup, .metadataChanged: true
        default: false
        }
    }

    /// Whether a sender that belongs to no cluster yet may ask this.
    ///
    /// A new controller discovers its peers and joins their Raft group before any cluster id is
    /// known to it, and a new broker learns the id from the answer to its registration.
    public var allowsUnknownCluster: Bool {
        switch self {
        case .controllerDiscover, .controllerVerify, .getTopicMetadata, .registerBroker,
            .raftStream:
            true
        default: false
        }
    }

    /// Whether a daemon of `sender`'s role may ask this of a daemon of `receiver`'s role.
    public func isAllowed(from sender: SenderRole, to receiver: SenderRole) -> Bool {
        switch self {
        case .controllerDiscover: true
        case .controllerVerify, .getTopicMetadata, .controlledShutdown: receiver == .controller
        case .startPartitionRaftGroup, .stopPartitionRaftGroup, .metadataChanged:
            sender == .controller && receiver == .broker
        case .registerBroker, .brokerHeartbeat, .reportLeaders, .createTopics, .deleteTopics,
            .createPartitions, .alterConfigs, .allocateProducerIDs, .reassignPartitions,
            .addController, .removeController, .describeControllers:
            sender == .broker && receiver == .controller
        case .raftStream: sender == receiver
        case .writeTxnMarkers: sender == .broker && receiver == .broker
        }
    }
}

/// Which kind of daemon speaks.
public enum SenderRole: String, Codable, Sendable, CaseIterable {
    /// A `brokerd`.
    case broker
    /// A `controllerd`.
    case controller
}
