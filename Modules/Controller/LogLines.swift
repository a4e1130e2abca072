import InterBroker
import Logging
import Metadata
import Model
import Raft
import Systemd

/// The controller's events, each with its text, level and fields.
///
/// The lines of start and stop are an interface: operators and tests search for them, so their
/// words are fixed and a test compares them.
enum LogLines {
    // MARK: Start and stop of Raft groups

    static func startingRaftGroups(_ partitions: Int, _ logger: Logger) {
        logger.info(
            "Starting Raft groups for \(partitions) partitions across multiple brokers",
            metadata: id(.raftGroupsStarting)
        )
    }

    static func stoppingRaftGroups(_ partitions: Int, _ logger: Logger) {
        logger.info(
            "Stopping Raft groups for \(partitions) partitions across multiple brokers",
            metadata: id(.raftGroupsStopping)
        )
    }

    static func startsFailed(
        _ count: Int,
        on target: InterBrokerTarget,
        _ reason: String,
        _ logger: Logger
    ) {
        logger.warning(
            "\(count) Raft groups did not start on broker \(target.id), trying again: \(reason)",
            metadata: peer(target)
        )
    }

    static func stopsFailed(
        _ count: Int,
        on target: InterBrokerTarget,
        _ reason: String,
        _ logger: Logger
    ) {
        logger.warning(
            "\(count) Raft groups did not stop on broker \(target.id), trying again: \(reason)",
            metadata: peer(target)
        )
    }

    static func unknownGroupStopped(_ replica: ReplicaReference, _ logger: Logger) {
        logger.error(
            """
            Broker \(replica.node.broker) runs Raft group \(replica.group), which the metadata \
            does not know: it is stopped and its data is kept
            """,
            metadata: group(replica.group, id(.raftGroupKept))
        )
    }

    static func replicaMissing(_ replica: ReplicaReference, _ logger: Logger) {
        logger.error(
            """
            Broker \(replica.node.broker) does not run its replica of Raft group \
            \(replica.group), which was started before
            """,
            metadata: group(replica.group)
        )
    }

    static func directoryReplaced(_ broker: BrokerID, replicas: Int, _ logger: Logger) {
        logger.error(
            """
            Broker \(broker) came back with another data directory: \(replicas) replicas are lost \
            there and will be filled again from the others
            """,
            metadata: ["MARTLET_PEER": "broker \(broker)"]
        )
    }

    // MARK: Brokers

    static func brokerRegistered(_ broker: BrokerInfo, _ logger: Logger) {
        logger.info(
            """
            Broker \(broker.id) registered at \(broker.peerAddress), incarnation \
            \(broker.incarnation)
            """,
            metadata: ["MARTLET_PEER": "\(broker.peerAddress)"]
        )
    }

    static func brokerOnline(_ broker: BrokerID, _ logger: Logger) {
        logger.info(
            "Broker \(broker) is online",
            metadata: id(.brokerOnline).with("MARTLET_PEER", "broker \(broker)")
        )
    }

    static func brokerOffline(_ broker: BrokerID, _ logger: Logger) {
        logger.warning(
            "Broker \(broker) is offline: it has been silent for too long",
            metadata: id(.brokerOffline).with("MARTLET_PEER", "broker \(broker)")
        )
    }

    static func brokerStopped(_ broker: BrokerID, _ logger: Logger) {
        logger.info(
            "Broker \(broker) has stopped, as it said it would",
            metadata: ["MARTLET_PEER": "broker \(broker)"]
        )
    }

    // MARK: Topics

    static func topicCreated(_ topic: TopicInfo, _ logger: Logger) {
        logger.info(
            """
            Created topic \(topic.name) with \(topic.partitions.count) partitions and \
            replication factor \(topic.replicationFactor)
            """,
            metadata: id(.topicCreated).with("MARTLET_TOPIC", "\(topic.name)")
        )
    }

    static func topicDeleted(_ topic: TopicInfo, _ logger: Logger) {
        logger.info(
            "Deleted topic \(topic.name) with \(topic.partitions.count) partitions",
            metadata: id(.topicDeleted).with("MARTLET_TOPIC", "\(topic.name)")
        )
    }

    static func deletionConfirmed(_ group: RaftGroupID, _ logger: Logger) {
        logger.debug(
            "Everything that Raft group \(group) has left behind is deleted",
            metadata: self.group(group)
        )
    }

    // MARK: Reassignments

    static func reassignmentChanged(_ partition: HostedPartition, _ logger: Logger) {
        let info = partition.info
        logger.info(
            """
            Partition \(partition.topicPartition) is to be on brokers \(list(info.desired)) \
            (adding \(list(info.adding)), removing \(list(info.removing)))
            """,
            metadata: fields(partition, .reassignmentStarted)
        )
    }

    static func reassignmentFinished(_ partition: HostedPartition, _ logger: Logger) {
        logger.info(
            """
            Partition \(partition.topicPartition) is on brokers \(list(partition.info.desired)) \
            as it was to be
            """,
            metadata: fields(partition, .reassignmentFinished)
        )
    }

    static func replicaReplaced(
        _ lost: NodeID,
        by node: NodeID,
        of partition: HostedPartition,
        _ logger: Logger
    ) {
        logger.warning(
            """
            The replica of partition \(partition.topicPartition) on broker \(lost.broker) is lost \
            or damaged (incarnation \(lost.incarnation)); incarnation \(node.incarnation) takes \
            its place
            """,
            metadata: fields(partition, .replicaReplaced)
        )
    }

