public import Model

/// A replica of the controllers' own group: which it is, where it lies and where it is reached.
public struct ControllerReplica: Codable, Equatable, Sendable {
    /// How far it has come.
    public enum State: String, Codable, Sendable {
        /// It is to be filled, and then to vote.
        case joining
        /// It votes.
        case voting
        /// It is to leave the group.
        case leaving
    }

    /// Its number in the group, which is never given to another one.
    public var node: NodeID
    /// The data directory that it lies in; nil for a founder, which nobody has asked.
    public var directoryID: DirectoryID?
    /// Where brokers and controllers reach it: `host:port`.
    public var address: String
    /// How far it has come.
    public var state: State

    /// Describes a replica.
    public init(node: NodeID, directoryID: DirectoryID?, address: String, state: State) {
        self.node = node
        self.directoryID = directoryID
        self.address = address
        self.state = state
    }

    /// The controller that it belongs to.
    public var id: ControllerID { ControllerID(node.owner) }

    private enum CodingKeys: String, CodingKey {
        case node
        case directoryID = "directory_id"
        case address
        case state
    }
}

/// The newest incarnation that a controller was given; the next one is one more.
public struct ControllerIncarnation: Codable, Equatable, Sendable {
    /// The controller.
    public var id: ControllerID
    /// Its newest replica's incarnation.
    public var last: UInt32
}

/// A controller that is to belong to the group, as it was found at its address.
public struct ControllerPlacement: Codable, Equatable, Sendable {
    /// The controller.
    public var id: ControllerID
    /// The replica that it runs already; nil if its directory holds none.
    public var node: NodeID?
    /// Its data directory.
    public var directoryID: DirectoryID
    /// Where it is reached.
    public var address: String

    /// Describes a controller.
    public init(id: ControllerID, node: NodeID?, directoryID: DirectoryID, address: String) {
        self.id = id
        self.node = node
        self.directoryID = directoryID
        self.address = address
    }

    private enum CodingKeys: String, CodingKey {
        case id
        case node
        case directoryID = "directory_id"
        case address
    }
}

/// The members of the controllers' group, as its leader has found them committed.
public struct ControllerMembers: Codable, Equatable, Sendable {
    /// Who votes.
    public var voters: [NodeID]
    /// Who receives entries without voting.
    public var learners: [NodeID]

    /// Describes the members.
    public init(voters: [NodeID], learners: [NodeID] = []) {
        self.voters = voters
        self.learners = learners
    }
}

// MARK: Changes

extension ClusterMetadata {
    /// How many controllers there may be while some come and others go; 7.
    public static let controllersMax = 7

    /// The replicas that a controller has or had lately, in order.
    public func controllerReplicas(of id: ControllerID) -> [ControllerReplica] {
        controllerReplicas.filter { $0.id == id }
    }

    mutating func found(_ founders: [ControllerReplica]) -> [Effect] {
        guard controllerReplicas.isEmpty, !founders.isEmpty else { return [] }
        controllerReplicas = founders.sorted { $0.node < $1.node }
        for founder in controllerReplicas { note(founder.node) }
        return [.controllersFounded]
    }

    /// Gives a controller a place, or the one it has already; what else it had has to go.
    mutating func place(_ placement: ControllerPlacement) -> [Effect] {
        guard !controllerReplicas.isEmpty else { return [.refused(.controllersUnknown)] }
        let known = controllerReplicas.firstIndex { replica in
            replica.id == placement.id && replica.state != .leaving
                && (replica.node == placement.node || replica.directoryID == placement.directoryID)
        }
        if let known { return renew(known, placement) }
        // A replica that nobody knows is one that has been removed: it would never be filled.
        if let node = placement.node { return [.refused(.controllerReplicaUnknown(node))] }
        let others = controllerReplicas.filter { $0.id != placement.id && $0.state != .leaving }
        // Of each controller, one replica at most does not leave.
        guard others.count < Self.controllersMax else {
            return [.refused(.tooManyControllers)]
        }
        guard others.contains(where: { $0.state == .voting }) else {
            return [.refused(.lastController(placement.id))]
        }
        for position in controllerReplicas.indices
        where controllerReplicas[position].id == placement.id {
            controllerReplicas[position].state = .leaving
        }
        let last = controllerIncarnations.first { $0.id == placement.id }?.last ?? 0
        let replica = ControllerReplica(
            node: NodeID(owner: placement.id.rawValue, incarnation: last + 1),
            directoryID: placement.directoryID,
            address: placement.address,
            state: .joining
        )
        controllerReplicas.append(replica)
        controllerReplicas.sort { $0.node < $1.node }
        note(replica.node)
        return [.controllerPlaced(replica)]
    }

    private mutating func renew(_ position: Int, _ placement: ControllerPlacement) -> [Effect] {
        var replica = controllerReplicas[position]
        replica.directoryID = placement.directoryID
        replica.address = placement.address
        guard replica != controllerReplicas[position] else { return [] }
        controllerReplicas[position] = replica
        return [.controllerMoved(replica)]
    }

    /// Lets every replica of a controller leave the group.
    mutating func remove(_ id: ControllerID) -> [Effect] {
        let positions = controllerReplicas.indices.filter {
            controllerReplicas[$0].id == id && controllerReplicas[$0].state != .leaving
        }
        guard !positions.isEmpty else { return [] }
        let stays = controllerReplicas.contains { $0.id != id && $0.state == .voting }
        guard stays else { return [.refused(.lastController(id))] }
        for position in positions { controllerReplicas[position].state = .leaving }
        return [.controllerLeaving(id)]
    }

    /// Takes what the group has committed.
    mutating func settle(_ members: ControllerMembers) -> [Effect] {
        var effects: [Effect] = []
        let all = members.voters + members.learners
        for position in controllerReplicas.indices {
            let replica = controllerReplicas[position]
            guard replica.state == .joining, members.voters.contains(replica.node) else { continue }
            controllerReplicas[position].state = .voting
            effects.append(.controllerVotes(controllerReplicas[position]))
        }
        for replica in controllerReplicas
        where replica.state == .leaving && !all.contains(replica.node) {
            effects.append(.controllerRemoved(replica))
        }
        controllerReplicas.removeAll { $0.state == .leaving && !all.contains($0.node) }
        return effects
    }

    private mutating func note(_ node: NodeID) {
        let id = ControllerID(node.owner)
        let position = controllerIncarnations.firstPosition { $0.id >= id }
        let known = ControllerIncarnation(id: id, last: node.incarnation)
        if position < controllerIncarnations.count, controllerIncarnations[position].id == id {
            controllerIncarnations[position] = known
        } else {
            controllerIncarnations.insert(known, at: position)
        }
    }
}
