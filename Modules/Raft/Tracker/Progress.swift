import Model

/// How a leader sends to a peer.
public enum ProgressState: String, Sendable {
    /// One append at a time, until the place where the logs match is found.
    case probe = "StateProbe"
    /// As fast as the window allows, assuming that everything arrives.
    case replicate = "StateReplicate"
    /// Nothing, because the peer needs a snapshot first.
    case snapshot = "StateSnapshot"
}

/// What a leader knows about one member's log.
///
/// - Invariant: `match < next`.
public struct Progress: Sendable {
    /// The member.
    public let id: NodeID
    /// The highest entry known to be the same, and durable, there.
    public internal(set) var match: LogIndex
    /// The first entry that the next append will carry.
    public internal(set) var next: LogIndex
    /// How the leader sends.
    public internal(set) var state = ProgressState.probe
    /// The snapshot that was sent, while `state` is `snapshot`.
    public internal(set) var pendingSnapshot: LogIndex = 0
    /// Whether anything was heard from the member since quorum was checked last.
    public internal(set) var isRecentlyActive = false
    /// Whether it was heard from in the period before that.
    var wasRecentlyActive = false
    /// Whether no append may be sent before the member answers something.
    public internal(set) var isFlowPaused = false
    /// Whether the entries it needs next are being read from disk.
    public internal(set) var isWaitingForEntries = false
    /// Whether the member receives entries without voting.
    public internal(set) var isLearner = false
    /// The highest commit index sent to it in this leadership.
    var sentCommit: LogIndex = 0
    var inflights: Inflights

    package init(id: NodeID, match: LogIndex, next: LogIndex, inflights: Inflights) {
        self.id = id
        self.match = match
        self.next = next
        self.inflights = inflights
    }

    /// Whether nothing may be sent to the member now.
    public var isPaused: Bool {
        state == .snapshot || isFlowPaused || isWaitingForEntries
    }

    /// Whether the member was heard from in this period of the check of quorum or the last one.
    ///
    /// `isRecentlyActive` is false of everyone at the start of a period.
    public var isAnswering: Bool { isRecentlyActive || wasRecentlyActive }

    /// How many appends the member has not answered.
    public var inflightCount: Int { inflights.count }
}

// MARK: Transitions

extension Progress {
    /// Forgets everything at the start of a term, except whether the member votes.
    mutating func begin(match: LogIndex, next: LogIndex) {
        self.match = match
        self.next = next
        sentCommit = 0
        isRecentlyActive = false
        wasRecentlyActive = false
        enter(.probe)
    }

    /// Begins a new period of the check of quorum.
    mutating func beginPeriod() {
        wasRecentlyActive = isRecentlyActive
        isRecentlyActive = false
    }

    private mutating func enter(_ state: ProgressState) {
        self.state = state
        isFlowPaused = false
        isWaitingForEntries = false
        pendingSnapshot = 0
        inflights.reset()
    }

    /// Looks for the place where the logs match; after a snapshot that place is its end.
    mutating func becomeProbe() {
        let base = state == .snapshot ? max(match, pendingSnapshot) : match
        enter(.probe)
        next = base + 1
        sentCommit = min(sentCommit, base)
    }

    /// Sends ahead of the answers.
    mutating func becomeReplicate() {
        enter(.replicate)
        next = match + 1
    }

    /// Sends nothing until the snapshot has arrived or failed.
    mutating func becomeSnapshot(_ index: LogIndex) {
        enter(.snapshot)
        pendingSnapshot = index
        next = index + 1
        sentCommit = index
    }
}

// MARK: Sending and hearing

extension Progress {
    /// Accounts for an append of so many entries, which began at `next`.
    mutating func sentEntries(_ count: Int, bytes: Int) {
        switch state {
        case .replicate:
            if count > 0 {
                next += UInt64(count)
                inflights.add(next - 1, bytes: bytes)
            }
            isFlowPaused = inflights.isFull
        case .probe:
            if count > 0 { isFlowPaused = true }
        case .snapshot:
            preconditionFailure("append sent to \(id), which needs a snapshot")
        }
    }

    /// Whether the member has the whole log, knows what is committed, and is not waited for.
    func lacksNothing(_ lastIndex: LogIndex, _ commit: LogIndex) -> Bool {
        state == .replicate && match >= lastIndex && sentCommit == commit && !isPaused
    }

    /// Whether telling the member of this commit index would be news that it can use.
    func canBumpCommit(_ index: LogIndex) -> Bool {
        index > sentCommit && sentCommit + 1 < next
    }

    /// Takes an acknowledgement; false if it says nothing new.
    mutating func maybeUpdate(_ acknowledged: LogIndex) -> Bool {
        guard acknowledged > match else { return false }
        match = acknowledged
        next = max(next, acknowledged + 1)
        isFlowPaused = false
        return true
    }

    /// Takes a rejection of the append after `rejected`; false if it is out of date.
    mutating func maybeDecrease(rejected: LogIndex, hint: LogIndex) -> Bool {
        if state == .replicate {
            // Whatever is at or below the match cannot be rejected any more.
            guard rejected > match else { return false }
            next = match + 1
            sentCommit = min(sentCommit, match)
            return true
        }
        // A probe has one append under way: any other answer is an old one.
        guard rejected + 1 == next else { return false }
        next = max(min(rejected, hint + 1), match + 1)
        sentCommit = min(sentCommit, next - 1)
        isFlowPaused = false
        return true
    }
}

extension Progress: CustomStringConvertible {
    /// The progress in etcd's words, without the id.
    public var description: String {
        var text = "\(state.rawValue) match=\(match) next=\(next)"
        if isLearner { text += " learner" }
        if isPaused { text += " paused" }
        if pendingSnapshot > 0 { text += " pendingSnap=\(pendingSnapshot)" }
        if !isRecentlyActive { text += " inactive" }
        if inflights.count > 0 {
            text += " inflight=\(inflights.count)" + (inflights.isFull ? "[full]" : "")
        }
        return text
    }
}
