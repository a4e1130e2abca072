import Metadata
import Model
import Raft
import RaftHost
import RaftLog

/// What is wrong with the partitions of a broker, for its status line and metrics.
struct PartitionHealth {
    /// Partitions led here with a replica that is behind or away.
    var underReplicated = 0
    /// Partitions here of which nobody is known to lead: neither writes nor reads are served.
    var leaderless = 0
    /// The metadata and the partitions for which `replicasWanted` was looked up.
    fileprivate var wantedState: (MetadataVersion, generation: UInt64) = (0, 0)
}

extension Broker {
    /// Counts what is wrong with partitions.
    ///
    /// While replicas move, as many as before the move are enough.
    @discardableResult
    func lookAtPartitions() -> PartitionHealth {
        noteReplicasWanted()
        var (underReplicated, leaderless) = (0, 0)
        for partition in table.all {
            guard let replica = partition.replica else { continue }
            if partition.leadership.leader == .none { leaderless += 1 }
            guard partition.leadership.isLeader else { continue }
            let wanted = partition.replicasWanted ?? replica.configuration.voters.count
            if replica.answeringVoters < wanted { underReplicated += 1 }
        }
        health.underReplicated = underReplicated
        health.leaderless = leaderless
        return health
    }

    /// Looks up how many replicas the metadata want, if anything has changed since the last look.
    private func noteReplicasWanted() {
        let state = (metadata.version, table.generation)
        guard state != health.wantedState else { return }
        health.wantedState = state
        for partition in table.all {
            let info = metadata.partition(of: partition.identity.group)
            partition.replicasWanted = info.map {
                $0.reassignment?.original.count ?? $0.replicas.count
            }
        }
    }

    /// What systemd shows: `serving: 12 partitions, leader of 4, 0 under-replicated`, and how many
    /// have no leader if any has none.
    public var statusLine: String {
        let partitions = table.count == 1 ? "1 partition" : "\(table.count) partitions"
        var line = """
            serving: \(partitions), leader of \(manager.leaderCount), \
            \(health.underReplicated) under-replicated
            """
        if health.leaderless > 0 { line += ", \(health.leaderless) without a leader" }
        return line
    }
}
