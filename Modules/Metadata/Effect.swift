public import Model

/// What a command changed, for those who act on changes.
public enum Effect: Equatable, Sendable {
    /// The cluster has its identity now.
    case clusterNamed(ClusterID)
    /// The feature level was raised.
    case featureLevelRaised(Int)
    /// A controller's log holds entries of the cluster from now on.
    case controllerJoined(ControllerID)
    /// The controllers with which the cluster began are recorded.
    case controllersFounded
    /// A controller is to join the group as this replica.
    case controllerPlaced(ControllerReplica)
    /// A controller is reached at another address from now on, or its directory is known now.
    case controllerMoved(ControllerReplica)
    /// A controller has all entries and votes from now on.
    case controllerVotes(ControllerReplica)
    /// A controller is to leave the group.
    case controllerLeaving(ControllerID)
    /// A replica is no member of the controllers' group any more.
    case controllerRemoved(ControllerReplica)
    /// A broker registered; `isNewRun` unless it only repeated itself.
    case brokerRegistered(BrokerID, isNewRun: Bool)
    /// A broker counts as online from now on.
    case brokerOnline(BrokerID)
    /// A broker counts as offline from now on.
    case brokerOffline(BrokerID)
    /// A topic exists from now on.
    case topicCreated(TopicName, TopicID)
    /// A topic has more partitions from now on; the number of the first new one.
    case partitionsCreated(TopicName, TopicID, first: PartitionID)
    /// A topic is gone; the value as it was.
    case topicDeleted(TopicInfo)
    /// A topic is configured otherwise from now on.
    case topicConfigured(TopicName, TopicID)
    /// These replicas count as started from now on.
    case replicasStarted([ReplicaReference])
    /// These replicas' deletion is confirmed.
    case replicasPurged([ReplicaReference])
    /// A partition's replicas are to be others, or in another order, from now on.
    case reassignmentChanged(RaftGroupID)
    /// A partition's replicas are where they were to be.
    case reassignmentFinished(RaftGroupID)
    /// A replica is lost or damaged, and another one on the same broker takes its place.
    case replicaReplaced(ReplicaReference, by: NodeID)
    /// These replicas are members of their groups no more.
    case replicasRemoved([ReplicaReference])
    /// Every replica that a group has lost or left behind has confirmed: its tombstone is gone.
    case tombstoneRemoved(RaftGroupID)
    /// Somebody may use these producer ids.
    case producerIDsAllocated(first: Int64, count: Int32)
    /// The command did not fit any more and changed nothing.
    case refused(MetadataRefusal)
}

/// Why a command changed nothing.
public enum MetadataRefusal: Equatable, Sendable, CustomStringConvertible {
    /// The cluster has another identity already.
    case clusterIDDiffers(ClusterID)
    /// The feature level is at least this high already.
    case featureLevelNotAbove(Int)
    /// The founders are not recorded yet.
    case controllersUnknown
    /// The controller's directory holds a replica that has been removed.
    case controllerReplicaUnknown(NodeID)
    /// There are as many controllers as there may be.
    case tooManyControllers
    /// No other controller votes.
    case lastController(ControllerID)
    /// No such broker has registered.
    case unknownBroker(BrokerID)
    /// The broker has registered again since, or is in that state already.
    case staleBrokerRun(BrokerID)
    /// The name is no topic name.
    case invalidTopicName(String)
    /// A topic of this name exists.
    case topicExists(TopicName)
    /// No such topic exists.
    case unknownTopic(TopicID)
    /// A topic of this identity exists or existed.
    case topicIDUsed(TopicID)
    /// The assignments name no broker, or one twice for a partition.
    case invalidAssignment
    /// The topic has another number of partitions by now.
    case partitionCountDiffers(Int)
    /// No such group holds a partition.
    case unknownGroup(RaftGroupID)
    /// The partition has no reassignment under way that could be cancelled.
    case notReassigned(RaftGroupID)
    /// The number of producer ids is below 1, or none are left.
    case invalidProducerIDCount(Int32)

    /// A sentence for the log.
    public var description: String {
        switch self {
        case .clusterIDDiffers(let id): "the cluster is \(id)"
        case .featureLevelNotAbove(let level): "the feature level is \(level) already"
        case .controllersUnknown: "the controllers are not recorded yet"
        case .controllerReplicaUnknown(let node):
            """
            controller \(node.owner) holds the data of a member that was removed (incarnation \
            \(node.incarnation)): stop it, empty its data directory and start it again
            """
        case .tooManyControllers:
            "there are \(ClusterMetadata.controllersMax) controllers, and there cannot be more"
        case .lastController(let id):
            "controller \(id) cannot go: no other controller has the cluster's metadata"
        case .unknownBroker(let broker): "unknown broker \(broker)"
        case .staleBrokerRun(let broker): "broker \(broker) has registered again since"
        case .invalidTopicName(let name): "invalid topic name \(name)"
        case .topicExists(let name): "Topic '\(name)' already exists."
        case .unknownTopic(let id): "unknown topic \(id)"
        case .topicIDUsed(let id): "topic id \(id) is used already"
        case .invalidAssignment: "invalid assignment of replicas"
        case .partitionCountDiffers(let count): "the topic has \(count) partitions"
        case .unknownGroup(let group): "unknown Raft group \(group)"
        case .notReassigned: "no reassignment is in progress"
        case .invalidProducerIDCount(let count): "invalid number of producer ids: \(count)"
        }
    }
}
