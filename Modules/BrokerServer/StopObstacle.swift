import Metadata
import Model
import NIOCore
import Raft
import RaftHost
import RaftLog

extension Broker {
    /// What speaks against stopping now, for an operator; nil when nothing does.
    ///
    /// That is a partition whose live replicas would lose the quorum that they have now, and would
    /// keep it if those who are away were back. Who lives is known from the metadata, and where
    /// the leader is here, from it too.
    public var stopObstacle: String? {
        eventLoop.preconditionInEventLoop()
        var names: [String] = []
        var count = 0
        var away: Set<BrokerID> = []
        for partition in table.all {
            guard let replica = partition.replica, !replica.isSuspect else { continue }
            let missed = replica.configuration.votersMissed(whenStopping: replica.nodeID) {
                isLive($0, in: partition, replica)
            }
            guard !missed.isEmpty else { continue }
            count += 1
            away.formUnion(missed.map(\.broker))
            if names.count < Self.namesMax { names.append("\(partition.topic)-\(partition.id)") }
        }
        guard count > 0 else { return nil }
        if count > names.count { names.append("...") }
        let brokers = away.map(\.rawValue).sorted().map { "\($0)" }.joined(separator: ", ")
        return """
            without this broker \(count == 1 ? "1 partition" : "\(count) partitions") would \
            lose the quorum while broker \(brokers) is away: \(names.joined(separator: ", "))
            """
    }

    /// Whether a partition here has other members that need a majority: two copies have none to
    /// lose, whoever stops.
    public var isNeededByOthers: Bool {
        table.all.contains { ($0.replica?.configuration.voters.count ?? 0) > 2 }
    }

    private static let namesMax = 3

    private func isLive(_ node: NodeID, in partition: Partition, _ replica: Replica) -> Bool {
        // Each is late in its own way: who has fallen silent still answers for a while to the
        // leader's mind, and who is back is online before it has caught up with its leader.
        if let progress = replica.progress(of: node), !progress.isActive { return false }
        let info = metadata.partition(of: partition.identity.group)
        let known = info?.replicas.first { $0.node == node }
        return known.map { metadata.isAt($0) } ?? metadata.isOnline(node.broker)
    }
}
