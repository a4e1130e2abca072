import Model

/// Why a change cannot be applied to the current members.
package struct ConfChangeError: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String
}

/// Works out the members after a change, and what a leader starts to know about new ones.
///
/// Each operation either changes `config` and `peers` together or throws and changes neither.
package struct ConfChanger {
    package private(set) var config: MemberConfig
    package private(set) var peers: [Progress]
    /// The end of the log: where a new member's progress begins.
    package var lastIndex: LogIndex
    private let window: Inflights

    package init(_ tracker: ProgressTracker, lastIndex: LogIndex) {
        self.config = tracker.config
        self.peers = tracker.peers
        self.lastIndex = lastIndex
        self.window = tracker.newInflights()
    }

    /// Makes the current voters the outgoing half and applies the steps to the incoming one.
    package mutating func enterJoint(
        autoLeave: Bool,
        _ changes: [ConfChangeSingle]
    ) throws(ConfChangeError) {
        var next = try checked()
        if next.config.voters.isJoint {
            throw ConfChangeError(description: "config is already joint")
        }
        if next.config.voters.incoming.isEmpty {
            throw ConfChangeError(description: "can't make a zero-voter config joint")
        }
        next.config.voters.outgoing = next.config.voters.incoming
        try next.apply(changes)
        next.config.autoLeave = autoLeave
        self = try next.checked()
    }

    /// Drops the outgoing half and makes learners of those who were to become some.
    package mutating func leaveJoint() throws(ConfChangeError) {
        var next = try checked()
        guard next.config.voters.isJoint else {
            throw ConfChangeError(description: "can't leave a non-joint config")
        }
        for id in next.config.learnersNext.ids {
            next.config.learners.insert(id)
            next.withProgress(of: id) { $0.isLearner = true }
        }
        next.config.learnersNext = MajorityConfig()
        for id in next.config.voters.outgoing.ids
        where !next.config.voters.incoming.contains(id) && !next.config.learners.contains(id) {
            next.peers.removeAll { $0.id == id }
        }
        next.config.voters.outgoing = MajorityConfig()
        next.config.autoLeave = false
        self = try next.checked()
    }

    /// Applies steps that change one voter at most, so that old and new majorities overlap.
    package mutating func simple(_ changes: [ConfChangeSingle]) throws(ConfChangeError) {
        var next = try checked()
        if next.config.voters.isJoint {
            throw ConfChangeError(description: "can't apply simple config change in joint config")
        }
        try next.apply(changes)
        if config.voters.incoming.differenceCount(next.config.voters.incoming) > 1 {
            throw ConfChangeError(
                description: "more than one voter changed without entering joint config"
            )
        }
        self = try next.checked()
    }

    /// Applies a change in the way that it asks for.
    package mutating func apply(_ change: ConfChange) throws(ConfChangeError) {
        if change.leavesJoint { return try leaveJoint() }
        let (isJoint, autoLeave) = change.joint
        if isJoint { return try enterJoint(autoLeave: autoLeave, change.changes) }
        try simple(change.changes)
    }

    /// Goes from no members at all to those of a snapshot.
    ///
    /// A joint configuration is reached by the way that led there: first its outgoing voters one
    /// by one, then one joint step that replaces them by all the others.
    package mutating func restore(_ state: ConfState) throws(ConfChangeError) {
        var incoming: [ConfChangeSingle] = []
        incoming += state.votersOutgoing.map { ConfChangeSingle(.removeNode, $0) }
        incoming += state.voters.map { ConfChangeSingle(.addNode, $0) }
        incoming += state.learners.map { ConfChangeSingle(.addLearnerNode, $0) }
        incoming += state.learnersNext.map { ConfChangeSingle(.addLearnerNode, $0) }
        if state.votersOutgoing.isEmpty {
            for change in incoming { try simple([change]) }
        } else {
            for id in state.votersOutgoing { try simple([ConfChangeSingle(.addNode, id)]) }
            try enterJoint(autoLeave: state.autoLeave, incoming)
        }
        let sorted = ConfState(
            voters: state.voters,
            votersOutgoing: state.votersOutgoing,
            learners: state.learners,
            learnersNext: state.learnersNext,
            autoLeave: state.autoLeave
        )
        guard config.confState == sorted else {
            throw ConfChangeError(description: "ConfStates not equivalent: \(state)")
        }
    }
}

