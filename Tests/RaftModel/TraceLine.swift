/// One line of a trace: a step of a replica, or what is known of its disk.
enum TraceLine {
    case step(TraceStep)
    case disk(DiskReport)
}

/// A step of a replica, in the schema of etcd's `state_trace.go`.
struct TraceStep {
    enum Name: String {
        case initState = "InitState"
        case becomeCandidate = "BecomeCandidate"
        case becomeFollower = "BecomeFollower"
        case becomeLeader = "BecomeLeader"
        case commit = "Commit"
        case replicate = "Replicate"
        case changeConf = "ChangeConf"
        case applyConfChange = "ApplyConfChange"
        case ready = "Ready"
        case sendAppend = "SendAppendEntriesRequest"
        case receiveAppend = "ReceiveAppendEntriesRequest"
        case sendAppendResponse = "SendAppendEntriesResponse"
        case receiveAppendResponse = "ReceiveAppendEntriesResponse"
        case sendVoteRequest = "SendRequestVoteRequest"
        case receiveVoteRequest = "ReceiveRequestVoteRequest"
        case sendVoteResponse = "SendRequestVoteResponse"
        case receiveVoteResponse = "ReceiveRequestVoteResponse"
        case sendSnapshot = "SendSnapshot"
        case receiveSnapshot = "ReceiveSnapshot"

        /// Whether it is about a message.
        var hasMessage: Bool { isSending || isReceiving }

        var isSending: Bool {
            switch self {
            case .sendAppend, .sendAppendResponse, .sendVoteRequest, .sendVoteResponse,
                .sendSnapshot:
                true
            default: false
            }
        }

        private var isReceiving: Bool {
            switch self {
            case .receiveAppend, .receiveAppendResponse, .receiveVoteRequest,
                .receiveVoteResponse, .receiveSnapshot:
                true
            default: false
            }
        }
    }

    var name: Name
    var node: UInt64
    var term: UInt64
    var vote: UInt64
    var commit: UInt64
    var role: Role
    /// The last index of the replica's log.
    var log: UInt64
    var configuration: Configuration
    var message: TraceMessage?
    var newVoters: [UInt64]?
    var changes: [MemberChange]?
}

enum Role: String {
    case follower = "StateFollower"
    case preCandidate = "StatePreCandidate"
    case candidate = "StateCandidate"
    case leader = "StateLeader"
}

struct TraceMessage {
    enum Kind: String {
        case append = "MsgApp"
        case appendResponse = "MsgAppResp"
        case vote = "MsgVote"
        case voteResponse = "MsgVoteResp"
        case snapshot = "MsgSnap"
        case heartbeat = "MsgHeartbeat"
        case heartbeatResponse = "MsgHeartbeatResp"
    }

    var kind: Kind
    var term: UInt64
    var from: UInt64
    var to: UInt64
    /// How many entries follow the one at `index`; the last index that a snapshot covers.
    var entries: UInt64
    var logTerm: UInt64
    var index: UInt64
    var commit: UInt64
    var isRejection: Bool
}

/// One step of a proposed change of members.
struct MemberChange: Equatable {
    enum Action: String {
        case addVoter = "AddNewServer"
        case remove = "RemoveServer"
        case addLearner = "AddLearner"
    }

    var node: UInt64
    var action: Action
}

/// What a replica's disk has confirmed, or was found to hold at a start.
struct DiskReport {
    enum Name: String {
        /// A write has returned: these entries replace what was at and after the first of them.
        case stored = "Stored"
        /// The replica starts; this is all that it has.
        case recovered = "Recovered"
    }

    struct Entries {
        var term: UInt64
        var first: UInt64
        var last: UInt64
    }

    var name: Name
    var node: UInt64
    /// Zero in a write that says nothing of term and vote.
    var term: UInt64
    var vote: UInt64
    var commit: UInt64
    /// The entry before the first one, for which a snapshot stands; zero if there is none.
    var snapshotIndex: UInt64
    var snapshotTerm: UInt64
    /// Entries of one term each, in their order.
    var entries: [Entries]
}

// MARK: Reading

extension TraceLine {
    /// Reads a line; the fields must be there in the order of the schema.
    init(_ text: String) throws(UnreadableLine) {
        var scanner = LineScanner(text)
        try scanner.skip("{\"tag\":")
        switch try scanner.text() {
        case "trace": self = .step(try scanner.step())
        case "simulator": self = .disk(try scanner.diskReport())
        default: throw scanner.failure("the tag")
        }
        try scanner.skip("}}")
        guard scanner.isAtEnd else { throw scanner.failure("the end") }
    }
}

