import InterBroker
import Logging
import Model

/// The events of peer streams that an operator may want to read.
enum LogLines {
    private static func fields(_ peer: String) -> Logger.Metadata { ["MARTLET_PEER": "\(peer)"] }

    static func opened(_ peer: String, _ address: String, _ logger: Logger) {
        logger.info("Raft stream to \(peer) at \(address) is open", metadata: fields(peer))
    }

    static func openFailed(_ peer: String, _ error: InterBrokerError, _ logger: Logger) {
        logger.warning(
            "Raft stream to \(peer) cannot be opened, trying on: \(error)",
            metadata: fields(peer)
        )
    }

    static func lost(_ peer: String, _ logger: Logger) {
        logger.info("Raft stream to \(peer) was lost", metadata: fields(peer))
    }

    static func accepted(_ peer: String, _ session: SessionID, _ logger: Logger) {
        logger.info(
            "Raft stream from \(peer) is open",
            metadata: fields(peer).merging(["MARTLET_SESSION": "\(session)"]) { $1 }
        )
    }

    static func ended(_ peer: String, _ logger: Logger) {
        logger.info("Raft stream from \(peer) has ended", metadata: fields(peer))
    }

    static func damaged(_ peer: String, _ error: StreamError, _ logger: Logger) {
        logger.error(
            "Raft stream from \(peer) is closed: \(error)",
            metadata: fields(peer)
        )
    }

    static func tooLarge(_ peer: String, _ group: RaftGroupID, _ logger: Logger) {
        logger.error(
            "A message of Raft group \(group) to \(peer) is larger than a frame may be",
            metadata: fields(peer).merging(["MARTLET_GROUP": "\(group)"]) { $1 }
        )
    }
}