// MARK: Steps

extension ConfChanger {
    private mutating func apply(_ changes: [ConfChangeSingle]) throws(ConfChangeError) {
        for change in changes where change.node != .none {
            switch change.type {
            case .addNode: makeVoter(change.node)
            case .addLearnerNode: makeLearner(change.node)
            case .removeNode: remove(change.node)
            case .updateNode: break
            }
        }
        if config.voters.incoming.isEmpty {
            throw ConfChangeError(description: "removed all voters")
        }
    }

    private mutating func makeVoter(_ id: NodeID) {
        config.learners.remove(id)
        config.learnersNext.remove(id)
        config.voters.incoming.insert(id)
        if !withProgress(of: id, { $0.isLearner = false }) {
            addProgress(id, isLearner: false)
        }
    }

    private mutating func makeLearner(_ id: NodeID) {
        guard let place = peers.firstIndex(where: { $0.id == id }) else {
            config.learners.insert(id)
            return addProgress(id, isLearner: true)
        }
        if peers[place].isLearner { return }
        config.voters.incoming.remove(id)
        config.learners.remove(id)
        config.learnersNext.remove(id)
        if config.voters.outgoing.contains(id) {
            // It votes in the outgoing half, so that it can only be a learner afterwards.
            config.learnersNext.insert(id)
        } else {
            config.learners.insert(id)
            peers[place].isLearner = true
        }
    }

    private mutating func remove(_ id: NodeID) {
        config.voters.incoming.remove(id)
        config.learners.remove(id)
        config.learnersNext.remove(id)
        // An outgoing voter still votes, and is sent entries, until the joint config is left.
        if !config.voters.outgoing.contains(id) { peers.removeAll { $0.id == id } }
    }

    private mutating func addProgress(_ id: NodeID, isLearner: Bool) {
        var progress = Progress(id: id, match: 0, next: max(lastIndex, 1), inflights: window)
        progress.isLearner = isLearner
        // Nobody has had the time to hear from it: it must not make the next quorum check fail.
        progress.isRecentlyActive = true
        peers.insert(progress, at: peers.firstIndex { $0.id > id } ?? peers.endIndex)
    }

    @discardableResult
    private mutating func withProgress(of id: NodeID, _ body: (inout Progress) -> Void) -> Bool {
        guard let place = peers.firstIndex(where: { $0.id == id }) else { return false }
        body(&peers[place])
        return true
    }
}

// MARK: Invariants

extension ConfChanger {
    private func checked() throws(ConfChangeError) -> ConfChanger {
        if let flaw { throw ConfChangeError(description: flaw) }
        return self
    }

    private var flaw: String? {
        for id in config.voters.ids + config.learners.ids + config.learnersNext.ids
        where !peers.contains(where: { $0.id == id }) {
            return "no progress for \(id)"
        }
        let marked = peers.filter(\.isLearner).map(\.id)
        for id in config.learnersNext.ids {
            if !config.voters.outgoing.contains(id) {
                return "\(id) is in LearnersNext, but not Voters[1]"
            }
            if marked.contains(id) {
                return "\(id) is in LearnersNext, but is already marked as learner"
            }
        }
        for id in config.learners.ids {
            if config.voters.outgoing.contains(id) { return "\(id) is in Learners and Voters[1]" }
            if config.voters.incoming.contains(id) { return "\(id) is in Learners and Voters[0]" }
            if !marked.contains(id) { return "\(id) is in Learners, but is not marked as learner" }
        }
        if !config.voters.isJoint {
            if !config.learnersNext.isEmpty {
                return "cfg.LearnersNext must be nil when not joint"
            }
            if config.autoLeave { return "AutoLeave must be false when not joint" }
        }
        return nil
    }
}