extension LineScanner {
    fileprivate mutating func step() throws(UnreadableLine) -> TraceStep {
        try skip(",\"event\":{\"name\":")
        guard let name = TraceStep.Name(rawValue: try text()) else { throw failure("a step") }
        var step = try state(of: name)
        if isNext(",\"msg\":") { step.message = try message() }
        if isNext(",\"prop\":") { try readProperties(of: &step) }
        guard !name.hasMessage || step.message != nil else { throw failure("a message") }
        return step
    }

    private mutating func state(of name: TraceStep.Name) throws(UnreadableLine) -> TraceStep {
        try skip(",\"nid\":")
        let node = try node()
        try skip(",\"state\":{\"term\":")
        let term = try number()
        try skip(",\"vote\":")
        let vote = try self.node()
        try skip(",\"commit\":")
        let commit = try number()
        try skip("},\"role\":")
        guard let role = Role(rawValue: try text()) else { throw failure("a role") }
        try skip(",\"log\":")
        let log = try number()
        try skip(",\"conf\":[")
        let incoming = try nodes()
        try skip(",")
        let outgoing = try nodes()
        try skip("]")
        return TraceStep(
            name: name,
            node: node,
            term: term,
            vote: vote,
            commit: commit,
            role: role,
            log: log,
            configuration: Configuration(incoming: incoming, outgoing: outgoing)
        )
    }

    private mutating func message() throws(UnreadableLine) -> TraceMessage {
        try skip("{\"type\":")
        guard let kind = TraceMessage.Kind(rawValue: try text()) else {
            throw failure("a kind of message")
        }
        let term = try number(",\"term\":")
        try skip(",\"from\":")
        let from = try node()
        try skip(",\"to\":")
        let to = try node()
        let entries = try number(",\"entries\":")
        let logTerm = try number(",\"logTerm\":")
        let index = try number(",\"index\":")
        let commit = try number(",\"commit\":")
        try skip(",\"vote\":")
        _ = try node()
        try skip(",\"reject\":")
        let isRejection = isNext("true")
        if !isRejection { try skip("false") }
        _ = try number(",\"rejectHint\":")
        try skip("}")
        return TraceMessage(
            kind: kind,
            term: term,
            from: from,
            to: to,
            entries: entries,
            logTerm: logTerm,
            index: index,
            commit: commit,
            isRejection: isRejection
        )
    }

    private mutating func readProperties(of step: inout TraceStep) throws(UnreadableLine) {
        if isNext("{\"match\":") {
            _ = try number()
            _ = try number(",\"next\":")
            return try skip("}")
        }
        try skip("{\"cc\":{")
        if isNext("\"newconf\":") {
            step.newVoters = try nodes()
        } else {
            try skip("\"changes\":")
            step.changes = try list { (scanner) throws(UnreadableLine) in
                try scanner.memberChange()
            }
        }
        try skip("}}")
    }

    private mutating func memberChange() throws(UnreadableLine) -> MemberChange {
        try skip("{\"nid\":")
        let node = try node()
        try skip(",\"action\":")
        guard let action = MemberChange.Action(rawValue: try text()) else {
            throw failure("a change of members")
        }
        try skip("}")
        return MemberChange(node: node, action: action)
    }

    fileprivate mutating func diskReport() throws(UnreadableLine) -> DiskReport {
        try skip(",\"event\":{\"name\":")
        guard let name = DiskReport.Name(rawValue: try text()) else { throw failure("a report") }
        try skip(",\"nid\":")
        let node = try node()
        let stateTerm = try number(",\"state\":{\"term\":")
        try skip(",\"vote\":")
        let vote = try self.node()
        let commit = try number(",\"commit\":")
        let snapshotIndex = try number("},\"snapshot\":{\"index\":")
        let snapshotTerm = try number(",\"term\":")
        try skip("},\"entries\":")
        let entries = try list { (scanner) throws(UnreadableLine) in try scanner.entries() }
        var (next, term) = (snapshotIndex + 1, snapshotTerm)
        for run in entries {
            guard run.last >= run.first, run.term > 0, run.term >= term else {
                throw failure("entries whose terms do not fall")
            }
            term = run.term
            guard run.first == next || (name == .stored && next == snapshotIndex + 1) else {
                throw failure("entries without a gap")
            }
            next = run.last + 1
        }
        return DiskReport(
            name: name,
            node: node,
            term: stateTerm,
            vote: vote,
            commit: commit,
            snapshotIndex: snapshotIndex,
            snapshotTerm: snapshotTerm,
            entries: entries
        )
    }

    private mutating func entries() throws(UnreadableLine) -> DiskReport.Entries {
        let term = try number("[")
        let first = try number(",")
        let last = try number(",")
        try skip("]")
        return DiskReport.Entries(term: term, first: first, last: last)
    }
}
