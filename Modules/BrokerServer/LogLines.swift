import InterBroker
import InterBrokerProtocol
import Logging
import Model
import Raft
import RaftLog
import Systemd

/// The broker's events, each with its text, level and fields.
///
/// The lines of start and stop are an interface: operators and tests search for them, so their
/// words are fixed and a test compares them.
enum LogLines {
    // MARK: Start and stop of Raft groups

    static func received(_ request: StartPartitionRaftGroupRequest, _ logger: Logger) {
        logger.info(
            """
            Received StartPartitionRaftGroup request: GroupID=\(request.raftGroupID), \
            Topic=\(request.topicName), Partition=\(request.partitionID), Join=\(request.join)
            """,
            metadata: fields(request.raftGroupID, request.topicName, request.partitionID)
        )
    }

    static func started(_ request: StartPartitionRaftGroupRequest, _ logger: Logger) {
        logger.info(
            """
            Successfully started Raft group \(request.raftGroupID) for partition \
            \(request.topicName)-\(request.partitionID) (join=\(request.join))
            """,
            metadata: fields(
                request.raftGroupID,
                request.topicName,
                request.partitionID,
                .raftGroupStarted
            )
        )
    }

    static func startFailed(
        _ request: StartPartitionRaftGroupRequest,
        _ reason: String,
        _ logger: Logger
    ) {
        logger.error(
            """
            Cannot start Raft group \(request.raftGroupID) for partition \
            \(request.topicName)-\(request.partitionID): \(reason)
            """,
            metadata: fields(request.raftGroupID, request.topicName, request.partitionID)
        )
    }

    static func received(_ request: StopPartitionRaftGroupRequest, _ logger: Logger) {
        logger.info(
            """
            Received StopPartitionRaftGroup request: GroupID=\(request.raftGroupID), \
            Topic=\(request.topicName), Partition=\(request.partitionID)
            """,
            metadata: fields(request.raftGroupID, request.topicName, request.partitionID)
        )
    }

    static func stopped(_ request: StopPartitionRaftGroupRequest, _ logger: Logger) {
        logger.info(
            """
            Successfully stopped Raft group \(request.raftGroupID) for partition \
            \(request.topicName)-\(request.partitionID)
            """,
            metadata: fields(
                request.raftGroupID,
                request.topicName,
                request.partitionID,
                .raftGroupStopped
            )
        )
    }

    static func stopFailed(
        _ request: StopPartitionRaftGroupRequest,
        _ reason: String,
        _ logger: Logger
    ) {
        logger.error(
            """
            Cannot stop Raft group \(request.raftGroupID) for partition \
            \(request.topicName)-\(request.partitionID): \(reason)
            """,
            metadata: fields(request.raftGroupID, request.topicName, request.partitionID)
        )
    }

    private static func fields(
        _ group: RaftGroupID,
        _ topic: String,
        _ partition: PartitionID,
        _ event: MessageID? = nil
    ) -> Logger.Metadata {
        var fields: Logger.Metadata = [
            "MARTLET_GROUP": "\(group)", "MARTLET_TOPIC": "\(topic)",
            "MARTLET_PARTITION": "\(partition)",
        ]
        if let event { fields["message-id"] = "\(event)" }
        return fields
    }

    // MARK: Reassignments

    static func reassignment(
        _ step: ReassignmentStep,
        of partition: Partition,
        _ logger: Logger
    ) {
        let fields = fields(
            partition.identity.group,
            partition.topic,
            partition.identity.partition
        )
        let name = "\(partition.topic)-\(partition.id)"
        switch step {
        case .wait(let delay):
            logger.info("Reassignment of \(name) waits: \(words(delay))", metadata: fields)
        case .accept:
            logger.debug("Reassignment of \(name): accepting the target", metadata: fields)
        case .change(let changes):
            logger.info("Reassignment of \(name): \(words(changes))", metadata: fields)
        case .transfer(let node):
            logger.info(
                "Reassignment of \(name): leadership goes to broker \(node.broker)",
                metadata: fields
            )
        case .finished:
            logger.info("Reassignment of \(name): the members are complete", metadata: fields)
        }
    }

    private static func words(_ changes: [ConfChangeSingle]) -> String {
        changes.map { change in
            let broker = "broker \(change.node.broker)"
            return switch change.type {
            case .addNode: "\(broker) gets a vote"
            case .addLearnerNode: "\(broker) is filled"
            case .removeNode: "\(broker) leaves"
            case .updateNode: "\(broker) stays"
            }
        }.joined(separator: ", ")
    }

