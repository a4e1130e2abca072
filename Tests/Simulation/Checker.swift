import Model
import Raft
import RaftHost
import RaftLog

/// Holds every run to what Raft promises; a broken promise ends it.
///
/// It sees what replicas send, store, append, commit and apply, and remembers it independently of
/// them. Named after the invariants of etcd's TLA+ specification where they are the same.
final class Checker {
    /// One entry, as it was first seen.
    struct Fact: Equatable {
        var term: Term
        var chain: UInt64
        /// The producer's number of the batch; -1 for entries without records.
        var number: Int64
        var baseOffset: Offset
        var nextOffset: Offset
        /// Whether a leader's first entry or a change of members.
        var isInternal: Bool
    }

    struct EntryKey: Hashable {
        var group: RaftGroupID
        var index: LogIndex
        var term: Term
    }

    struct TermKey: Hashable {
        var group: RaftGroupID
        var term: Term
    }

    struct NodeKey: Hashable {
        var group: RaftGroupID
        var node: NodeID
    }

    struct BallotKey: Hashable {
        var node: NodeKey
        var term: Term
    }

    /// What a replica showed last, in this life of its process.
    struct Glimpse {
        var term: Term = 0
        var commit: LogIndex = 0
        var applied: LogIndex = 0
        var highWatermark: Offset = 0
        var configuration = ConfState()
    }

    /// An acknowledged batch.
    struct Receipt: Equatable {
        var number: Int64
        var index: LogIndex
        var term: Term
        var offset: Offset
    }

    /// The first broken promise; nil as long as all are kept.
    private(set) var violation: String?
    /// Whether it keeps its eyes shut: what happens is left to the model.
    let isBlind: Bool
    /// The committed entries of each group; the entry with index n stands at n - 1.
    private(set) var committed: [RaftGroupID: [Fact]] = [:]
    /// The terms in which they were committed.
    private var commitTerms: [RaftGroupID: [Term]] = [:]
    private(set) var receipts: [RaftGroupID: [Receipt]] = [:]
    /// The highest acknowledged entry of each group.
    private(set) var lastAcknowledged: [RaftGroupID: LogIndex] = [:]
    private var facts: [EntryKey: Fact] = [:]
    private var leaders: [TermKey: NodeID] = [:]
    /// Who was first seen to lead a term in this step.
    var newLeaders: [NodeID] = []
    private var ballots: [BallotKey: NodeID] = [:]
    private var glimpses: [NodeKey: Glimpse] = [:]
    /// What is known to be on each replica's stable storage.
    private(set) var shadows: [NodeKey: DurableShadow] = [:]
    private var unverified: [(group: RaftGroupID, node: NodeID, row: EntryRow)] = []
    private var untold: [(group: RaftGroupID, receipt: Receipt)] = []
    /// Replicas whose data was deleted for good.
    private var buried: Set<NodeKey> = []
    /// Replicas that know their data to be damaged.
    private var silenced: Set<NodeKey> = []

    init(isBlind: Bool = false) { self.isBlind = isBlind }

    func require(_ holds: Bool, _ promise: @autoclosure () -> String) {
        if !holds, !isBlind { fail(promise()) }
    }

    /// Ends the run with a broken promise.
    func fail(_ promise: String) {
        if violation == nil { violation = promise }
    }

    /// The last committed entry of a group.
    func commit(of group: RaftGroupID) -> LogIndex {
        LogIndex(UInt64(committed[group]?.count ?? 0))
    }

    func fact(_ group: RaftGroupID, _ index: LogIndex) -> Fact? {
        guard index > 0, let facts = committed[group], index.rawValue <= facts.count else {
            return nil
        }
        return facts[Int(index.rawValue) - 1]
    }
}

// MARK: Entries

extension Checker {
    /// An entry stands in a replica's log.
    ///
    /// LogMatchingInv: the same index and term is the same
    /// entry, with the same ones before it, since the chain covers them.
    func found(_ group: RaftGroupID, _ node: NodeID, _ row: EntryRow) {
        let fact = Fact(
            term: row.term,
            chain: row.chain,
            number: row.isBatch ? row.maxTimestamp : -1,
            baseOffset: row.baseOffset,
            nextOffset: row.nextOffset,
            isInternal: !row.isBatch
        )
        let key = EntryKey(group: group, index: row.index, term: row.term)
        if let known = facts[key] {
            require(
                known == fact,
                "LogMatching: group \(group) has two entries \(row.index): \(known), and on "
                    + "\(node.short) \(fact)"
            )
        } else {
            facts[key] = fact
        }
        if let before = self.fact(group, row.index - 1), let here = self.fact(group, row.index),
            here == fact
        {
            require(
                row.baseOffset == before.nextOffset,
                "DenseOffsets: \(row.index) begins at \(row.baseOffset), not \(before.nextOffset)"
            )
        }
    }

