public import Model

/// Makes a broker known, once per start of its process.
public struct RegisterBrokerRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = RegisterBrokerResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.registerBroker

    /// The host name that clients are given.
    public var clientHost: String
    /// The port that clients are given.
    public var clientPort: Int32
    /// Where the broker listens for its peers.
    public var peerAddress: String
    /// The data directory that it has.
    public var directoryID: DirectoryID
    /// This run of the broker's process.
    public var session: SessionID
    /// Where it stands, if told.
    public var rack: String?

    /// Makes one of its fields.
    public init(
        clientHost: String,
        clientPort: Int32,
        peerAddress: String,
        directoryID: DirectoryID,
        session: SessionID,
        rack: String? = nil
    ) {
        self.clientHost = clientHost
        self.clientPort = clientPort
        self.peerAddress = peerAddress
        self.directoryID = directoryID
        self.session = session
        self.rack = rack
    }

    private enum CodingKeys: String, CodingKey {
        case clientHost = "client_host"
        case clientPort = "client_port"
        case peerAddress = "peer_address"
        case directoryID = "directory_id"
        case session
        case rack
    }
}

/// The broker is registered.
public struct RegisterBrokerResponse: Codable, Equatable, Sendable {
    /// The cluster that it belongs to from now on.
    public var clusterID: ClusterID
    /// The epoch of the leader that answers.
    public var epoch: ControllerEpoch
    /// The version with which the registration is committed.
    public var metadataVersion: MetadataVersion

    /// Makes one of its fields.
    public init(
        clusterID: ClusterID,
        epoch: ControllerEpoch,
        metadataVersion: MetadataVersion
    ) {
        self.clusterID = clusterID
        self.epoch = epoch
        self.metadataVersion = metadataVersion
    }

    private enum CodingKeys: String, CodingKey {
        case clusterID = "cluster_id"
        case epoch
        case metadataVersion = "metadata_version"
    }
}

/// Shows that a broker is alive.
public struct BrokerHeartbeatRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = BrokerHeartbeatResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.brokerHeartbeat

    /// This run of the broker's process.
    public var session: SessionID
    /// The version that the broker has applied.
    public var metadataVersion: MetadataVersion
    /// XXH64 over the sorted (group, node) pairs that it hosts and trusts, in hexadecimal.
    public var digest: String
    /// All pairs, if the last answer wanted them.
    public var groups: [HostedReplica]?
    /// Whether this is the last one: the broker stops, and nobody need wait to miss it.
    public var isLeaving: Bool?

    /// Makes one of its fields.
    public init(
        session: SessionID,
        metadataVersion: MetadataVersion,
        digest: String,
        groups: [HostedReplica]? = nil,
        isLeaving: Bool? = nil
    ) {
        self.session = session
        self.metadataVersion = metadataVersion
        self.digest = digest
        self.groups = groups
        self.isLeaving = isLeaving
    }

    private enum CodingKeys: String, CodingKey {
        case session
        case metadataVersion = "metadata_version"
        case digest
        case groups
        case isLeaving = "leaving"
    }
}

/// A replica that a broker hosts.
public struct HostedReplica: Codable, Equatable, Sendable {
    /// The group.
    public var group: RaftGroupID
    /// The replica.
    public var node: NodeID
    /// Whether its data are known to be damaged: it neither votes nor acknowledges.
    public var isSuspect: Bool

    /// Makes one of its fields.
    public init(group: RaftGroupID, node: NodeID, isSuspect: Bool = false) {
        self.group = group
        self.node = node
        self.isSuspect = isSuspect
    }

    private enum CodingKeys: String, CodingKey {
        case group
        case node
        case isSuspect = "suspect"
    }

    /// Reads the fields; one with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        group = try fields.decode(RaftGroupID.self, forKey: .group)
        node = try fields.decode(NodeID.self, forKey: .node)
        isSuspect = try fields.decodeIfPresent(Bool.self, forKey: .isSuspect) ?? false
    }

    /// Writes the fields; of a healthy replica, of which there are many, only two.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(group, forKey: .group)
        try fields.encode(node, forKey: .node)
        if isSuspect { try fields.encode(isSuspect, forKey: .isSuspect) }
    }
}

/// The heartbeat counted.
public struct BrokerHeartbeatResponse: Codable, Equatable, Sendable {
    /// Whether the next heartbeat is to hold all pairs.
    public var wantGroups: Bool
    /// The version of the controller leader.
    public var metadataVersion: MetadataVersion

    /// Makes one of its fields.
    public init(wantGroups: Bool, metadataVersion: MetadataVersion) {
        self.wantGroups = wantGroups
        self.metadataVersion = metadataVersion
    }

    private enum CodingKeys: String, CodingKey {
        case wantGroups = "want_groups"
        case metadataVersion = "metadata_version"
    }
}

/// Tells which replicas of a broker have become leaders, or that they lead still, and how far
/// reassignments have come.
public struct ReportLeadersRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = ReportLeadersResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.reportLeaders

    /// This run of the broker's process.
    public var session: SessionID
    /// The replicas that lead.
    public var leaders: [LeaderReport]
    /// The members of groups that are led here and have a reassignment under way.
    public var members: [MembersReport]

    /// Makes one of its fields.
    public init(session: SessionID, leaders: [LeaderReport], members: [MembersReport] = []) {
        self.session = session
        self.leaders = leaders
        self.members = members
    }

    private enum CodingKeys: String, CodingKey {
        case session
        case leaders
        case members
    }

    /// Reads the fields; one with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        session = try fields.decode(SessionID.self, forKey: .session)
        leaders = try fields.decode([LeaderReport].self, forKey: .leaders)
        members = try fields.decodeIfPresent([MembersReport].self, forKey: .members) ?? []
    }
}

/// The members that a group has committed, outside of any joint configuration.
public struct MembersReport: Codable, Equatable, Sendable {
    /// The group.
    public var group: RaftGroupID
    /// The target, by its version, that the group had accepted before it committed them.
    public var targetVersion: MetadataVersion
    /// Who votes.
    public var voters: [NodeID]
    /// Who receives entries without voting.
    public var learners: [NodeID]

    /// Makes one of its fields.
    public init(
        group: RaftGroupID,
        targetVersion: MetadataVersion,
        voters: [NodeID],
        learners: [NodeID]
    ) {
        self.group = group
        self.targetVersion = targetVersion
        self.voters = voters
        self.learners = learners
    }

    private enum CodingKeys: String, CodingKey {
        case group
        case targetVersion = "target_version"
        case voters
        case learners
    }
}

/// The reports were taken.
public struct ReportLeadersResponse: Codable, Equatable, Sendable {
    /// The only value: nothing is asked or said beyond the type.
    public init() {}
}
