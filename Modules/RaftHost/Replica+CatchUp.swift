import Model
import Raft
import RaftLog

/// Replicas that lag so far behind that their entries are no longer in memory.
///
/// A leader sends them on the lane for catching up: what is old must not stand before heartbeats,
/// votes and fresh entries in one stream.
extension Replica {
    /// A replica that catches up.
    struct CatchUp {
        let node: NodeID
        /// Messages in a row that carried entries from memory.
        var recentMessages = 0
    }

    /// After so many messages with recent entries in a row a replica changes lanes at once.
    private static let recentMessagesMax = 64

    /// Which stream a message takes.
    ///
    /// From the first old entry on, or from a snapshot, a replica gets its appends on the lane for
    /// catching up. It leaves that when it needs recent entries only and has answered for all
    /// before them, so that nothing is overtaken. One that is written to without a pause never
    /// has: it changes all the same, at the price of one rejection.
    func lane(for message: Message) -> RaftLane {
        let place = catchingUp.firstIndex { $0.node == message.to }
        switch message.type {
        case .snapshot:
            if place == nil { catchingUp.append(CatchUp(node: message.to)) }
            return .catchUp
        case .append:
            if let first = message.entries.first, !log.isInMemory(first.index) {
                if let place {
                    catchingUp[place].recentMessages = 0
                } else {
                    catchingUp.append(CatchUp(node: message.to))
                }
                return .catchUp
            }
            guard let place else { return .live }
            if !message.entries.isEmpty { catchingUp[place].recentMessages += 1 }
            let isAnswered = core.progress(of: message.to)?.match == message.index
            let isOverdue = catchingUp[place].recentMessages > Self.recentMessagesMax
            guard isAnswered || isOverdue else { return .catchUp }
            catchingUp.remove(at: place)
            return .live
        default: return .live
        }
    }

    /// Whether a read that begins with this entry is for other replicas: it may be throttled.
    func isForOthers(_ index: LogIndex) -> Bool { core.role == .leader && index <= applied }

    /// The replicas that wait for a read that begins with this entry.
    func waiting(for index: LogIndex) -> [NodeID] {
        members.filter { node in
            guard let progress = core.progress(of: node) else { return false }
            return progress.isWaitingForEntries && progress.next == index
        }
    }

    /// Whether nothing can be committed but with the help of a replica that lags.
    var needsThoseBehind: Bool {
        [configuration.voters, configuration.votersOutgoing].contains { voters in
            let current = voters.count { node in
                guard node != nodeID else { return true }
                guard let progress = core.progress(of: node) else { return false }
                return progress.match >= core.commit && progress.isAnswering
            }
            return !voters.isEmpty && current <= voters.count / 2
        }
    }
}