    func truncated(_ group: RaftGroupID, _ node: NodeID, from index: LogIndex) {
        let glimpse = glimpses[NodeKey(group: group, node: node)] ?? Glimpse()
        require(
            index > glimpse.commit,
            "CommittedImmutable: \(node.short) of group \(group) cut \(index) at commit "
                + "\(glimpse.commit)"
        )
    }

    /// Only what is on its own disk may a replica apply.
    func requireStable(_ group: RaftGroupID, _ node: NodeID, _ row: EntryRow) {
        require(
            shadows[NodeKey(group: group, node: node)]?.holds(row.index, row.term) ?? false,
            "AppliedIsStable: \(node.short) of group \(group) applied \(row.index) of term "
                + "\(row.term) before it was stored"
        )
    }

    /// A state machine took an entry.
    ///
    /// StateMachineSafety: no other one with that index.
    func applied(_ group: RaftGroupID, _ node: NodeID, _ row: EntryRow) {
        // What this very step has committed becomes known when the replica is looked at.
        guard let fact = fact(group, row.index) else {
            return unverified.append((group, node, row))
        }
        require(
            fact.chain == row.chain,
            "StateMachineSafety: \(node.short) of group \(group) applied another entry \(row.index)"
        )
    }

    func restored(_ group: RaftGroupID, _ node: NodeID, _ index: LogIndex, _ chain: UInt64) {
        require(
            fact(group, index)?.chain == chain,
            "StateMachineSafety: \(node.short) of group \(group) restored a snapshot at \(index) "
                + "that is not the group's"
        )
    }
}

// MARK: Messages and storage

extension Checker {
    /// A message leaves a replica for another one.
    func sent(_ group: RaftGroupID, _ message: Message) {
        let key = NodeKey(group: group, node: message.from)
        require(
            !buried.contains(key),
            "SilentAfterPurge: \(message.from.short) of group \(group) sent \(message.type)"
        )
        require(
            !silenced.contains(key),
            "SilentWhenDamaged: \(message.from.short) of group \(group) sent \(message.type)"
        )
        if message.type == .voteResponse, !message.reject {
            cast(BallotKey(node: key, term: message.term), message.to)
            let shadow = shadows[key] ?? DurableShadow()
            require(
                shadow.term > message.term
                    || (shadow.term == message.term && shadow.vote == message.to),
                "VoteIsDurable: \(message.from.short) of group \(group) granted term "
                    + "\(message.term) before it was stored"
            )
        }
        if message.type == .appendResponse, !message.reject, message.index > 0 {
            let shadow = shadows[key] ?? DurableShadow()
            require(
                shadow.lastIndex >= message.index,
                "AcknowledgedIsDurable: \(message.from.short) of group \(group) acknowledged "
                    + "\(message.index), and \(shadow.lastIndex) is stored"
            )
        }
    }

    /// ElectionSafety, a half of it: one vote per replica and term, across all its lives.
    private func cast(_ ballot: BallotKey, _ candidate: NodeID) {
        let known = ballots[ballot] ?? candidate
        require(
            known == candidate,
            "OneVotePerTerm: \(ballot.node.node.short) of group \(ballot.node.group) voted for "
                + "\(known.short) and \(candidate.short) in term \(ballot.term)"
        )
        ballots[ballot] = candidate
    }

    /// A message to the disk is on its way.
    func storing(_ group: RaftGroupID, _ node: NodeID, _ message: Message) {
        let key = NodeKey(group: group, node: node)
        shadows[key, default: DurableShadow()].expect(message)
    }

    /// What a message to the disk asked for has reached stable storage.
    func stored(_ group: RaftGroupID, _ node: NodeID, _ message: Message) {
        let key = NodeKey(group: group, node: node)
        shadows[key, default: DurableShadow()].take(message)
        if message.term != 0, message.vote != .none {
            cast(BallotKey(node: key, term: message.term), message.vote)
        }
    }

