import Model

// MARK: Input

extension RaftNode {
    /// Takes a message of a peer, or a local thread's response.
    ///
    /// - Throws: `RaftError`; the message had no effect, except that a dropped proposal or a
    ///   refused append may already have made this replica a follower of the sender's term.
    public mutating func step(_ message: Message) throws(RaftError) {
        if message.type.isLocal, !message.from.isLocalThread { throw .localMessage }
        if message.type.isResponse, !message.from.isLocalThread, !tracker.contains(message.from) {
            throw .peerNotFound
        }
        if !message.from.isLocalThread {
            if let flaw = message.flaw { throw .malformed(flaw) }
            // To itself it only agrees; a request to hand over names the target as sender.
            if message.from == id, message.type != .transferLeader,
                !message.type.waitsForDurability || message.reject
            {
                throw .malformed("message in this replica's own name")
            }
        }
        try handle(message)
    }

    /// Stands for election now.
    public mutating func campaign() throws(RaftError) {
        try handle(Message(type: .hup))
    }

    /// Appends a payload to the log, or forwards it to the leader.
    ///
    /// - Throws: `RaftError.proposalDropped`; then it was not appended.
    public mutating func propose(_ payload: Payload) throws(RaftError) {
        let entries = EntryList(Entry(payload: payload))
        try handle(Message(type: .propose, from: id, entries: entries))
    }

    /// Appends payloads to the log in one step, or forwards them to the leader.
    ///
    /// - Throws: `RaftError.proposalDropped`; then none of them was appended.
    public mutating func propose(_ payloads: [Payload]) throws(RaftError) {
        precondition(!payloads.isEmpty, "\(id.hexadecimal) stepped empty MsgProp")
        let entries = EntryList(payloads.map { Entry(payload: $0) })
        try handle(Message(type: .propose, from: id, entries: entries))
    }

    /// Proposes a change of members; the empty one asks to leave a joint configuration.
    ///
    /// The change happens when the owner applies the entry by `applyConfChange`. If another one
    /// is under way, an empty entry is appended instead.
    /// - Throws: `RaftError.proposalDropped`, or `malformed` if the old type cannot express it.
    public mutating func proposeConfChange(
        _ change: ConfChange,
        as type: EntryType = .confChangeV2
    ) throws(RaftError) {
        switch type {
        case .confChangeV2: break
        case .confChange where change.transition == .auto && change.changes.count == 1: break
        default: throw .malformed("conf change of another type")
        }
        var message = Message(type: .propose)
        message.entries = [Entry(type: type, payload: Payload(change.bytes))]
        try handle(message)
    }

    /// Asks for the index that a linearizable read must wait for; see `Ready.readStates`.
    ///
    /// Nothing comes back if the leader is unknown or changes meanwhile.
    public mutating func readIndex(context: UInt64) {
        try? handle(Message(type: .readIndex, context: context))
    }

    /// Asks the leader, this replica or another, to hand leadership to a voter.
    public mutating func transferLeadership(to node: NodeID) {
        try? handle(Message(type: .transferLeader, from: node))
    }

    /// Forgets who leads, so that this replica may vote for another in a later term.
    ///
    /// It stays in its term and follows the leader again on the next message from it.
    public mutating func forgetLeader() {
        try? handle(Message(type: .forgetLeader))
    }

    /// Learns that a message to a member was lost.
    public mutating func reportUnreachable(_ node: NodeID) {
        try? handle(Message(type: .unreachable, from: node))
    }

    /// Learns whether a snapshot reached a member.
    public mutating func reportSnapshot(_ node: NodeID, failed: Bool) {
        try? handle(Message(type: .snapshotStatus, from: node, reject: failed))
    }
}

// MARK: Output

/// What a replica knows, to look at.
public struct RaftStatus: Sendable {
    /// The replica.
    public let id: NodeID
    /// Term, vote and commit index.
    public let hardState: HardState
    /// Leader and role.
    public let softState: SoftState
    /// The last applied entry.
    public let applied: LogIndex
    /// The last entry.
    public let lastIndex: LogIndex
    /// The members.
    public let confState: ConfState
    /// What is known of each member, sorted by id; empty unless this replica leads.
    public let progress: [Progress]
    /// Who shall lead next; none unless a transfer is under way.
    public let transferee: NodeID
}

extension RaftNode {
    /// The highest index known to be committed.
    public var commit: LogIndex { log.committed }

    /// The last entry that was applied.
    public var applied: LogIndex { log.applied }

    /// The last entry, durable or not.
    public var lastIndex: LogIndex { log.lastIndex }

    /// The members, as far as they were applied.
    public func confState() -> ConfState { tracker.config.confState }

    /// What this replica knows of a member's log; meaningful while it leads.
    public func progress(of node: NodeID) -> Progress? {
        tracker.place(of: node).map { tracker.peers[$0] }
    }

    /// Everything at once, copied.
    public var status: RaftStatus {
        RaftStatus(
            id: id,
            hardState: hardState,
            softState: softState,
            applied: applied,
            lastIndex: lastIndex,
            confState: confState(),
            progress: role == .leader ? tracker.peers : [],
            transferee: transferee
        )
    }
}
