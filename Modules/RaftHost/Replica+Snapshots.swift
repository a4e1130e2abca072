import Model
import Raft

/// What became of the snapshots that a leader has sent.
///
/// The core waits for a word about each: it sends such a replica nothing else meanwhile.
extension Replica {
    /// A snapshot on its way to another replica.
    struct SentSnapshot {
        let node: NodeID
        var ticksLeft: Int
    }

    /// Notes that a snapshot goes out.
    func sentSnapshot(to node: NodeID) {
        sentSnapshots.removeAll { $0.node == node }
        let ticks = manager.options.snapshotTicksMax
        sentSnapshots.append(SentSnapshot(node: node, ticksLeft: ticks))
    }

    /// Tells the core of snapshots that have arrived.
    ///
    /// It notices by itself only while its log still reaches back to them.
    func noticeArrivedSnapshots() {
        guard !sentSnapshots.isEmpty else { return }
        sentSnapshots.removeAll { sent in
            guard let progress = node.progress(of: sent.node), progress.state == .snapshot else {
                return true
            }
            guard progress.match >= progress.pendingSnapshot else { return false }
            node.reportSnapshot(sent.node, failed: false)
            return true
        }
    }

    /// Lets a tick go by, and gives up snapshots of which nothing was heard for too long.
    func ageSnapshots() {
        guard !sentSnapshots.isEmpty else { return }
        for place in sentSnapshots.indices { sentSnapshots[place].ticksLeft -= 1 }
        for sent in sentSnapshots where sent.ticksLeft <= 0 {
            LogLines.snapshotLost(self, to: sent.node, manager.logger)
            node.reportSnapshot(sent.node, failed: true)
        }
        sentSnapshots.removeAll { $0.ticksLeft <= 0 }
    }
}
