import KafkaProtocol
import Model
import NIOCore
import RaftHost
import RaftLog

/// What a fetch finds in one partition.
enum FetchFind {
    /// Committed batches from the wanted offset on, straight from the log's tail; perhaps none.
    case batches([BatchPayload])
    /// There are some, but only on disk.
    case cold
    /// The partition cannot answer.
    case failed(KafkaError)
    /// This replica has just become leader and does not know yet what is committed.
    case unconfirmed
}

extension Partition {
    /// Looks for committed batches from `offset` on, up to `bytesMax`, the first one always whole.
    ///
    /// `clientEpoch` is the leader epoch that the client believes in, or -1.
    func find(from offset: Offset, bytesMax: Int, clientEpoch: Int32) -> FetchFind {
        if let error = epochError(clientEpoch) { return .failed(error) }
        guard let replica, leadership.isLeader else { return .failed(.notLeaderOrFollower) }
        guard leadership.isConfirmed else { return .unconfirmed }
        guard offset >= logStartOffset, offset <= highWatermark else {
            return .failed(.offsetOutOfRange)
        }
        guard offset < highWatermark else { return .batches([]) }
        guard
            let batches = replica.log.tailBatches(
                from: offset, below: highWatermark, maxBytes: bytesMax)
        else { return .cold }
        return .batches(batches)
    }

    /// The error if a client believes in another leader epoch than this leader's; -1 believes none.
    func epochError(_ clientEpoch: Int32) -> KafkaError? {
        guard clientEpoch >= 0 else { return nil }
        if clientEpoch < leaderEpoch { return .fencedLeaderEpoch }
        if clientEpoch > leaderEpoch { return .unknownLeaderEpoch }
        return nil
    }
}