    private static func list(_ replicas: [ReplicaInfo]) -> String {
        guard !replicas.isEmpty else { return "none" }
        return replicas.map { "\($0.broker)" }.joined(separator: ",")
    }

    private static func fields(
        _ partition: HostedPartition,
        _ event: MessageID
    ) -> Logger.Metadata {
        group(partition.info.group, id(event)).with("MARTLET_TOPIC", "\(partition.topic)")
            .with("MARTLET_PARTITION", "\(partition.info.partition)")
    }

    // MARK: Controllers

    static func reignBegins(_ id: ControllerID, _ epoch: ControllerEpoch, _ logger: Logger) {
        logger.info(
            "Controller \(id) leads the cluster in epoch \(epoch)",
            metadata: self.id(.controllerElected).with("MARTLET_TERM", "\(epoch)")
        )
    }

    static func reignEnds(_ id: ControllerID, _ epoch: ControllerEpoch, _ logger: Logger) {
        logger.info(
            "Controller \(id) no longer leads the cluster (epoch \(epoch))",
            metadata: ["MARTLET_TERM": "\(epoch)"]
        )
    }

    static func clusterCreated(_ cluster: ClusterID, _ logger: Logger) {
        logger.notice("Created cluster \(cluster)", metadata: id(.clusterCreated))
    }

    static func clusterJoined(_ cluster: ClusterID, _ logger: Logger) {
        logger.notice("Joined cluster \(cluster)", metadata: id(.clusterCreated))
    }

    static func bootstrapWaits(_ reason: String, _ logger: Logger) {
        logger.notice("Waiting before the cluster can begin: \(reason)")
    }

    static func waitsForPlace(_ reason: String, _ logger: Logger) {
        logger.notice("Waiting to be added: \(reason)", metadata: id(.controllerNotAdded))
    }

    static func controllerPlaced(_ replica: ControllerReplica, _ logger: Logger) {
        logger.info(
            """
            Controller \(replica.id) at \(replica.address) is to join the controllers as \
            incarnation \(replica.node.incarnation)
            """,
            metadata: peer(replica)
        )
    }

    static func controllerVotes(_ replica: ControllerReplica, _ logger: Logger) {
        logger.notice(
            """
            Controller \(replica.id) (incarnation \(replica.node.incarnation)) has all entries \
            and votes from now on
            """,
            metadata: id(.controllerAdded).merging(peer(replica)) { _, new in new }
        )
    }

    static func controllerMoved(_ replica: ControllerReplica, _ logger: Logger) {
        logger.info(
            "Controller \(replica.id) is reached at \(replica.address) from now on",
            metadata: peer(replica)
        )
    }

    static func controllerLeaving(_ controller: ControllerID, _ logger: Logger) {
        logger.info(
            "Controller \(controller) is to leave the controllers",
            metadata: ["MARTLET_PEER": "controller \(controller)"]
        )
    }

    static func controllerRemoved(_ replica: ControllerReplica, _ logger: Logger) {
        logger.notice(
            """
            Controller \(replica.id) (incarnation \(replica.node.incarnation)) is no member of \
            the controllers any more
            """,
            metadata: id(.controllerRemoved).merging(peer(replica)) { _, new in new }
        )
    }

    static func removedHere(_ controller: ControllerID, _ logger: Logger) {
        logger.notice(
            """
            This controller, \(controller), is no member of the cluster's controllers any more: \
            it may be stopped
            """,
            metadata: id(.controllerRemoved)
        )
    }

    static func controllerStep(_ step: QuorumStep, _ logger: Logger) {
        switch step {
        case .wait(let delay): logger.info("A change of the controllers waits: \(delay.text)")
        case .record: logger.debug("Recording who the controllers are")
        case .change(let changes):
            let steps = changes.map { change in
                let name = "controller \(change.node.owner)"
                return switch change.type {
                case .addNode: "\(name) votes"
                case .removeNode: "\(name) goes"
                case .addLearnerNode: "\(name) is filled"
                case .updateNode: "\(name) stays"
                }
            }
            logger.info("Changing the controllers: \(steps.joined(separator: ", "))")
        case .transfer(let node):
            logger.info(
                "Handing the leadership to controller \(node.owner): this one is to leave"
            )
        }
    }

    static func metadataUnreadable(_ reason: String, at index: LogIndex, _ logger: Logger) {
        logger.critical(
            "The metadata log holds at index \(index) what this release cannot read: \(reason)"
        )
    }

    static func proposalFailed(_ command: String, _ reason: String, _ logger: Logger) {
        logger.warning("Metadata command \(command) was not committed: \(reason)")
    }

    // MARK: Fields

    private static func id(_ event: MessageID) -> Logger.Metadata { ["message-id": "\(event)"] }

    private static func peer(_ target: InterBrokerTarget) -> Logger.Metadata {
        ["MARTLET_PEER": "\(target.address)"]
    }

    private static func peer(_ replica: ControllerReplica) -> Logger.Metadata {
        ["MARTLET_PEER": "\(replica.address)"]
    }

    private static func group(
        _ group: RaftGroupID,
        _ fields: Logger.Metadata = [:]
    ) -> Logger.Metadata {
        fields.with("MARTLET_GROUP", "\(group)")
    }
}

extension Logger.Metadata {
    fileprivate func with(_ key: String, _ value: String) -> Logger.Metadata {
        merging([key: "\(value)"]) { _, new in new }
    }
}
