/// The number of a Kafka API.
public enum ApiKey: Int16, Sendable, CaseIterable {
    case produce = 0
    case fetch = 1
    case listOffsets = 2
    case metadata = 3
    case offsetCommit = 8
    case offsetFetch = 9
    case findCoordinator = 10
    case joinGroup = 11
    case heartbeat = 12
    case leaveGroup = 13
    case syncGroup = 14
    case describeGroups = 15
    case listGroups = 16
    case apiVersions = 18
    case createTopics = 19
    case deleteTopics = 20
    case initProducerID = 22
    case describeConfigs = 32
    case alterPartitionReassignments = 45
    case listPartitionReassignments = 46
    case describeQuorum = 55
    case describeCluster = 60
    case addRaftVoter = 80
    case removeRaftVoter = 81
}

/// Which versions of the APIs Martlet speaks: Kafka 2.8's row, less what is absent.
///
/// - Invariant: one coherent release, since clients infer features from the row as a whole.
///   DescribeCluster alone goes one further: kafka-python 3.0 cannot read its version 0. The
///   requests about controllers are Kafka 3.9's, since 2.8 has none; ordinary clients send none.
/// - Source: the ranges that a Kafka 2.8 broker answers.
public enum KafkaVersions {
    /// What ApiVersions answers for an API; nil if it is not served.
    public static func advertised(_ api: ApiKey) -> ClosedRange<Int16>? {
        switch api {
        // Below 3 it is refused when received; librdkafka takes a higher minimum for "no codecs".
        case .produce: 0...9
        default: served(api)
        }
    }

    /// What is answered.
    public static func served(_ api: ApiKey) -> ClosedRange<Int16>? {
        switch api {
        case .produce: ProduceRequest.versions
        case .fetch: FetchRequest.versions
        case .listOffsets: ListOffsetsRequest.versions
        case .metadata: MetadataRequest.versions
        case .offsetCommit: OffsetCommitRequest.versions
        case .offsetFetch: OffsetFetchRequest.versions
        case .findCoordinator: FindCoordinatorRequest.versions
        case .joinGroup: JoinGroupRequest.versions
        case .heartbeat: HeartbeatRequest.versions
        case .leaveGroup: LeaveGroupRequest.versions
        case .syncGroup: SyncGroupRequest.versions
        case .describeGroups: DescribeGroupsRequest.versions
        case .listGroups: ListGroupsRequest.versions
        case .apiVersions: ApiVersionsRequest.versions
        case .createTopics: CreateTopicsRequest.versions
        case .deleteTopics: DeleteTopicsRequest.versions
        case .initProducerID: InitProducerIdRequest.versions
        case .describeConfigs: DescribeConfigsRequest.versions
        case .alterPartitionReassignments: AlterPartitionReassignmentsRequest.versions
        case .listPartitionReassignments: ListPartitionReassignmentsRequest.versions
        case .describeQuorum: DescribeQuorumRequest.versions
        case .describeCluster: DescribeClusterRequest.versions
        case .addRaftVoter: AddRaftVoterRequest.versions
        case .removeRaftVoter: RemoveRaftVoterRequest.versions
        }
    }

    /// The first flexible version of an API (KIP-482).
    public static func firstFlexible(_ api: ApiKey) -> Int16 {
        switch api {
        case .produce, .metadata: 9
        case .fetch: 12
        case .listOffsets, .offsetFetch, .joinGroup: 6
        case .offsetCommit: 8
        case .findCoordinator, .listGroups, .apiVersions: 3
        case .heartbeat, .leaveGroup, .syncGroup, .deleteTopics, .describeConfigs: 4
        case .describeGroups, .createTopics: 5
        case .initProducerID: 2
        case .alterPartitionReassignments, .listPartitionReassignments, .describeCluster,
            .describeQuorum, .addRaftVoter, .removeRaftVoter:
            0
        }
    }
}
