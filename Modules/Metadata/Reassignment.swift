public import Model

/// A change of a partition's replicas that is under way.
///
/// The metadata say where it is to lead; the group's own log says how far it has come.
public struct Reassignment: Codable, Equatable, Sendable {
    /// The version of the command that set the target: under this number the group accepts it.
    ///
    /// A leader that knows an older target than the one its group has accepted changes nothing.
    public var version: MetadataVersion
    /// Where a cancellation goes back to, the preferred leader first.
    public var original: [BrokerID]
    /// The replicas that are to be left, the preferred leader first.
    public var target: [NodeID]
}

/// Where the replicas of a partition are to be.
public struct PartitionReassignment: Codable, Equatable, Sendable {
    /// The partition's group.
    public var group: RaftGroupID
    /// The brokers, the preferred leader first; nil goes back to where the replicas were.
    public var brokers: [BrokerID]?

    /// Describes a reassignment.
    public init(group: RaftGroupID, brokers: [BrokerID]?) {
        self.group = group
        self.brokers = brokers
    }
}

/// The members that a group has committed, as its leader has told.
public struct GroupMembers: Codable, Equatable, Sendable {
    /// The group.
    public var group: RaftGroupID
    /// The target that the group had accepted before it committed these members.
    public var version: MetadataVersion
    /// Who votes.
    public var voters: [NodeID]
    /// Who receives entries without voting.
    public var learners: [NodeID]

    /// Describes a group's members.
    public init(
        group: RaftGroupID,
        version: MetadataVersion,
        voters: [NodeID],
        learners: [NodeID] = []
    ) {
        self.group = group
        self.version = version
        self.voters = voters
        self.learners = learners
    }
}

// MARK: Changes

extension PartitionInfo {
    /// The replica that a broker is to hold: the one it has in this directory, else a new one.
    mutating func place(on broker: BrokerID, _ directory: DirectoryID) -> NodeID {
        newest(on: broker, directory) ?? add(on: broker, directory)
    }

    /// What takes the place of a replica that is lost or damaged.
    ///
    /// A broker that has got back the directory that it once had takes up what lies there.
    mutating func replacement(for lost: ReplicaInfo, _ directory: DirectoryID) -> NodeID {
        if lost.directoryID != directory, let kept = newest(on: lost.broker, directory) {
            return kept
        }
        return add(on: lost.broker, directory)
    }

    private func newest(on broker: BrokerID, _ directory: DirectoryID) -> NodeID? {
        replicas(on: broker).filter { $0.directoryID == directory }.map(\.node).max()
    }

    private mutating func add(on broker: BrokerID, _ directory: DirectoryID) -> NodeID {
        let node = NodeID(broker: broker, incarnation: nextIncarnation)
        nextIncarnation += 1
        replicas.append(ReplicaInfo(node: node, directoryID: directory, joins: true))
        return node
    }

    /// Sets what the replicas are to be; another order alone takes effect at once.
    ///
    /// `before` is what they were to be until now.
    mutating func aim(at target: [NodeID], before: [NodeID], _ version: MetadataVersion) {
        let isSame = target.sorted() == before.sorted()
        if isSame, reassignment == nil {
            replicas = target.compactMap { replica($0) }
        } else if isSame {
            reassignment?.target = target
        } else {
            reassignment = Reassignment(
                version: version,
                original: reassignment?.original ?? before.map(\.broker),
                target: target
            )
        }
    }

    /// Whether it is news what members the group has committed.
    public func learns(from members: GroupMembers) -> Bool {
        var copy = self
        let (removed, isFinished) = copy.settle(members)
        return isFinished || !removed.isEmpty
    }

    /// Takes out the replicas that the group has let go; what became of it.
    mutating func settle(_ members: GroupMembers) -> (removed: [ReplicaInfo], isFinished: Bool) {
        guard let reassignment, reassignment.version == members.version else { return ([], false) }
        let target = reassignment.target
        let removed = removing.filter {
            !members.voters.contains($0.node) && !members.learners.contains($0.node)
        }
        replicas.removeAll { replica in removed.contains { $0.node == replica.node } }
        let isFinished = members.learners.isEmpty && members.voters.sorted() == target.sorted()
        if isFinished {
            replicas = target.compactMap { replica($0) }
            self.reassignment = nil
        }
        for position in replicas.indices {
            // Who founded the group is not known here from now on: a founder that never ran has
            // to learn of the members like everybody else.
            if isFinished || !replicas[position].isStarted {
                replicas[position].joins = !replicas[position].isStarted
            }
        }
        return (removed, isFinished)
    }
}
