public import Model

/// A replica to which nothing happens but time and heartbeats, in as few bytes as that takes.
///
/// `RaftNode.rest` makes one and `RaftNode.wake(from:)` takes up what has happened to it. Whatever
/// it accepts has exactly the effects of the node's own `tick` and `step`, messages included; what
/// it does not accept leaves it as it was, and is for the woken node.
/// - Shape: flat and without references, so that thousands can lie side by side.
/// - Invariant: `ticksLeft >= 1` and `ticksToBeat >= 1`, except in `awake`.
public struct RaftRest: Sendable {
    /// The replica.
    public let id: NodeID
    /// Who leads: the replica itself, another one, or none if unknown.
    public let leader: NodeID
    /// The term, in which all its heartbeats and answers are.
    public let term: Term
    /// The highest index known to be committed, which all its heartbeats carry.
    public let commit: LogIndex

    /// Ticks until an election, or until a leader's next check of the quorum.
    private(set) var ticksLeft: Int32
    /// What `ticksLeft` begins with, after a heartbeat or a check.
    private let period: Int32
    private(set) var ticksToBeat: Int32 = 1
    private var beatPeriod: Int32 = 1

    private var members = InlineArray<8, NodeID>(repeating: .none)
    /// How many members a leader has beside itself.
    public private(set) var peerCount = 0
    /// The members that were heard in this period, one bit each, and in the period before.
    private var heard: UInt8 = 0
    private var heardBefore: UInt8 = 0

    /// A leader of more other members stays awake.
    static let peersMax = 8

    /// A follower, or a leader whose members are still to be added.
    init(
        id: NodeID,
        leader: NodeID,
        term: Term,
        commit: LogIndex,
        ticksLeft: Int,
        period: Int
    ) {
        precondition(1 <= ticksLeft && ticksLeft <= period, "\(ticksLeft) of \(period) ticks")
        self.id = id
        self.leader = leader
        self.term = term
        self.commit = commit
        self.ticksLeft = Int32(ticksLeft)
        self.period = Int32(period)
    }

    /// Stands for a replica that does not rest: it takes nothing, and every tick is for the node.
    public static let awake = RaftRest()

    private init() {
        id = .none
        leader = .none
        term = 0
        commit = 0
        ticksLeft = 0
        period = 0
    }

    /// Whether it stands for a replica that does not rest.
    public var isAwake: Bool { period == 0 }

    /// Whether the replica leads.
    public var isLeader: Bool { leader == id && !isAwake }

    /// How many units of time ago a follower heard from its leader; 0 for a leader.
    public var leaderSilence: Int { isLeader ? 0 : Int(period - ticksLeft) }

    /// Another member of the group; `place` is below `peerCount`.
    public func peer(_ place: Int) -> NodeID { members[place] }

    /// Whether a leader has heard from a member in this period or the one before.
    public func isAnswering(_ node: NodeID) -> Bool {
        for place in 0..<peerCount where members[place] == node {
            return (heard | heardBefore) & 1 << UInt8(place) != 0
        }
        return false
    }

    private var allHeard: UInt8 { UInt8(truncatingIfNeeded: 1 << peerCount - 1) }
}

// MARK: Time and heartbeats

extension RaftRest {
    /// What comes of a tick.
    public enum TickOutcome: Equatable, Sendable {
        /// Nothing.
        case nothing
        /// A heartbeat is due to each member, in this term and with this commit index.
        case heartbeats
        /// Something else; the tick was not counted, and the node must be woken for it.
        case wake
    }

    /// Counts one unit of time.
    public mutating func tick() -> TickOutcome {
        if ticksLeft > 1 {
            ticksLeft -= 1
        } else {
            // All answer: the check of the quorum has one outcome only.
            guard isLeader, heard == allHeard else { return .wake }
            ticksLeft = period
            heardBefore = heard
            heard = 0
        }
        guard isLeader else { return .nothing }
        ticksToBeat -= 1
        guard ticksToBeat == 0 else { return .nothing }
        ticksToBeat = beatPeriod
        return .heartbeats
    }

