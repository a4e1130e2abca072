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
    /// XXH64 over the sorted (group, node) pairs that it hosts, in hexadecimal.
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

    /// Makes one of its fields.
    public init(group: RaftGroupID, node: NodeID) {
        self.group = group
        self.node = node
    }

    private enum CodingKeys: String, CodingKey {
        case group
        case node
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

/// Tells which replicas of a broker have become leaders, or that they lead still.
public struct ReportLeadersRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = ReportLeadersResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.reportLeaders

    /// This run of the broker's process.
    public var session: SessionID
    /// The replicas that lead.
    public var leaders: [LeaderReport]

    /// Makes one of its fields.
    public init(session: SessionID, leaders: [LeaderReport]) {
        self.session = session
        self.leaders = leaders
    }

    private enum CodingKeys: String, CodingKey {
        case session
        case leaders
    }
}

/// The reports were taken.
public struct ReportLeadersResponse: Codable, Equatable, Sendable {
    /// The only value: nothing is asked or said beyond the type.
    public init() {}
}
