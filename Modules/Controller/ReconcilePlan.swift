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
    /// Replicas that are members of nothing any more and have not confirmed, or that run again.
    private(set) var purges: [ReplicaOrder<StopPartitionRaftGroupRequest>] = []
    /// Replicas that run and should not, without a tombstone: stopped, and kept.
    private(set) var unknown: [ReplicaOrder<StopPartitionRaftGroupRequest>] = []
    /// Replicas that run and whose start is not recorded yet.
    private(set) var running: [ReplicaReference] = []
    /// Replicas that were started once and do not run: a person or a later move has to help.
    private(set) var missing: [ReplicaReference] = []
    /// Replicas whose directory is gone or whose data are damaged: others have to take their place.
    private(set) var lost: [ReplicaReference] = []

    private var purging: Set<ReplicaReference> = []

    init(_ metadata: ClusterMetadata, report: (BrokerID) -> HostedReport?) {
        var reports: [BrokerID: HostedReport] = [:]
        for broker in metadata.onlineBrokers { reports[broker.id] = report(broker.id) }
        for topic in metadata.topics {
            for info in topic.partitions { plan(topic, info, metadata, reports) }
        }
        for tombstone in metadata.tombstones {
            for node in tombstone.unconfirmed { purge(node, Place(tombstone), metadata) }
        }
        for broker in metadata.onlineBrokers {
            if let report = reports[broker.id] { planUnexpected(broker, report, metadata) }
        }
        starts.sort { $0.replica < $1.replica }
        purges.sort { $0.replica < $1.replica }
        unknown.sort { $0.replica < $1.replica }
        running.sort()
        missing.sort()
        lost.sort()
    }

    private mutating func plan(
        _ topic: TopicInfo,
        _ info: PartitionInfo,
        _ metadata: ClusterMetadata,
        _ reports: [BrokerID: HostedReport]
    ) {
        let desired = info.desired.map(\.node)
        for replica in info.replicas {
            // What is to go is left alone until the group has let it go; but a new group may need
            // all of its founders to let one of them go.
            let isDesired = desired.contains(replica.node)
            guard isDesired || (!replica.isStarted && !replica.joins) else { continue }
            guard let broker = metadata.broker(replica.broker), broker.isOnline else { continue }
            let reference = ReplicaReference(group: info.group, node: replica.node)
            let report = reports[broker.id]
            let isHosted = report?.hosted.holds(reference) ?? false
            let isDamaged = isHosted && report?.suspects.holds(reference) == true
            if isDamaged || broker.directoryID != replica.directoryID {
                if isDesired { lost.append(reference) }
            } else if replica.isStarted {
                // Two lists must lack it: one may have been on its way while the start was.
                if let before = report?.before, !isHosted, !before.holds(reference) {
                    missing.append(reference)
                }
            } else if isHosted {
                running.append(reference)
            } else if !isBlocked(replica, info, metadata) {
                starts.append(start(replica, topic, info, metadata, broker))
            }
        }
    }

    /// Whether another replica of the group still lies where this one is to lie.
    private func isBlocked(
        _ replica: ReplicaInfo,
        _ info: PartitionInfo,
        _ metadata: ClusterMetadata
    ) -> Bool {
        let isSucceeding = info.replicas(on: replica.broker).contains {
            $0.node != replica.node && $0.directoryID == replica.directoryID
        }
        let buried = metadata.tombstone(info.group)?.unconfirmed ?? []
        return isSucceeding || buried.contains { $0.broker == replica.broker }
    }

    private func start(
        _ replica: ReplicaInfo,
        _ topic: TopicInfo,
        _ info: PartitionInfo,
        _ metadata: ClusterMetadata,
        _ broker: BrokerInfo
    ) -> ReplicaOrder<StartPartitionRaftGroupRequest> {
        // Founders must all be told the same members: each other, and nobody who came later.
        let replicas = replica.joins ? info.replicas : info.replicas.filter { !$0.joins }
        let members = replicas.map { member in
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
                join: replica.joins,
                directoryID: replica.directoryID
            )
        )
    }

    /// A partition by its group and its names, whether or not it exists still.
    private struct Place {
        let group: RaftGroupID
        let topicID: TopicID
        let topic: TopicName
        let partition: PartitionID

        init(_ tombstone: Tombstone) {
            group = tombstone.group
            topicID = tombstone.topicID
            topic = tombstone.topic
            partition = tombstone.partition
        }

        init(_ hosted: HostedPartition) {
            group = hosted.info.group
            topicID = hosted.topicID
            topic = hosted.topic
            partition = hosted.info.partition
        }
    }

    private mutating func purge(_ node: NodeID, _ place: Place, _ metadata: ClusterMetadata) {
        guard let broker = metadata.broker(node.broker), broker.isOnline else { return }
        let reference = ReplicaReference(group: place.group, node: node)
        guard purging.insert(reference).inserted else { return }
        purges.append(
            ReplicaOrder(
                replica: reference,
                target: InterBrokerTarget(id: broker.id.rawValue, address: broker.peerAddress),
                request: StopPartitionRaftGroupRequest(
                    raftGroupID: place.group,
                    topicID: place.topicID,
                    topicName: place.topic.text,
                    partitionID: place.partition,
                    purge: true,
                    nodeID: node
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
            let partition = metadata.partition(reference.group)
            if partition?.info.replica(reference.node) != nil { continue }
            // What was let go is purged also after it has confirmed: its data are there again, as
            // on a disk that was away meanwhile.
            if let partition, partition.info.wasRemoved(reference.node) {
                purge(reference.node, Place(partition), metadata)
                continue
            }
            if partition == nil, let tombstone = metadata.tombstone(reference.group) {
                purge(reference.node, Place(tombstone), metadata)
                continue
            }
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
                    purge: false,
                    nodeID: reference.node
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