    private static func words(_ delay: ReassignmentDelay) -> String {
        switch delay {
        case .metadataOutdated: "this broker's metadata are older than the group's target"
        case .leavingJoint: "the joint configuration is being left"
        case .notStarted(let node): "broker \(node.broker) has not started its replica"
        case .catchingUp(let node): "broker \(node.broker) is being filled"
        case .noMajority: "too many of the replicas that would be left do not answer"
        }
    }

    // MARK: Recovery

    static func recovered(groups: Int, milliseconds: Int, _ logger: Logger) {
        logger.info("Recovered \(groups) partitions from disk in \(milliseconds) ms")
    }

    static func serving(_ address: String, _ logger: Logger) {
        logger.info("Serving Kafka clients on \(address)")
    }

    // MARK: Clients

    static func connectionClosed(_ peer: String, _ reason: KafkaCloseReason, _ logger: Logger) {
        let level: Logger.Level = reason == .idle || reason == .shutdown ? .debug : .info
        logger.log(
            level: level,
            "Closed the connection of client \(peer): \(reason)",
            metadata: ["MARTLET_PEER": "\(peer)", "MARTLET_REASON": "\(reason.label)"]
        )
    }

    static func connectionFailed(_ peer: String, _ error: any Error, _ logger: Logger) {
        logger.debug(
            "The connection of client \(peer) failed: \(error)",
            metadata: ["MARTLET_PEER": "\(peer)"]
        )
    }

    static func connectionRefused(
        _ peer: String,
        _ refusal: ConnectionLimits.Refusal,
        _ unlogged: Int,
        _ logger: Logger
    ) {
        let more = unlogged == 0 ? "" : " (\(unlogged) more of this kind were not logged)"
        logger.warning(
            "Refused the connection of client \(peer): \(refusal)\(more)",
            metadata: ["MARTLET_PEER": "\(peer)", "message-id": "\(MessageID.clientRefused)"]
        )
    }

    static func coldReadFailed(_ partition: Partition?, _ error: any Error, _ logger: Logger) {
        guard let partition else { return }
        logger.error(
            "Cannot read partition \(partition.topic)-\(partition.id) from disk: \(error)",
            metadata: fields(
                partition.identity.group,
                partition.topic,
                partition.identity.partition
            )
        )
    }

    // MARK: Controllers

    static func registered(_ leader: String, _ cluster: ClusterID, _ logger: Logger) {
        logger.info(
            "Registered with controller leader \(leader) of cluster \(cluster)",
            metadata: ["MARTLET_PEER": "\(leader)"]
        )
    }

    static func controllersUnreachable(_ reason: String, _ logger: Logger) {
        logger.warning("No controller leader answers: \(reason)")
    }

    static func controllersKnown(_ controllers: [InterBrokerTarget], _ logger: Logger) {
        let list = controllers.map { "\($0.id)@\($0.address)" }.joined(separator: ", ")
        logger.info("The controllers are \(list) from now on")
    }

    static func wrongCluster(ours: ClusterID, theirs: ClusterID, _ logger: Logger) {
        logger.critical(
            """
            The controllers belong to cluster \(theirs), and this data directory to \(ours): \
            nothing is served until the configuration or the directory is changed
            """,
            metadata: ["message-id": "\(MessageID.clusterMismatch)"]
        )
    }

    static func metadataPulled(_ version: MetadataVersion, full: Bool, _ logger: Logger) {
        logger.debug("Pulled cluster metadata up to version \(version) (full=\(full))")
    }

    static func metadataUnreadable(_ reason: String, _ logger: Logger) {
        logger.error("Cannot understand the controllers' metadata: \(reason)")
    }

    static func metadataCopyUnreadable(_ path: String, _ reason: String, _ logger: Logger) {
        logger.warning(
            "\(path) cannot be read, the metadata comes from the controllers: \(reason)"
        )
    }

    static func metadataCopyCut(
        _ path: String,
        _ version: MetadataVersion,
        _ reason: String,
        _ logger: Logger
    ) {
        logger.warning(
            """
            \(path) can be read up to version \(version) of the metadata, the rest comes from \
            the controllers: \(reason)
            """
        )
    }

    static func metadataCopyNotWritten(_ reason: String, _ logger: Logger) {
        logger.warning("The copy of the metadata on disk is out of date: \(reason)")
    }

    static func topicCreated(_ topic: String, _ logger: Logger) {
        logger.info("Topic \(topic) is created", metadata: ["MARTLET_TOPIC": "\(topic)"])
    }

    static func topicNotCreated(_ topic: String, _ reason: String, _ logger: Logger) {
        logger.warning(
            "Topic \(topic) is not created: \(reason)",
            metadata: ["MARTLET_TOPIC": "\(topic)"]
        )
    }
}
