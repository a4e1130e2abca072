public import KafkaProtocol
public import Model
public import RaftHost

/// What answers the Kafka APIs of consumer groups.
///
/// The folder `Groups/` implements it; the handlers and `Partition` know only this protocol. A
/// request reaches it only after its header was checked; the group's coordinator is looked up by
/// the implementation, which answers 14, 15 or 16 when this broker is not the one.
/// - Thread: the broker's event loop only; `answer` is called there once, perhaps before the call
///   returns, perhaps seconds later.
public protocol GroupCoordinator: AnyObject {
    /// Looks at what is due: sessions, rebalances, expired offsets; called about ten times a
    /// second.
    func tick()
    /// Answers JoinGroup.
    func joinGroup(
        _ request: JoinGroupRequest,
        _ client: GroupClient,
        answer: @escaping (JoinGroupResponse) -> Void
    )
    /// Answers SyncGroup.
    func syncGroup(
        _ request: SyncGroupRequest,
        _ client: GroupClient,
        answer: @escaping (SyncGroupResponse) -> Void
    )
    /// Answers Heartbeat.
    func heartbeat(
        _ request: HeartbeatRequest,
        _ client: GroupClient,
        answer: @escaping (HeartbeatResponse) -> Void
    )
    /// Answers LeaveGroup.
    func leaveGroup(
        _ request: LeaveGroupRequest,
        _ client: GroupClient,
        answer: @escaping (LeaveGroupResponse) -> Void
    )
    /// Answers OffsetCommit.
    func offsetCommit(
        _ request: OffsetCommitRequest,
        _ client: GroupClient,
        answer: @escaping (OffsetCommitResponse) -> Void
    )
    /// Answers OffsetFetch.
    func offsetFetch(
        _ request: OffsetFetchRequest,
        _ client: GroupClient,
        answer: @escaping (OffsetFetchResponse) -> Void
    )
    /// Answers DescribeGroups.
    func describeGroups(
        _ request: DescribeGroupsRequest,
        _ client: GroupClient,
        answer: @escaping (DescribeGroupsResponse) -> Void
    )
    /// Answers ListGroups.
    func listGroups(
        _ request: ListGroupsRequest,
        _ client: GroupClient,
        answer: @escaping (ListGroupsResponse) -> Void
    )

    /// Topics were deleted: what groups have committed for them is of no more use.
    func topicsDeleted(_ topics: [String])

    /// Makes the state of one partition of `__consumer_offsets` that this broker hosts.
    ///
    /// Called once when the replica is set up, before anything is replayed. `log` outlives the
    /// state's use; hold it `unowned` or weakly.
    func makeState(of partition: PartitionID, log: any GroupLogAccess) -> any GroupPartitionState
}

/// Who sent a group request, and in which version of the API.
public struct GroupClient: Sendable {
    /// The version of the API in which the request came, and its answer goes.
    public var apiVersion: Int16
    /// The client id of the request's header; empty if there was none.
    public var clientID: String
    /// The client's address, as Kafka prints it: `/127.0.0.1`.
    public var clientHost: String

    /// Describes a client.
    public init(apiVersion: Int16, clientID: String, clientHost: String) {
        self.apiVersion = apiVersion
        self.clientID = clientID
        self.clientHost = clientHost
    }
}

/// What the groups of one partition of `__consumer_offsets` may ask of its replica.
///
/// - Thread: the broker's event loop.
public protocol GroupLogAccess: AnyObject {
    /// Who leads the partition; only `isConfirmed` leaders coordinate.
    var leadership: Leadership { get }

    /// Appends one whole record batch (built by `RecordBatchBuilder`) and waits for its commit.
    ///
    /// The batch reaches `GroupPartitionState.replay` before `completion` is called with `.done`.
    func append(_ batch: [UInt8], completion: @escaping (ProposalOutcome) -> Void)

    /// Asks a majority whether this replica still leads; see `Replica.readBarrier`.
    func readBarrier(_ completion: @escaping (Bool) -> Void)
}

/// The groups of one partition of `__consumer_offsets`, on every replica of it.
///
/// Followers keep it up to date too, so that a new leader has nothing to load.
/// - Thread: the broker's event loop; calls come in log order.
public protocol GroupPartitionState: AnyObject {
    /// Takes one committed record batch: found on disk at start, or committed since.
    ///
    /// `batch` is the whole Kafka batch, header included.
    func replay(_ batch: [UInt8], baseOffset: Offset)

    /// Learns of a change of role, term or leader, or that the leader is confirmed.
    func leadershipChanged(_ leadership: Leadership)

    /// The replica was stopped; waiting requests are answered with 16, and nothing follows.
    func stopped()
}
