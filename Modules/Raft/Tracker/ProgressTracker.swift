import Model

/// The members of a group, what a leader knows of each, and the votes a candidate has got.
///
/// - Invariant: `peers` is sorted by id and holds exactly the voters and learners of `config`.
package struct ProgressTracker: Sendable {
    package var config = MemberConfig()
    package var peers: [Progress] = []
    /// Each member's first answer in this election.
    private var votes: [(id: NodeID, granted: Bool)] = []
    private let inflightCountMax: Int
    private let inflightBytesMax: Int

    package init(inflightCountMax: Int, inflightBytesMax: Int) {
        self.inflightCountMax = inflightCountMax
        self.inflightBytesMax = inflightBytesMax
    }

    /// An empty window with this group's limits.
    package func newInflights() -> Inflights {
        Inflights(countMax: inflightCountMax, bytesMax: inflightBytesMax)
    }

    /// Where a member stands in `peers`; groups are small, so that a scan beats a search.
    package func place(of id: NodeID) -> Int? {
        for place in peers.indices where peers[place].id == id { return place }
        return nil
    }

    package func contains(_ id: NodeID) -> Bool { place(of: id) != nil }

    /// Whether there is one voter and no transition.
    package var isSingleton: Bool {
        config.voters.incoming.count == 1 && !config.voters.isJoint
    }

    /// The highest index that is durable on a quorum of voters.
    package var committed: LogIndex {
        // The closure holds the peers alone: with the tracker it would copy that on every call.
        let peers = peers
        let index = config.voters.committedIndex { id in
            for place in peers.indices where peers[place].id == id {
                return peers[place].match.rawValue
            }
            return nil
        }
        return LogIndex(index)
    }

    /// Whether a quorum of voters was heard from since this was asked last.
    package var isQuorumActive: Bool {
        let result = config.voters.voteResult { id in
            guard let place = place(of: id), !peers[place].isLearner else { return nil }
            return peers[place].isRecentlyActive
        }
        return result == .won
    }
}

// MARK: Votes

extension ProgressTracker {
    package mutating func resetVotes() { votes.removeAll() }

    /// Whether a voter has refused its vote.
    var hasRefusal: Bool { votes.contains { !$0.granted } }

    /// Notes an answer; a second one from the same member changes nothing.
    package mutating func recordVote(_ id: NodeID, granted: Bool) {
        if vote(of: id) == nil { votes.append((id, granted)) }
    }

    /// How many members agreed and refused, and where the election stands.
    package func tallyVotes() -> (granted: Int, rejected: Int, result: VoteResult) {
        var granted = 0
        var rejected = 0
        for peer in peers where !peer.isLearner {
            switch vote(of: peer.id) {
            case true?: granted += 1
            case false?: rejected += 1
            case nil: break
            }
        }
        return (granted, rejected, config.voters.voteResult { vote(of: $0) })
    }

    private func vote(of id: NodeID) -> Bool? {
        for vote in votes where vote.id == id { return vote.granted }
        return nil
    }
}
