public import Model

/// A partition: the Raft group that holds it, and where the group's replicas lie.
public struct PartitionInfo: Codable, Equatable, Sendable {
    /// Its number in its topic.
    public var partition: PartitionID
    /// The Raft group; never used for anything else.
    public var group: RaftGroupID
    /// Every replica that is or may become a member of the group; without a reassignment the
    /// preferred leader first.
    ///
    /// - Invariant: never empty; one per broker, but for one that replaces another there.
    public var replicas: [ReplicaInfo]
    /// The incarnation of the replica that is placed next.
    public var nextIncarnation: UInt32
    /// The change of replicas that is under way.
    public var reassignment: Reassignment?

    private enum CodingKeys: String, CodingKey {
        case partition
        case group
        case replicas
        case nextIncarnation = "next_incarnation"
        case reassignment
    }
}

extension PartitionInfo {
    /// The replicas that are left when nothing is under way any more, the preferred leader first.
    public var desired: [ReplicaInfo] {
        guard let reassignment else { return replicas }
        return reassignment.target.compactMap { replica($0) }
    }

    /// The desired replicas that were not members when the reassignment began.
    public var adding: [ReplicaInfo] {
        reassignment == nil ? [] : desired.filter(\.joins)
    }

    /// The replicas that are to go.
    public var removing: [ReplicaInfo] {
        guard let reassignment else { return [] }
        return replicas.filter { !reassignment.target.contains($0.node) }
    }

    /// The replica that is to lead when nothing else speaks against it.
    public var preferredLeader: NodeID { desired[0].node }

    /// The replica with this number, if the partition has it.
    public func replica(_ node: NodeID) -> ReplicaInfo? { replicas.first { $0.node == node } }

    /// The replicas on `broker`: one, or a second one that replaces it.
    public func replicas(on broker: BrokerID) -> [ReplicaInfo] {
        replicas.filter { $0.broker == broker }
    }

    /// The brokers that hold replicas or are to hold some, each once.
    public var brokers: [BrokerID] {
        var brokers: [BrokerID] = []
        for replica in replicas where !brokers.contains(replica.broker) {
            brokers.append(replica.broker)
        }
        return brokers
    }

    /// Whether a node was once a replica here and is none any more.
    ///
    /// A replica leaves the list only when the group has committed that it is no member, and its
    /// number is never given again.
    public func wasRemoved(_ node: NodeID) -> Bool {
        node.incarnation < nextIncarnation && replica(node) == nil
    }

    /// What breaks an invariant, in bytes that came from outside.
    var disorder: String? {
        let nodes = replicas.map(\.node)
        guard !nodes.isEmpty, Set(nodes).count == nodes.count else { return "replicas" }
        guard let reassignment else { return nil }
        let target = reassignment.target
        guard !target.isEmpty, Set(target).count == target.count,
            target.allSatisfy({ nodes.contains($0) })
        else { return "target" }
        return nil
    }
}

/// One replica of a partition.
public struct ReplicaInfo: Equatable, Sendable {
    /// The replica's number in its Raft group.
    public var node: NodeID
    /// The data directory that it was placed in.
    public var directoryID: DirectoryID
    /// Whether its start was ever confirmed; from then on it is never started with `join=false`.
    public var isStarted: Bool
    /// Whether it comes to a group that exists already, and is started with `join=true`; until the
    /// reassignment that brings it is finished.
    public var joins: Bool

    init(node: NodeID, directoryID: DirectoryID, isStarted: Bool = false, joins: Bool = false) {
        self.node = node
        self.directoryID = directoryID
        self.isStarted = isStarted
        self.joins = joins
    }

    /// The broker that holds it.
    public var broker: BrokerID { node.broker }
}

extension ReplicaInfo: Codable {
    private enum CodingKeys: String, CodingKey {
        case node
        case directoryID = "directory_id"
        case isStarted = "started"
        case joins
    }

    /// Reads a replica; one without `joins` was written before there were reassignments.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        node = try fields.decode(NodeID.self, forKey: .node)
        directoryID = try fields.decode(DirectoryID.self, forKey: .directoryID)
        isStarted = try fields.decode(Bool.self, forKey: .isStarted)
        joins = try fields.decodeIfPresent(Bool.self, forKey: .joins) ?? false
    }

    /// Writes a replica.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: CodingKeys.self)
        try fields.encode(node, forKey: .node)
        try fields.encode(directoryID, forKey: .directoryID)
        try fields.encode(isStarted, forKey: .isStarted)
        if joins { try fields.encode(joins, forKey: .joins) }
    }
}
