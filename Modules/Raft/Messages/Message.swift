import Model

/// What a replica sends to another one, to itself, or to its storage.
///
/// Which fields mean something depends on the type; the others keep their zero.
public struct Message: Sendable {
    /// What it asks or answers.
    public var type: MessageType
    /// The receiver.
    public var to: NodeID
    /// The sender; for `transferLeader` the node that shall lead.
    public var from: NodeID
    /// The sender's term; 0 for local messages.
    public var term: Term
    /// The term of the entry at `index`; in a rejection, of the one at `rejectHint`.
    public var logTerm: Term
    /// The entry before `entries`; in a response, the entry that is answered for.
    public var index: LogIndex
    /// New entries, without gaps.
    public var entries: EntryList
    /// The sender's commit index.
    public var commit: LogIndex
    /// The vote to store, in `storageAppend`.
    public var vote: NodeID
    /// Whether the answer is no.
    public var reject: Bool
    /// In a rejected append: where the logs may match.
    public var rejectHint: LogIndex
    /// A read request's number; in heartbeats the number of reads waiting, in votes `transfer`.
    public var context: UInt64?
    /// What to deliver once a storage message has been carried out.
    ///
    /// That of a `storageApply` is made when it is asked for: the same entries go back.
    public var responses: [Message] {
        get { isAnsweredByItself ? [applyResponse] : storedResponses ?? [] }
        set {
            isAnsweredByItself = false
            storedResponses = newValue
        }
    }

    private var storedResponses: [Message]?
    private var isAnsweredByItself = false
    private var box: SnapshotBox?

    /// The snapshot to install.
    public var snapshot: Snapshot? {
        get { box?.snapshot }
        set { box = newValue.map(SnapshotBox.init) }
    }

    /// Makes a message; what is not given stays zero.
    public init(
        type: MessageType,
        to: NodeID = .none,
        from: NodeID = .none,
        term: Term = 0,
        logTerm: Term = 0,
        index: LogIndex = 0,
        entries: EntryList = EntryList(),
        commit: LogIndex = 0,
        vote: NodeID = .none,
        snapshot: Snapshot? = nil,
        reject: Bool = false,
        rejectHint: LogIndex = 0,
        context: UInt64? = nil,
        responses: [Message] = []
    ) {
        self.type = type
        self.to = to
        self.from = from
        self.term = term
        self.logTerm = logTerm
        self.index = index
        self.entries = entries
        self.commit = commit
        self.vote = vote
        self.reject = reject
        self.rejectHint = rejectHint
        self.context = context
        self.storedResponses = responses.isEmpty ? nil : responses
        self.box = snapshot.map(SnapshotBox.init)
    }

    /// Asks to apply entries; its only response is `applyResponse`.
    init(applying entries: EntryList, by id: NodeID) {
        self.init(type: .storageApply, to: .localApplyThread, from: id, entries: entries)
        isAnsweredByItself = true
    }

    /// What tells a replica that the entries of this `storageApply` were applied.
    public var applyResponse: Message {
        precondition(type == .storageApply, "\(type) is not answered by its entries")
        return Message(
            type: .storageApplyResponse,
            to: from,
            from: .localApplyThread,
            entries: entries
        )
    }

    /// The context of a vote request that a leader asked for: leases do not hold against it.
    public static let transfer: UInt64 = 1
}

/// Keeps the rare snapshot out of every other message's bytes.
private final class SnapshotBox: Sendable {
    let snapshot: Snapshot

    init(_ snapshot: Snapshot) { self.snapshot = snapshot }
}

extension NodeID {
    /// The receiver of messages that ask for a durable write.
    public static let localAppendThread = NodeID(UInt64.max)
    /// The receiver of messages that ask to apply committed entries.
    public static let localApplyThread = NodeID(UInt64.max - 1)

    /// Whether it stands for this replica's storage instead of a node.
    public var isLocalThread: Bool { self == .localAppendThread || self == .localApplyThread }
}

// MARK: Messages from outside

extension Message {
    /// The highest term and index that a message may name.
    ///
    /// Far above what a group can reach, and low enough that counting on from it cannot overflow.
    public static let positionMax: UInt64 = 1 << 62

    /// Whether a peer may have sent this: not local, not in storage's name, sound in itself.
    ///
    /// Whoever reads messages from a network asks this first and drops what fails.
    public var isAcceptableFromPeer: Bool {
        !type.isLocal && type != .forgetLeader && !from.isLocalThread && responses.isEmpty
            && flaw == nil
    }

    /// What makes the message impossible, whoever sent it; nil if it is sound.
    var flaw: String? {
        let limit = Self.positionMax
        guard from != .none else { return "no sender" }
        guard term != 0 || type == .propose || type == .readIndex else { return "no term" }
        guard term.rawValue <= limit, logTerm.rawValue <= limit else { return "term too high" }
        guard index.rawValue <= limit, rejectHint.rawValue <= limit, commit.rawValue <= limit
        else { return "index too high" }
        switch type {
        case .append: return appendFlaw
        case .propose: return entries.isEmpty ? "proposal without entries" : nil
        case .snapshot:
            guard let metadata = snapshot?.metadata else { return "snapshot is missing" }
            guard metadata.index.rawValue <= limit, metadata.term <= term else {
                return "snapshot from the future"
            }
            return nil
        default: return nil
        }
    }

    private var appendFlaw: String? {
        var (lastTerm, lastIndex) = (logTerm, index)
        for place in 0..<entries.count {
            let (term, index) = (entries.term(at: place), entries.index(at: place))
            guard index == lastIndex + 1 else { return "entries with a gap" }
            guard term >= lastTerm else { return "entries with falling terms" }
            (lastTerm, lastIndex) = (term, index)
        }
        return lastTerm <= term ? nil : "entries from the future"
    }
}
