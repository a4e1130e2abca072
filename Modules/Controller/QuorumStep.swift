import Metadata
public import Model
public import Raft

/// The controllers' group as its leader sees it.
public struct QuorumView: Equatable, Sendable {
    /// How far another replica is.
    public struct Peer: Equatable, Sendable {
        /// The replica.
        public var node: NodeID
        /// The last entry that it is known to hold.
        public var match: LogIndex
        /// Whether it was heard lately.
        public var isActive: Bool
        /// The run of its process that was heard last; nil if none was, as for the leader itself.
        public var session: SessionID?

        /// Describes a replica.
        public init(node: NodeID, match: LogIndex, isActive: Bool, session: SessionID? = nil) {
            self.node = node
            self.match = match
            self.isActive = isActive
            self.session = session
        }
    }

    /// The leading replica.
    public var own: NodeID
    /// The members as far as changes of them were applied.
    public var members: ConfState
    /// The end of the leader's log.
    public var lastIndex: LogIndex
    /// The last entry that is committed.
    public var committed: LogIndex
    /// Every member, the leader too.
    public var peers: [Peer]

    /// Describes the group.
    public init(
        own: NodeID,
        members: ConfState,
        lastIndex: LogIndex,
        committed: LogIndex,
        peers: [Peer]
    ) {
        self.own = own
        self.members = members
        self.lastIndex = lastIndex
        self.committed = committed
        self.peers = peers
    }

    func peer(_ node: NodeID) -> Peer? { peers.first { $0.node == node } }

    func isActive(_ node: NodeID) -> Bool { node == own || peer(node)?.isActive == true }

    /// Whether a replica answers and has every entry up to `mark`.
    func hasCaughtUp(_ node: NodeID, _ mark: LogIndex) -> Bool {
        guard node != own else { return true }
        guard let peer = peer(node) else { return false }
        return peer.isActive && peer.match >= mark
    }

    /// Whether these voters could commit without waiting for one that is away.
    func isMajorityActive(of voters: [NodeID]) -> Bool {
        voters.count { isActive($0) } > voters.count / 2
    }
}

/// What the leader of the controllers does next so that they become those that the metadata want.
///
/// A function of what is so, without memory: a new leader simply goes on.
enum QuorumStep: Equatable {
    /// Nothing, until something changes.
    case wait(QuorumDelay)
    /// Record what has come about; once that is committed, a majority of the new members knows it.
    case record(ControllerMembers)
    /// Change the members; jointly if more than one changes.
    case change([ConfChangeSingle])
    /// Hand the leadership to a controller that stays.
    case transfer(NodeID)
}

/// Why a change of the controllers does not go on at the moment.
enum QuorumDelay: Equatable {
    /// A joint configuration is being left.
    case leavingJoint
    /// A replica that is to vote or to lead has not all entries yet, or does not answer.
    case catchingUp(NodeID)
    /// Too many of those that would be left do not answer.
    case noMajority

    /// The rest of the sentence "The controllers wait: ...".
    var text: String {
        switch self {
        case .leavingJoint: "a change of the members is being completed"
        case .catchingUp(let node):
            "controller \(node.owner) (incarnation \(node.incarnation)) has not all entries yet"
        case .noMajority: "too many of the controllers that would be left do not answer"
        }
    }
}

extension QuorumStep {
    /// The next step; nil if the group is what it is to be.
    ///
    /// 1. What has come about is recorded; only then does it count as done.
    /// 2. Learners that nobody wants any more go.
    /// 3. Who is to come is added as a learner, and filled.
    /// 4. One change gives votes to those that have caught up and takes those of who has to go.
    ///    One whose successor on the same controller is being filled keeps its vote until then.
    /// 5. A leader that has to go hands over first.
    /// - Parameter mark: the log's end a while ago, at most a second: who has reached it has
    ///   caught up.
    /// - Source: Raft thesis 4.2.1 and 4.2.2.
    static func next(
        for replicas: [ControllerReplica],
        in quorum: QuorumView,
        mark: LogIndex
    ) -> QuorumStep? {
        let members = quorum.members
        // RaftHost leaves it, whoever began it.
        guard members.votersOutgoing.isEmpty else { return .wait(.leavingJoint) }
        let all = members.voters + members.learners
        let joining = replicas.filter { $0.state == .joining }
        let leaving = replicas.filter { $0.state == .leaving }
        if joining.contains(where: { members.voters.contains($0.node) })
            || leaving.contains(where: { !all.contains($0.node) })
        {
            return .record(ControllerMembers(voters: members.voters, learners: members.learners))
        }
        if let learner = leaving.first(where: { members.learners.contains($0.node) }) {
            return .change([ConfChangeSingle(.removeNode, learner.node)])
        }
        if let newcomer = joining.first(where: { !all.contains($0.node) }) {
            return .change([ConfChangeSingle(.addLearnerNode, newcomer.node)])
        }
        return exchange(joining, leaving, quorum, mark)
    }

    private static func exchange(
        _ joining: [ControllerReplica],
        _ leaving: [ControllerReplica],
        _ quorum: QuorumView,
        _ mark: LogIndex
    ) -> QuorumStep? {
        let ready = joining.filter { quorum.hasCaughtUp($0.node, mark) }.map(\.node)
        let filling = joining.filter { !ready.contains($0.node) }
        let mayGo = leaving.filter { old in !filling.contains { $0.id == old.id } }.map(\.node)
        let going = mayGo.filter { $0 != quorum.own }
        let voters = quorum.members.voters.filter { !going.contains($0) } + ready
        let changes =
            ready.map { ConfChangeSingle(.addNode, $0) }
            + going.map { ConfChangeSingle(.removeNode, $0) }
        if !changes.isEmpty {
            guard quorum.isMajorityActive(of: voters) else { return .wait(.noMajority) }
            return .change(changes)
        }
        if mayGo.contains(quorum.own) {
            let stays = voters.filter { $0 != quorum.own }
            guard let heir = stays.first(where: { quorum.hasCaughtUp($0, mark) }) else {
                return .wait(.catchingUp(stays.first ?? quorum.own))
            }
            return .transfer(heir)
        }
        return filling.first.map { .wait(.catchingUp($0.node)) }
    }

    /// Why a controller must not go now, in words; nil if it may.
    ///
    /// Without it, those that are left must still be able to commit.
    static func refusal(
        toRemove id: ControllerID,
        _ replicas: [ControllerReplica],
        _ quorum: QuorumView
    ) -> String? {
        let gone = replicas.filter { $0.id == id || $0.state == .leaving }.map(\.node)
        guard quorum.members.voters.contains(where: { $0.owner == id.rawValue }) else { return nil }
        let left = quorum.members.voters.filter { !gone.contains($0) }
        guard !left.isEmpty else {
            return "controller \(id) is the last one: without it there is no metadata"
        }
        guard !quorum.isMajorityActive(of: left) else { return nil }
        let silent = left.filter { !quorum.isActive($0) }
        let answering = left.count - silent.count
        return """
            without controller \(id) only \(answering) of \(left.count) controllers would answer, \
            and \(left.count / 2 + 1) are needed: first bring back, remove or replace \
            \(silent.map { "controller \($0.owner)" }.joined(separator: ", "))
            """
    }
}