    /// A replica has come up from its disk: everything that was stable must be there.
    func recovered(_ replica: Replica) {
        let key = NodeKey(group: replica.id, node: replica.nodeID)
        glimpses[key] = Glimpse()
        // What it had acknowledged counts as long as its answers are on their way.
        if replica.isSuspect { return }
        silenced.remove(key)
        let log = replica.log
        if let shadow = shadows[key] {
            let found = log.hardState
            let name = "\(replica.nodeID.short) of group \(replica.id)"
            require(
                found.term > shadow.term
                    || (found.term == shadow.term
                        && (shadow.vote == .none || found.vote == shadow.vote)),
                "StoredVoteSurvives: \(name) came back in term \(found.term)"
            )
            require(
                log.lastIndex >= shadow.certainIndex,
                "StoredEntriesSurvive: \(name) came back with \(log.lastIndex) of "
                    + "\(shadow.certainIndex)"
            )
            let common = min(log.lastIndex, shadow.certainIndex)
            if let term = try? log.term(at: common), let stored = shadow.term(at: common) {
                require(
                    term == stored,
                    "StoredEntriesSurvive: \(name) came back with another entry \(common)"
                )
            }
        }
        shadows[key] = DurableShadow(of: log)
    }

    /// A replica is gone with its disk, or was deleted.
    func lost(_ group: RaftGroupID, _ node: NodeID, isPurged: Bool) {
        let key = NodeKey(group: group, node: node)
        glimpses[key] = nil
        guard isPurged else { return }
        // What a lost disk has acknowledged still counts where the answer is on its way.
        shadows[key] = nil
        buried.insert(key)
    }
}

// MARK: Replicas

extension Checker {
    /// Looks at a replica after a step of its process.
    func look(at replica: Replica) {
        let key = NodeKey(group: replica.id, node: replica.nodeID)
        let name = "\(replica.nodeID.short) of group \(replica.id)"
        if replica.isSuspect {
            silenced.insert(key)
            return require(
                !replica.acceptsProposals && !replica.leadership.isLeader,
                "SilentWhenDamaged: \(name) is suspect and leads"
            )
        }
        let before = glimpses[key] ?? Glimpse()
        let now = Glimpse(
            term: replica.term,
            commit: replica.commit,
            applied: replica.applied,
            highWatermark: replica.highWatermark,
            // As it was applied, whatever the core counts by.
            configuration: replica.configuration
        )
        require(
            now.term >= before.term && now.commit >= before.commit
                && now.applied >= before.applied && now.highWatermark >= before.highWatermark,
            "Monotonic: \(name) went back from \(before) to \(now)"
        )
        require(
            replica.log.firstIndex - 1 <= now.applied && now.applied <= now.commit
                && now.commit <= replica.core.lastIndex,
            "Order: \(name) has first \(replica.log.firstIndex), applied \(now.applied), "
                + "commit \(now.commit), last \(replica.core.lastIndex)"
        )
        glimpses[key] = now
        lookAtStable(replica, shadows[key] ?? DurableShadow(), name)
        if replica.core.role == .leader { lookAtLeader(replica, name) }
        if now.commit > commit(of: replica.id) {
            // A change of members is committed by the old ones, what follows by the new ones.
            extend(replica, name, [now.configuration, before.configuration])
        }
        if now.applied > 0, now.applied != before.applied,
            let fact = fact(replica.id, now.applied)
        {
            require(
                now.highWatermark == fact.nextOffset,
                "HighWatermark: \(name) shows \(now.highWatermark), committed is \(fact.nextOffset)"
            )
        }
    }

    /// Judges what was applied and acknowledged in this step, now that its commits are known.
    func endStep() {
        let applied = unverified
        unverified.removeAll(keepingCapacity: true)
        for (group, node, row) in applied {
            require(
                fact(group, row.index)?.chain == row.chain,
                "StateMachineSafety: \(node.short) of group \(group) applied \(row.index), which "
                    + "is not committed"
            )
        }
        let told = untold
        untold.removeAll(keepingCapacity: true)
        for (group, receipt) in told { judge(group, receipt) }
    }

    /// What the core takes for stored is stored, and no write on its way replaces it.
    private func lookAtStable(_ replica: Replica, _ shadow: DurableShadow, _ name: String) {
        guard let stable = replica.core.log.stableIndex, stable >= replica.log.firstIndex,
            let term = try? replica.log.term(at: stable)
        else { return }
        require(
            shadow.certainIndex >= stable && shadow.holds(stable, term),
            "StableIsStored: \(name) takes \(stable) of term \(term) for stored, certain is "
                + "\(shadow.certainIndex)"
        )
    }

