public import Model

/// Asks who answers at an address, and which cluster and leader it knows.
public struct ControllerDiscoverRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = ControllerDiscoverResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.controllerDiscover

    /// The only value: nothing is asked or said beyond the type.
    public init() {}
}

/// What a daemon knows of the controllers.
public struct ControllerDiscoverResponse: Codable, Equatable, Sendable {
    /// The controller that answers; nil if a broker does.
    public var controllerID: ControllerID?
    /// Its cluster, or nil for "no cluster".
    public var clusterID: ClusterID?
    /// The controller that leads, as far as it knows.
    public var leaderID: ControllerID?
    /// The leader's peer address.
    public var leaderAddress: String?
    /// The newest leader's epoch that it has seen; 0 if none.
    public var epoch: ControllerEpoch
    /// The controllers: number in decimal to peer address.
    public var members: [String: String]
    /// The controllers that have ever held entries of the cluster; nil if the sender holds none.
    public var joined: [ControllerID]?
    /// The data directory of the controller that answers.
    public var directoryID: DirectoryID?
    /// Its replica of the controllers' group; nil if its directory holds none.
    public var nodeID: NodeID?
    /// The replicas of the controllers' group; empty if the sender knows none.
    public var replicas: [ControllerPlace]
    /// The newest incarnation that each controller ever had: number in decimal to incarnation.
    public var incarnations: [String: UInt32]

    /// Makes one of its fields.
    public init(
        controllerID: ControllerID? = nil,
        clusterID: ClusterID? = nil,
        leaderID: ControllerID? = nil,
        leaderAddress: String? = nil,
        epoch: ControllerEpoch = 0,
        members: [String: String] = [:],
        joined: [ControllerID]? = nil,
        directoryID: DirectoryID? = nil,
        nodeID: NodeID? = nil,
        replicas: [ControllerPlace] = [],
        incarnations: [String: UInt32] = [:]
    ) {
        self.controllerID = controllerID
        self.clusterID = clusterID
        self.leaderID = leaderID
        self.leaderAddress = leaderAddress
        self.epoch = epoch
        self.members = members
        self.joined = joined
        self.directoryID = directoryID
        self.nodeID = nodeID
        self.replicas = replicas
        self.incarnations = incarnations
    }

    private enum CodingKeys: String, CodingKey {
        case controllerID = "controller_id"
        case clusterID = "cluster_id"
        case leaderID = "leader_id"
        case leaderAddress = "leader_address"
        case epoch
        case members
        case joined
        case directoryID = "directory_id"
        case nodeID = "node_id"
        case replicas
        case incarnations
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        controllerID = try fields.decodeIfPresent(ControllerID.self, forKey: .controllerID)
        clusterID = try fields.decodeIfPresent(ClusterID.self, forKey: .clusterID)
        leaderID = try fields.decodeIfPresent(ControllerID.self, forKey: .leaderID)
        leaderAddress = try fields.decodeIfPresent(String.self, forKey: .leaderAddress)
        epoch = try fields.decodeIfPresent(ControllerEpoch.self, forKey: .epoch) ?? 0
        members = try fields.decodeIfPresent([String: String].self, forKey: .members) ?? [:]
        joined = try fields.decodeIfPresent([ControllerID].self, forKey: .joined)
        directoryID = try fields.decodeIfPresent(DirectoryID.self, forKey: .directoryID)
        nodeID = try fields.decodeIfPresent(NodeID.self, forKey: .nodeID)
        replicas = try fields.decodeIfPresent([ControllerPlace].self, forKey: .replicas) ?? []
        incarnations =
            try fields.decodeIfPresent([String: UInt32].self, forKey: .incarnations) ?? [:]
    }
}

/// Where a replica of the controllers' group lies.
public struct ControllerPlace: Codable, Equatable, Sendable {
    /// The replica.
    public var node: NodeID
    /// The data directory that it belongs into; nil for a founder.
    public var directoryID: DirectoryID?
    /// Its peer address.
    public var address: String
    /// Whether it is to leave the group.
    public var isLeaving: Bool

    /// Makes one of its fields.
    public init(
        node: NodeID,
        directoryID: DirectoryID? = nil,
        address: String,
        isLeaving: Bool = false
    ) {
        self.node = node
        self.directoryID = directoryID
        self.address = address
        self.isLeaving = isLeaving
    }

    private enum CodingKeys: String, CodingKey {
        case node = "node_id"
        case directoryID = "directory_id"
        case address
        case isLeaving = "leaving"
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        node = try fields.decode(NodeID.self, forKey: .node)
        directoryID = try fields.decodeIfPresent(DirectoryID.self, forKey: .directoryID)
        address = try fields.decode(String.self, forKey: .address)
        isLeaving = try fields.decodeIfPresent(Bool.self, forKey: .isLeaving) ?? false
    }
}

/// Asks a controller whether it is a member of the cluster and leads it.
public struct ControllerVerifyRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = ControllerVerifyResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.controllerVerify

    /// The only value: nothing is asked or said beyond the type.
    public init() {}
}

/// What a controller says of itself.
public struct ControllerVerifyResponse: Codable, Equatable, Sendable {
    /// The controller that answers.
    public var controllerID: ControllerID
    /// Its cluster, or nil for "no cluster".
    public var clusterID: ClusterID?
    /// Whether it leads, confirmed by a majority.
    public var isLeader: Bool
    /// The newest epoch that it has seen.
    public var epoch: ControllerEpoch

    /// Makes one of its fields.
    public init(
        controllerID: ControllerID,
        clusterID: ClusterID? = nil,
        isLeader: Bool,
        epoch: ControllerEpoch
    ) {
        self.controllerID = controllerID
        self.clusterID = clusterID
        self.isLeader = isLeader
        self.epoch = epoch
    }

    private enum CodingKeys: String, CodingKey {
        case controllerID = "controller_id"
        case clusterID = "cluster_id"
        case isLeader = "is_leader"
        case epoch
    }
}
