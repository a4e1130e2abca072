import Metadata
import Model
import Raft

/// A group as its leader sees it while its replicas are reassigned.
struct GroupView {
    /// The leading replica.
    var own: NodeID
    /// The members as far as changes of them were applied.
    var members: ConfState
    /// The newest target that the group has accepted; 0 for none.
    var accepted: MetadataVersion
    /// Whether an entry that was proposed after these members came into force is committed.
    ///
    /// A majority of them has it, and with it the news that they are in force: whoever of them is
    /// left can elect a leader without asking those who have gone.
    var isSettled: Bool
    /// The log's end a while ago, at most a second: who has reached it has caught up.
    ///
    /// - Source: Raft thesis 4.2.1: a last round of replication shorter than an election timeout.
    var mark: LogIndex
    /// How far a member's log is known to match, and whether the member answers.
    var progress: (NodeID) -> (match: LogIndex, isActive: Bool)?

    fileprivate var all: [NodeID] { members.voters + members.votersOutgoing + members.learners }

    func isActive(_ node: NodeID) -> Bool {
        node == own || progress(node)?.isActive == true
    }

    fileprivate func hasCaughtUp(_ node: NodeID) -> Bool {
        guard node != own else { return true }
        guard let (match, isActive) = progress(node) else { return false }
        return isActive && match >= mark
    }

    /// Whether these voters could commit without waiting for one that is away.
    fileprivate func isMajorityActive(of voters: [NodeID]) -> Bool {
        voters.count { isActive($0) } > voters.count / 2
    }
}

/// What the leader of a group does next so that its members become those that the metadata want.
///
/// A function of what is so, without memory: a new leader simply goes on.
enum ReassignmentStep: Equatable {
    /// Nothing, until something changes.
    case wait(ReassignmentDelay)
    /// Let the group accept the target, by its version; again when it has let replicas go.
    case accept(MetadataVersion)
    /// Change the members; jointly if more than one changes.
    case change([ConfChangeSingle])
    /// Hand the leadership to a replica that stays.
    case transfer(NodeID)
    /// Nothing any more: the members are those that were wanted.
    case finished
}

/// Why a reassignment does not go on at the moment.
enum ReassignmentDelay: Equatable {
    /// The group has accepted a newer target than this broker's metadata hold.
    case metadataOutdated
    /// A joint configuration is being left.
    case leavingJoint
    /// A replica that is to come does not run yet.
    case notStarted(NodeID)
    /// A replica that is to vote has not all entries yet, or does not answer.
    case catchingUp(NodeID)
    /// Too many of those that would be left do not answer.
    case noMajority
}

extension ReassignmentStep {
    /// Whether the step adds a learner.
    var beginsFilling: Bool {
        guard case .change(let changes) = self else { return false }
        return changes.contains { $0.type == .addLearnerNode }
    }

    /// The learner that is being filled.
    var filling: NodeID? {
        guard case .wait(.catchingUp(let node)) = self else { return nil }
        return node
    }

    /// The next step towards the target of a partition; nil if it has none.
    ///
    /// 1. The group accepts the target, so that no leader with older metadata acts against it.
    /// 2. Learners that nobody wants go. A damaged replica goes before its successor comes, which
    ///    needs its place on disk.
    /// 3. What is to come is added as learners, one after the other, as soon as it runs.
    /// 4. When all of them have caught up, one change gives them their votes and takes those of
    ///    the others. A leader that has to go keeps its vote until it has found a successor.
    /// 5. The group accepts the target once more before anything that has gone is purged, so that
    ///    a majority of those that are left knows that it is gone.
    static func next(for info: PartitionInfo, in group: GroupView) -> ReassignmentStep? {
        guard let reassignment = info.reassignment else { return nil }
        if group.accepted > reassignment.version { return .wait(.metadataOutdated) }
        // RaftHost leaves it, whoever began it.
        guard group.members.votersOutgoing.isEmpty else { return .wait(.leavingJoint) }
        let hasGone = info.removing.contains { !group.all.contains($0.node) }
        if group.accepted < reassignment.version || (hasGone && !group.isSettled) {
            return .accept(reassignment.version)
        }
        let target = reassignment.target
        if let step = clear(info, target, group) { return step }
        let missing = target.filter { !group.all.contains($0) }
        if let node = missing.first(where: { info.replica($0)?.isStarted == true }) {
            return .change([ConfChangeSingle(.addLearnerNode, node)])
        }
        if let node = missing.first { return .wait(.notStarted(node)) }
        return exchange(target, reassignment.version, group)
    }

    /// Step 2: takes out what stands in the way.
    private static func clear(
        _ info: PartitionInfo,
        _ target: [NodeID],
        _ group: GroupView
    ) -> ReassignmentStep? {
        if let node = group.members.learners.first(where: { !target.contains($0) }) {
            return .change([ConfChangeSingle(.removeNode, node)])
        }
        let succeeding = info.desired.filter { !$0.isStarted }
        let blocking = group.members.voters.first { node in
            guard !target.contains(node), let replica = info.replica(node) else { return false }
            return succeeding.contains {
                $0.broker == replica.broker && $0.directoryID == replica.directoryID
            }
        }
        guard let blocking else { return nil }
        let rest = group.members.voters.filter { $0 != blocking }
        guard !rest.isEmpty, group.isMajorityActive(of: rest) else { return .wait(.noMajority) }
        guard blocking != group.own else { return handOver(to: rest, group) }
        return .change([ConfChangeSingle(.removeNode, blocking)])
    }

    /// Step 4: exchanges the votes.
    private static func exchange(
        _ target: [NodeID],
        _ version: MetadataVersion,
        _ group: GroupView
    ) -> ReassignmentStep {
        let newcomers = group.members.learners
        if let node = newcomers.first(where: { !group.hasCaughtUp($0) }) {
            return .wait(.catchingUp(node))
        }
        let leaving = group.members.voters.filter { !target.contains($0) && $0 != group.own }
        let changes =
            newcomers.map { ConfChangeSingle(.addNode, $0) }
            + leaving.map { ConfChangeSingle(.removeNode, $0) }
        guard !changes.isEmpty else {
            guard target.contains(group.own) else { return handOver(to: target, group) }
            return group.isSettled ? .finished : .accept(version)
        }
        guard group.isMajorityActive(of: target) else { return .wait(.noMajority) }
        return .change(changes)
    }

    /// The first of these voters that could lead at once, which is the preferred one if it can.
    private static func handOver(to voters: [NodeID], _ group: GroupView) -> ReassignmentStep {
        guard let node = voters.first(where: { $0 != group.own && group.hasCaughtUp($0) }) else {
            return .wait(.catchingUp(voters.first { $0 != group.own } ?? group.own))
        }
        return .transfer(node)
    }

    /// Whether the controllers should be told of a group's members: it has reached its target, or
    /// let replicas go that the metadata still hold.
    static func isNews(_ info: PartitionInfo, _ group: GroupView) -> Bool {
        guard let reassignment = info.reassignment, group.accepted == reassignment.version,
            group.isSettled, group.members.votersOutgoing.isEmpty
        else { return false }
        return next(for: info, in: group) == .finished
            || info.removing.contains { !group.all.contains($0.node) }
    }
}