    /// Takes a heartbeat that says only that the leader lives.
    ///
    /// - Returns: whether that is all it says; then a heartbeat response in this term is owed.
    public mutating func hearHeartbeat(
        from sender: NodeID,
        term: Term,
        commit: LogIndex
    ) -> Bool {
        guard !isLeader, sender == leader, leader != .none, term == self.term,
            commit <= self.commit
        else { return false }
        ticksLeft = period
        return true
    }

    /// Takes a member's answer to a heartbeat, in the answer's term.
    ///
    /// - Returns: whether it is one for this leader.
    public mutating func hearHeartbeatResponse(from sender: NodeID, term: Term) -> Bool {
        guard isLeader, term == self.term else { return false }
        for place in 0..<peerCount where members[place] == sender {
            heard |= 1 << UInt8(place)
            return true
        }
        return false
    }
}

// MARK: Falling asleep and waking up

extension RaftNode {
    /// This replica at rest; nil if more than time and heartbeats has to be expected.
    ///
    /// A follower rests whatever else it does. A leader rests when every member has all its
    /// entries and its commit index, and nothing waits for an answer.
    public var rest: RaftRest? {
        switch role {
        case .follower:
            let ticksLeft = randomizedElectionTicks - electionElapsed
            guard ticksLeft > 0 else { return nil }
            return RaftRest(
                id: id,
                leader: leader,
                term: term,
                commit: log.committed,
                ticksLeft: ticksLeft,
                period: randomizedElectionTicks
            )
        case .leader: return leaderRest
        case .candidate, .preCandidate: return nil
        }
    }

    private var leaderRest: RaftRest? {
        guard config.checkQuorum, reads.position == nil, transferee == .none,
            tracker.peers.count <= RaftRest.peersMax + 1
        else { return nil }
        var rest = RaftRest(
            id: id,
            leader: id,
            term: term,
            commit: log.committed,
            ticksLeft: config.electionTicks - electionElapsed,
            period: config.electionTicks
        )
        rest.beat(every: config.heartbeatTicks, next: config.heartbeatTicks - heartbeatElapsed)
        let last = log.lastIndex
        var isMember = false
        for peer in tracker.peers {
            if peer.id == id {
                isMember = peer.isRecentlyActive && !peer.isLearner
            } else {
                guard peer.lacksNothing(last, log.committed) else { return nil }
                rest.add(peer)
            }
        }
        return isMember ? rest : nil
    }

    /// Takes up what happened while this replica rested.
    public mutating func wake(from rest: RaftRest) {
        precondition(
            rest.id == id && rest.term == term && rest.leader == leader
                && rest.commit == log.committed && rest.isLeader == (role == .leader),
            "\(id.hexadecimal) changed while it rested"
        )
        guard role == .leader else {
            electionElapsed = randomizedElectionTicks - Int(rest.ticksLeft)
            return
        }
        electionElapsed = config.electionTicks - Int(rest.ticksLeft)
        heartbeatElapsed = config.heartbeatTicks - Int(rest.ticksToBeat)
        var place = 0
        for index in tracker.peers.indices where tracker.peers[index].id != id {
            precondition(rest.peer(place) == tracker.peers[index].id, "members changed at rest")
            rest.copyActivity(place, to: &tracker.peers[index])
            place += 1
        }
    }
}

extension RaftRest {
    fileprivate mutating func beat(every period: Int, next: Int) {
        precondition(1 <= next && next <= period, "\(next) of \(period) ticks")
        beatPeriod = Int32(period)
        ticksToBeat = Int32(next)
    }

    fileprivate mutating func add(_ peer: Progress) {
        let bit = UInt8(1) << UInt8(peerCount)
        if peer.isRecentlyActive { heard |= bit }
        if peer.wasRecentlyActive { heardBefore |= bit }
        members[peerCount] = peer.id
        peerCount += 1
    }

    fileprivate func copyActivity(_ place: Int, to peer: inout Progress) {
        let bit = UInt8(1) << UInt8(place)
        peer.isRecentlyActive = heard & bit != 0
        peer.wasRecentlyActive = heardBefore & bit != 0
    }
}