    /// MoreThanOneLeaderInv, ElectionSafetyInv, LeaderCompletenessInv.
    private func lookAtLeader(_ replica: Replica, _ name: String) {
        let key = TermKey(group: replica.id, term: replica.term)
        if let known = leaders[key] {
            return require(
                known == replica.nodeID,
                "OneLeaderPerTerm: \(known.short) and \(name) in term \(replica.term)"
            )
        }
        leaders[key] = replica.nodeID
        newLeaders.append(replica.nodeID)
        for half in [replica.configuration.voters, replica.configuration.votersOutgoing] {
            let granted = half.filter { node in
                let voter = NodeKey(group: replica.id, node: node)
                return ballots[BallotKey(node: voter, term: replica.term)] == replica.nodeID
            }
            require(
                half.isEmpty || 2 * granted.count > half.count,
                "VotesAreDurable: \(name) leads term \(replica.term) by the stored votes of "
                    + "\(granted.map(\.short)) of \(half.map(\.short))"
            )
        }
        // One that is elected late, by votes that were long on their way, need not have what was
        // committed in a later term.
        let count = commitTerms[replica.id]?.count { $0 < replica.term } ?? 0
        let last = LogIndex(UInt64(count))
        guard last > 0, let fact = fact(replica.id, last) else { return }
        let term = try? replica.log.term(at: last)
        // Entries older than a snapshot are covered by it.
        require(
            term == fact.term || last < replica.log.firstIndex,
            "LeaderCompleteness: \(name) leads term \(replica.term) without the committed \(last)"
        )
    }

    /// CommittedIsDurableInv, QuorumLogInv: what becomes committed is stored on a quorum.
    private func extend(_ replica: Replica, _ name: String, _ configurations: [ConfState]) {
        var index = commit(of: replica.id) + 1
        while index <= replica.commit {
            guard let term = try? replica.log.term(at: index),
                let fact = facts[EntryKey(group: replica.id, index: index, term: term)]
            else { return require(false, "\(name) committed the unknown entry \(index)") }
            let isDurable = configurations.contains { configuration in
                [configuration.voters, configuration.votersOutgoing].allSatisfy { half in
                    half.isEmpty
                        || 2 * holders(of: index, term, replica.id, half).count > half.count
                }
            }
            require(
                isDurable,
                "CommittedIsDurable: \(name) committed \(index) of term \(term), stored on "
                    + "\(holders(of: index, term, replica.id, replica.members).map(\.short)) of "
                    + "\(replica.configuration)"
            )
            let before = self.fact(replica.id, index - 1)
            require(
                fact.baseOffset == before?.nextOffset ?? 0,
                "DenseOffsets: \(index) begins at \(fact.baseOffset)"
            )
            committed[replica.id, default: []].append(fact)
            commitTerms[replica.id, default: []].append(replica.term)
            index += 1
        }
    }
}

extension Checker {
    /// Which of the replicas have an entry on stable storage.
    private func holders(
        of index: LogIndex,
        _ term: Term,
        _ group: RaftGroupID,
        _ nodes: [NodeID]
    ) -> [NodeID] {
        nodes.filter { shadows[NodeKey(group: group, node: $0)]?.term(at: index) == term }
    }
}

// MARK: Clients

extension Checker {
    /// A producer was told that its batch is committed.
    func acknowledged(_ group: RaftGroupID, _ receipt: Receipt) {
        untold.append((group, receipt))
    }

    private func judge(_ group: RaftGroupID, _ receipt: Receipt) {
        let fact = fact(group, receipt.index)
        require(
            fact?.number == receipt.number && fact?.term == receipt.term
                && fact?.baseOffset == receipt.offset,
            "Acknowledged: batch \(receipt.number) of group \(group) is not the committed "
                + "entry \(receipt.index)"
        )
        receipts[group, default: []].append(receipt)
        lastAcknowledged[group] = max(lastAcknowledged[group] ?? 0, receipt.index)
    }

    /// At the end, everything that was ever acknowledged stands where it was said to stand.
    func checkReceipts() {
        for (group, receipts) in receipts {
            for receipt in receipts {
                let fact = fact(group, receipt.index)
                require(
                    fact?.number == receipt.number && fact?.baseOffset == receipt.offset,
                    "Acknowledged: batch \(receipt.number) of group \(group) is lost"
                )
            }
        }
    }
}
