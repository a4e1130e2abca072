public import InterBrokerProtocol
public import Logging
import Model
import Systemd

/// The events of inter-broker communication, each with its text, level and fields.
///
/// The lines of start and stop are an interface: operators and tests search for them, so their
/// words are fixed and a test compares them.
public enum InterBrokerLogLines {
    /// A start request is about to be sent.
    public static func sending(
        _ request: StartPartitionRaftGroupRequest,
        to address: String,
        _ logger: Logger
    ) {
        logger.info(
            """
            Sending StartPartitionRaftGroup request to \(address) for group \
            \(request.raftGroupID) (join=\(request.join))
            """,
            metadata: fields(
                request.raftGroupID.description,
                request.topicName,
                request.partitionID.description,
                address
            )
        )
    }

    /// A stop request is about to be sent.
    public static func sending(
        _ request: StopPartitionRaftGroupRequest,
        to address: String,
        _ logger: Logger
    ) {
        logger.info(
            "Sending StopRaftGroup command to \(address) for group \(request.raftGroupID)",
            metadata: fields(
                request.raftGroupID.description,
                request.topicName,
                request.partitionID.description,
                address
            )
        )
    }

    /// A connection for a request was made.
    public static func connected(
        to address: String,
        for type: InterBrokerRequestType,
        _ logger: Logger
    ) {
        logger.log(
            level: level(type),
            "Connected to broker at \(address) for \(type.name) request",
            metadata: ["MARTLET_PEER": "\(address)", "MARTLET_REQUEST": "\(type.name)"]
        )
    }

    /// A request has arrived.
    public static func handling(
        _ type: InterBrokerRequestType,
        from peer: String,
        _ logger: Logger
    ) {
        logger.log(
            level: level(type),
            "Handling inter-broker request from \(peer)",
            metadata: ["MARTLET_PEER": "\(peer)", "MARTLET_REQUEST": "\(type.name)"]
        )
    }

    /// A call of ours has failed; the caller decides what that means.
    static func callFailed(
        _ type: InterBrokerRequestType,
        to address: String,
        _ error: InterBrokerError,
        _ logger: Logger
    ) {
        logger.debug(
            "\(type.name) request to \(address) failed: \(error)",
            metadata: ["MARTLET_PEER": "\(address)", "MARTLET_REQUEST": "\(type.name)"]
        )
    }

    /// A peer was turned away.
    static func refused(
        _ refusal: PeerRefusal,
        from peer: String,
        unlogged: Int,
        _ logger: Logger
    ) {
        let more = unlogged == 0 ? "" : " (\(unlogged) more of this kind were not logged)"
        logger.warning(
            "Refused inter-broker peer \(peer): \(refusal.text)\(more)",
            metadata: [
                "MARTLET_PEER": "\(peer)", "MARTLET_REASON": "\(refusal.reason.rawValue)",
                "message-id": "\(MessageID.peerRefused)",
            ]
        )
    }

    /// A listener accepts connections.
    static func listening(on address: String, _ logger: Logger) {
        logger.info("Listening for inter-broker requests on \(address)")
    }

    /// A connection could not be accepted, for instance for want of file descriptors.
    static func acceptFailed(_ error: any Error, _ logger: Logger) {
        logger.error("Cannot accept an inter-broker connection: \(error)")
    }

    /// Heartbeats would fill the journal: only what starts and stops groups is worth a line.
    private static func level(_ type: InterBrokerRequestType) -> Logger.Level {
        switch type {
        case .startPartitionRaftGroup, .stopPartitionRaftGroup: .info
        default: .debug
        }
    }

    private static func fields(
        _ group: String,
        _ topic: String,
        _ partition: String,
        _ address: String
    ) -> Logger.Metadata {
        [
            "MARTLET_GROUP": "\(group)", "MARTLET_TOPIC": "\(topic)",
            "MARTLET_PARTITION": "\(partition)", "MARTLET_PEER": "\(address)",
        ]
    }
}
