import Model

/// Receives the steps of a replica, each as one line of JSON without a line break.
///
/// The text is only built if the receiver asks for it.
/// - Shape: the schema of etcd's `state_trace.go`, so that the lines of a group, in the order in
///   which they came, can be checked by etcd's TLA+ validator (`tla/Traceetcdraft.tla`).
public typealias TraceHook = (() -> String) -> Void

/// The steps that are traced.
///
/// - Shape: the raw values are the names of etcd's schema. It has names for snapshots too, but
///   there as here these travel under the names of appends, which is what the validator reads.
enum TraceEvent: String, CaseIterable {
    case initState = "InitState"
    case becomeCandidate = "BecomeCandidate"
    case becomeFollower = "BecomeFollower"
    case becomeLeader = "BecomeLeader"
    case commit = "Commit"
    case replicate = "Replicate"
    case changeConf = "ChangeConf"
    case applyConfChange = "ApplyConfChange"
    case ready = "Ready"
    case sendAppendEntriesRequest = "SendAppendEntriesRequest"
    case receiveAppendEntriesRequest = "ReceiveAppendEntriesRequest"
    case sendAppendEntriesResponse = "SendAppendEntriesResponse"
    case receiveAppendEntriesResponse = "ReceiveAppendEntriesResponse"
    case sendRequestVoteRequest = "SendRequestVoteRequest"
    case receiveRequestVoteRequest = "ReceiveRequestVoteRequest"
    case sendRequestVoteResponse = "SendRequestVoteResponse"
    case receiveRequestVoteResponse = "ReceiveRequestVoteResponse"
    case sendSnapshot = "SendSnapshot"
    case receiveSnapshot = "ReceiveSnapshot"

    /// The step of sending a message; nil if the validator knows none of its kind.
    init?(sending type: MessageType) {
        switch type {
        case .append, .heartbeat, .snapshot: self = .sendAppendEntriesRequest
        case .appendResponse, .heartbeatResponse: self = .sendAppendEntriesResponse
        case .vote: self = .sendRequestVoteRequest
        case .voteResponse: self = .sendRequestVoteResponse
        default: return nil
        }
    }

    /// The step of receiving a message; nil if the validator knows none of its kind.
    init?(receiving type: MessageType) {
        switch type {
        case .append, .heartbeat, .snapshot: self = .receiveAppendEntriesRequest
        case .appendResponse, .heartbeatResponse: self = .receiveAppendEntriesResponse
        case .vote: self = .receiveRequestVoteRequest
        case .voteResponse: self = .receiveRequestVoteResponse
        default: return nil
        }
    }
}

/// What a step says beside the replica's state.
enum TraceProperty {
    case none
    /// How far a leader's own log is known to be durable, when it sends entries.
    case progress(match: LogIndex, next: LogIndex)
    /// The steps of a proposed change of members.
    case changes([ConfChangeSingle])
    /// The voters of a configuration that takes effect.
    case newConf([NodeID])
}

// MARK: Steps

extension RaftNode {
    @inline(__always)
    func trace(_ event: TraceEvent, _ property: @autoclosure () -> TraceProperty = .none) {
        guard let traceHook else { return }
        traceHook { traceLine(event, nil, property()) }
    }

    @inline(__always)
    func traceSent(_ message: borrowing Message) {
        guard let traceHook, let event = TraceEvent(sending: message.type) else { return }
        let message = copy message
        traceHook {
            var property = TraceProperty.none
            if message.type == .append, let place = tracker.place(of: message.from) {
                let own = tracker.peers[place]
                property = .progress(match: own.match, next: own.next)
            }
            return traceLine(event, message, property)
        }
    }

    @inline(__always)
    func traceReceived(_ message: Message) {
        guard let traceHook, let event = TraceEvent(receiving: message.type) else { return }
        traceHook { traceLine(event, message, .none) }
    }

    /// Entries that a leader is about to append; changes of members have a step of their own.
    func traceReplicated(_ entries: EntryList) {
        guard traceHook != nil else { return }
        for place in 0..<entries.count where entries.type(at: place) == .normal {
            trace(.replicate)
        }
    }

    func traceProposed(_ change: ConfChange) {
        let steps = change.changes.filter { $0.type != .updateNode }
        if !steps.isEmpty { trace(.changeConf, .changes(steps)) }
    }
}

// MARK: Text

extension RaftNode {
    /// One line: nothing in it needs an escape, for all texts are names and numbers of ours.
    private func traceLine(
        _ event: TraceEvent,
        _ message: Message?,
        _ property: TraceProperty
    ) -> String {
        let voters = tracker.config.voters
        var text = ""
        text.reserveCapacity(640)
        text += "{\"tag\":\"trace\",\"event\":{\"name\":\"\(event.rawValue)\""
        text += ",\"nid\":\"\(id)\",\"state\":{\"term\":\(term),\"vote\":\"\(vote)\""
        text += ",\"commit\":\(log.committed)},\"role\":\"\(role)\",\"log\":\(log.lastIndex)"
        text += ",\"conf\":[\(list(voters.incoming.ids)),\(list(voters.outgoing.ids))]"
        if let message { text += ",\"msg\":\(message.traceText)" }
        switch property {
        case .none: break
        case .progress(let match, let next):
            text += ",\"prop\":{\"match\":\(match),\"next\":\(next)}"
        case .changes(let steps):
            let changes = steps.map(\.traceText).joined(separator: ",")
            text += ",\"prop\":{\"cc\":{\"changes\":[\(changes)]}}"
        case .newConf(let ids): text += ",\"prop\":{\"cc\":{\"newconf\":\(list(ids))}}"
        }
        return text + "}}"
    }
}

private func list(_ ids: [NodeID]) -> String {
    "[" + ids.map { "\"\($0)\"" }.joined(separator: ",") + "]"
}

extension Message {
    /// The fields that the validator compares; a snapshot stands for all entries up to its end.
    fileprivate var traceText: String {
        let isSnapshot = type == .snapshot
        let count =
            isSnapshot ? (snapshot?.metadata.index.rawValue ?? 0) : UInt64(entries.count)
        return "{\"type\":\"\(type)\",\"term\":\(term),\"from\":\"\(from)\",\"to\":\"\(to)\""
            + ",\"entries\":\(count),\"logTerm\":\(isSnapshot ? 0 : logTerm)"
            + ",\"index\":\(isSnapshot ? 0 : index),\"commit\":\(commit),\"vote\":\"\(vote)\""
            + ",\"reject\":\(reject),\"rejectHint\":\(rejectHint)}"
    }
}

extension ConfChangeSingle {
    fileprivate var traceText: String {
        let action =
            switch type {
            case .addNode: "AddNewServer"
            case .removeNode: "RemoveServer"
            case .addLearnerNode: "AddLearner"
            case .updateNode: preconditionFailure("a step that changes no membership is not traced")
            }
        return "{\"nid\":\"\(node)\",\"action\":\"\(action)\"}"
    }
}
