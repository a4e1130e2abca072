import InterBroker
import InterBrokerProtocol
import Metadata
import Model

/// An order for one replica: what its broker is to be asked.
struct ReplicaOrder<Request: InterBrokerRequest>: Equatable {
    let replica: ReplicaReference
    let target: InterBrokerTarget
    let request: Request
}

/// What has to be done so that the brokers do what the metadata says.
///
/// A pure function of the metadata and of what brokers have reported; everything is in order of
/// groups and nodes. Brokers that are offline are left alone until they are back.
struct ReconcilePlan: Equatable {
    /// Replicas whose start was never recorded.
    private(set) var starts: [ReplicaOrder<StartPartitionRaftGroupRequest>] = []
    /// Replicas of deleted partitions that have not confirmed, or that run again.
    private(set) var purges: [ReplicaOrder<StopPartitionRaftGroupRequest>] = []
    /// Replicas that run and should not, without a tombstone: stopped, and kept.
    private(set) var unknown: [ReplicaOrder<StopPartitionRaftGroupRequest>] = []
    /// Replicas that run and whose start is not recorded yet.
    private(set) var running: [ReplicaReference] = []
    /// Replicas that were started once and do not run: a person or a later move has to help.
    private(set) var missing: [ReplicaReference] = []

    private var purging: Set<ReplicaReference> = []

    init(_ metadata: ClusterMetadata, report: (BrokerID) -> HostedReport?) {
        var reports: [BrokerID: HostedReport] = [:]
        for broker in metadata.onlineBrokers { reports[broker.id] = report(broker.id) }
        for topic in metadata.topics {
            for info in topic.partitions { plan(topic, info, metadata, reports) }
        }
        for tombstone in metadata.tombstones {
            for node in tombstone.unconfirmed { purge(node, tombstone, metadata) }
        }
        for broker in metadata.onlineBrokers {
            if let report = reports[broker.id] { planUnexpected(broker, report, metadata) }
        }
        starts.sort { $0.replica < $1.replica }
        purges.sort { $0.replica < $1.replica }
        unknown.sort { $0.replica < $1.replica }
        running.sort()
        missing.sort()
    }

    private mutating func plan(
        _ topic: TopicInfo,
        _ info: PartitionInfo,
        _ metadata: ClusterMetadata,
        _ reports: [BrokerID: HostedReport]
    ) {
        for replica in info.replicas {
            guard let broker = metadata.broker(replica.broker), broker.isOnline else { continue }
            let reference = ReplicaReference(group: info.group, node: replica.node)
            let report = reports[broker.id]
            if replica.isStarted {
                // Two lists must lack it: one may have been on its way while the start was.
                if let report, let before = report.before, !report.hosted.holds(reference),
                    !before.holds(reference)
                {
                    missing.append(reference)
                }
            } else if let report, report.hosted.holds(reference) {
                running.append(reference)
            } else if broker.directoryID == replica.directoryID {
                starts.append(start(replica, topic, info, metadata, broker))
            }
        }
    }

    private func start(
        _ replica: ReplicaInfo,
        _ topic: TopicInfo,
        _ info: PartitionInfo,
        _ metadata: ClusterMetadata,
        _ broker: BrokerInfo
    ) -> ReplicaOrder<StartPartitionRaftGroupRequest> {
        let members = info.replicas.map { member in
            (node: member.node, address: metadata.broker(member.broker)?.peerAddress ?? "")
        }
        return ReplicaOrder(
            replica: ReplicaReference(group: info.group, node: replica.node),
            target: InterBrokerTarget(id: broker.id.rawValue, address: broker.peerAddress),
            request: StartPartitionRaftGroupRequest(
                raftGroupID: info.group,
                topicID: topic.topicID,
                topicName: topic.name.text,
                partitionID: info.partition,
                nodeMembers: StartPartitionRaftGroupRequest.nodeMembers(members),
                join: false,
                directoryID: replica.directoryID
            )
        )
    }

    private mutating func purge(
        _ node: NodeID,
        _ tombstone: Tombstone,
        _ metadata: ClusterMetadata
    ) {
        guard let broker = metadata.broker(node.broker), broker.isOnline else { return }
        let reference = ReplicaReference(group: tombstone.group, node: node)
        guard purging.insert(reference).inserted else { return }
        purges.append(
            ReplicaOrder(
                replica: reference,
                target: InterBrokerTarget(id: broker.id.rawValue, address: broker.peerAddress),
                request: StopPartitionRaftGroupRequest(
                    raftGroupID: tombstone.group,
                    topicID: tombstone.topicID,
                    topicName: tombstone.topic.text,
                    partitionID: tombstone.partition,
                    purge: true
                )
            )
        )
    }

    /// Looks for replicas that a broker hosts and that the metadata does not place there.
    private mutating func planUnexpected(
        _ broker: BrokerInfo,
        _ report: HostedReport,
        _ metadata: ClusterMetadata
    ) {
        for reference in report.hosted {
            if let tombstone = metadata.tombstone(reference.group) {
                // Also a replica that has confirmed already: its data is there again.
                if !tombstone.unconfirmed.contains(reference.node) {
                    purge(reference.node, tombstone, metadata)
                }
                continue
            }
            let partition = metadata.partition(reference.group)
            if partition?.info.replica(on: broker.id)?.node == reference.node { continue }
            // Two lists must hold it: one may have been on its way while it was deleted.
            guard let before = report.before, before.holds(reference) else { continue }
            stopUnknown(reference, broker, partition)
        }
    }

    private mutating func stopUnknown(
        _ reference: ReplicaReference,
        _ broker: BrokerInfo,
        _ partition: HostedPartition?
    ) {
        unknown.append(
            ReplicaOrder(
                replica: reference,
                target: InterBrokerTarget(id: broker.id.rawValue, address: broker.peerAddress),
                request: StopPartitionRaftGroupRequest(
                    raftGroupID: reference.group,
                    topicID: partition?.topicID ?? TopicID(.zero),
                    topicName: partition?.topic.text ?? Self.unknownTopicName,
                    partitionID: partition?.info.partition ?? 0,
                    purge: false
                )
            )
        )
    }

    /// Stands in a request about a group of which only the number is known.
    static let unknownTopicName = "unknown"
}

extension [ReplicaReference] {
    /// Whether a sorted list holds a reference.
    fileprivate func holds(_ reference: ReplicaReference) -> Bool {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if self[middle] < reference { low = middle + 1 } else { high = middle }
        }
        return low < count && self[low] == reference
    }
}
