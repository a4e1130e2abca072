/// A partition that would lose its quorum if a broker stopped.
public struct QuorumAtRisk: Equatable, Sendable {
    /// The partition.
    public let partition: PartitionName
    /// The brokers with its other copies that are away or behind.
    public let missing: [Int32]
}

extension ClusterDescription {
    /// The partitions that have a quorum, lose it with this broker, and will not once all their
    /// copies are up to date again.
    ///
    /// The same question as a broker answers before it stops: partitions without a missing copy
    /// hold nobody up, nor do those of one copy or those that have no quorum already.
    public func partitionsAtRisk(withoutBroker broker: Int32) -> [QuorumAtRisk] {
        topics.flatMap { topic in
            topic.partitions.compactMap { partition -> QuorumAtRisk? in
                let live = partition.inSync.filter { !partition.offline.contains($0) }
                let isAtRisk = Self.losesQuorum(
                    members: partition.replicas,
                    live: live,
                    without: broker
                )
                guard isAtRisk else { return nil }
                return QuorumAtRisk(
                    partition: PartitionName(topic.name, partition.id),
                    missing: partition.replicas.filter { !live.contains($0) }
                )
            }
        }
    }

    /// How many partitions nobody can write to while this broker is away, since it has one of two
    /// copies, or the only one.
    public func thinPartitions(ofBroker broker: Int32) -> Int {
        topics.flatMap(\.partitions).count { partition in
            partition.replicas.count <= 2 && partition.replicas.contains(broker)
        }
    }

    static func losesQuorum(members: [Int32], live: [Int32], without node: Int32) -> Bool {
        let live = members.filter { live.contains($0) }
        guard live.contains(node), live.count < members.count else { return false }
        let quorum = members.count / 2 + 1
        return live.count >= quorum && live.count - 1 < quorum
    }
}

extension QuorumDescription {
    /// The controllers that are away, if their quorum would be lost without this one; else none.
    public func missing(withoutController id: Int32) -> [Int32] {
        let voters = controllers.filter(\.isVoter)
        let live = voters.filter(\.isActive).map(\.id)
        let isAtRisk = ClusterDescription.losesQuorum(
            members: voters.map(\.id),
            live: live,
            without: id
        )
        return isAtRisk ? voters.filter { !$0.isActive }.map(\.id) : []
    }
}
