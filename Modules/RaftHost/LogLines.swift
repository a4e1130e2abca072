import Logging
import Model
import Raft
import RaftLog
import Systemd

/// The events of Raft groups that an operator may want to read.
enum LogLines {
    static func metadata(_ replica: Replica, _ event: MessageID? = nil) -> Logger.Metadata {
        var fields: Logger.Metadata = [
            "MARTLET_GROUP": "\(replica.id)",
            "MARTLET_TOPIC": "\(replica.log.identity.topicName)",
            "MARTLET_PARTITION": "\(replica.log.identity.partition)",
            "MARTLET_TERM": "\(replica.leadership.term)",
        ]
        if let event { fields["message-id"] = "\(event)" }
        return fields
    }

    static func leads(_ replica: Replica, _ logger: Logger) {
        let (notes, reason) = (replica.notes, replica.notes.campaign)
        let former = name(notes.former, of: replica)
        let cause =
            switch reason {
            case .handover: "\(former) handed over"
            case .gone: "\(former) is gone"
            case .silent: "\(former) was silent"
            case .none: "no leader was known"
            }
        var fields = metadata(replica, .leaderElected)
        fields["MARTLET_REASON"] = "\(reason.rawValue)"
        if notes.former != .none { fields["MARTLET_FORMER_LEADER"] = "\(notes.former.owner)" }
        logger.info(
            "Leading Raft group \(replica.id) in term \(replica.leadership.term): \(cause)",
            metadata: fields
        )
    }

    static func lostLeadership(
        _ replica: Replica,
        _ loss: LeadershipNotes.Loss,
        to successor: NodeID?,
        _ logger: Logger
    ) {
        let cause =
            switch loss {
            case .handover: "handed over to \(name(successor ?? .none, of: replica))"
            case .quorum: "no majority of its members was heard"
            case .removed: "this replica is no member any more"
            case .term: "another member has begun a newer term"
            }
        var fields = metadata(replica, .leaderLost)
        fields["MARTLET_REASON"] = "\(loss.rawValue)"
        if let successor { fields["MARTLET_SUCCESSOR"] = "\(successor.owner)" }
        logger.info(
            """
            No longer leading Raft group \(replica.id) (term \(replica.leadership.term)): \(cause)
            """,
            metadata: fields
        )
    }

    static func quorumLost(_ replica: Replica, _ logger: Logger) {
        logger.warning(
            """
            Raft group \(replica.id) has lost its quorum: a majority of its voters \
            (\(list(replica.configuration.voters))) has not answered this leader
            """,
            metadata: metadata(replica, .quorumLost)
        )
    }

    /// What an operator calls the daemon that holds a replica.
    private static func name(_ node: NodeID, of replica: Replica) -> String {
        "\(replica.id == .metadata ? "controller" : "broker") \(node.owner)"
    }

    static func diverged(_ replica: Replica, at index: LogIndex, _ logger: Logger) {
        logger.error(
            """
            Raft group \(replica.id) differs from its leader at index \(index) with the same \
            term: damaged data; this replica stops voting and acknowledging
            """,
            metadata: metadata(replica, .replicaSuspect)
        )
    }

    static func malformed(_ replica: Replica, _ error: RaftLogError, _ logger: Logger) {
        logger.error(
            """
            Raft group \(replica.id) was sent entries that fit no log (\(error)); this replica \
            stops voting and acknowledging
            """,
            metadata: metadata(replica, .replicaSuspect)
        )
    }

    static func membersChanged(_ replica: Replica, at index: LogIndex, _ logger: Logger) {
        let configuration = replica.configuration
        var text = "voters \(list(configuration.voters))"
        if !configuration.votersOutgoing.isEmpty {
            text += ", leaving \(list(configuration.votersOutgoing))"
        }
        if !configuration.learners.isEmpty {
            text += ", learners \(list(configuration.learners))"
        }
        logger.info(
            "Members of Raft group \(replica.id) from index \(index) on: \(text)",
            metadata: metadata(replica)
        )
    }

    static func membersDiffer(
        _ replica: Replica,
        _ members: ConfState,
        at index: LogIndex,
        _ logger: Logger
    ) {
        logger.error(
            """
            Raft group \(replica.id) has other members than its log says before index \(index) \
            (voters \(list(replica.configuration.voters)) instead of \(list(members.voters))): \
            damaged data; this replica stops voting and acknowledging
            """,
            metadata: metadata(replica, .replicaSuspect)
        )
    }

    private static func list(_ nodes: [NodeID]) -> String {
        nodes.map { "\($0.owner).\($0.incarnation)" }.joined(separator: " ")
    }

    static func unreadableConfChange(
        _ replica: Replica,
        _ error: any Error,
        _ logger: Logger
    ) {
        logger.error(
            "Raft group \(replica.id) skips a change of members that nobody can read: \(error)",
            metadata: metadata(replica)
        )
    }

    static func snapshotLost(_ replica: Replica, to node: NodeID, _ logger: Logger) {
        logger.warning(
            """
            Raft group \(replica.id) has heard nothing of the snapshot sent to replica \
            \(node.owner).\(node.incarnation); sending it again
            """,
            metadata: metadata(replica)
        )
    }

    static func stepFailed(_ replica: Replica, _ error: any Error, _ logger: Logger) {
        logger.debug(
            "Raft group \(replica.id) refused a message: \(error)",
            metadata: metadata(replica)
        )
    }

    static func damaged(_ replica: Replica, _ reason: String, _ logger: Logger) {
        logger.error(
            """
            Raft group \(replica.id) has damaged data here (\(reason)); this replica neither votes \
            nor acknowledges, and waits to be replaced
            """,
            metadata: metadata(replica, .replicaSuspect)
        )
    }

    static func coldReadFailed(_ replica: Replica, _ error: any Error, _ logger: Logger) {
        logger.error(
            "Raft group \(replica.id) cannot read its log: \(error)",
            metadata: metadata(replica)
        )
    }

    static func writeFailed(_ error: any Error, _ logger: Logger) {
        logger.critical(
            "The write-ahead log failed and nothing more is acknowledged: \(error)",
            metadata: ["message-id": "\(MessageID.storageFailed)"]
        )
    }
}
