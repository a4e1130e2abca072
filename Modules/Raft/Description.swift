import Model

/// Bytes between quotation marks, with escapes for what is not printable ASCII.
func quoted(_ bytes: [UInt8]) -> String {
    var text = "\""
    for byte in bytes {
        switch byte {
        case UInt8(ascii: "\""): text += "\\\""
        case UInt8(ascii: "\\"): text += "\\\\"
        case UInt8(ascii: "\n"): text += "\\n"
        case UInt8(ascii: "\r"): text += "\\r"
        case UInt8(ascii: "\t"): text += "\\t"
        case 0x20..<0x7f: text.unicodeScalars.append(UnicodeScalar(byte))
        default:
            let digits = String(byte, radix: 16)
            text += "\\x" + (digits.count == 1 ? "0" : "") + digits
        }
    }
    return text + "\""
}

private func list(_ ids: [NodeID]) -> String {
    "[" + ids.map(\.description).joined(separator: " ") + "]"
}

extension MessageType: CustomStringConvertible {
    /// The type's name in etcd's words.
    public var description: String {
        switch self {
        case .hup: "MsgHup"
        case .beat: "MsgBeat"
        case .propose: "MsgProp"
        case .append: "MsgApp"
        case .appendResponse: "MsgAppResp"
        case .vote: "MsgVote"
        case .voteResponse: "MsgVoteResp"
        case .snapshot: "MsgSnap"
        case .heartbeat: "MsgHeartbeat"
        case .heartbeatResponse: "MsgHeartbeatResp"
        case .unreachable: "MsgUnreachable"
        case .snapshotStatus: "MsgSnapStatus"
        case .checkQuorum: "MsgCheckQuorum"
        case .transferLeader: "MsgTransferLeader"
        case .timeoutNow: "MsgTimeoutNow"
        case .readIndex: "MsgReadIndex"
        case .readIndexResponse: "MsgReadIndexResp"
        case .preVote: "MsgPreVote"
        case .preVoteResponse: "MsgPreVoteResp"
        case .storageAppend: "MsgStorageAppend"
        case .storageAppendResponse: "MsgStorageAppendResp"
        case .storageApply: "MsgStorageApply"
        case .storageApplyResponse: "MsgStorageApplyResp"
        case .forgetLeader: "MsgForgetLeader"
        }
    }
}

extension EntryType: CustomStringConvertible {
    /// The type's name in etcd's words.
    public var description: String {
        switch self {
        case .normal: "EntryNormal"
        case .confChange: "EntryConfChange"
        case .confChangeV2: "EntryConfChangeV2"
        }
    }
}

extension RaftRole: CustomStringConvertible {
    /// The role's name in etcd's words.
    public var description: String {
        switch self {
        case .follower: "StateFollower"
        case .candidate: "StateCandidate"
        case .leader: "StateLeader"
        case .preCandidate: "StatePreCandidate"
        }
    }
}

extension HardState: CustomStringConvertible {
    /// Term, vote and commit index in etcd's words.
    public var description: String {
        "Term:\(term)" + (vote == .none ? "" : " Vote:\(vote)") + " Commit:\(commit)"
    }
}

extension SoftState: CustomStringConvertible {
    /// Leader and role in etcd's words.
    public var description: String { "Lead:\(leader) State:\(role)" }
}

extension ConfState: CustomStringConvertible {
    /// The members in etcd's words.
    public var description: String {
        "Voters:\(list(voters)) VotersOutgoing:\(list(votersOutgoing)) "
            + "Learners:\(list(learners)) LearnersNext:\(list(learnersNext)) "
            + "AutoLeave:\(autoLeave)"
    }
}

extension Snapshot: CustomStringConvertible {
    /// Which state it is, in etcd's words.
    public var description: String {
        "Index:\(metadata.index) Term:\(metadata.term) ConfState:\(metadata.confState)"
    }
}

extension Entry: CustomStringConvertible {
    /// Position, type and payload in etcd's words.
    public var description: String {
        var text: String
        if type == .normal {
            text = quoted(payload.copyBytes())
        } else {
            do {
                text = try ConfChange(bytes: payload.copyBytes()).shortDescription
            } catch {
                text = error.description
            }
        }
        if !text.isEmpty { text = " " + text }
        return "\(term)/\(index) \(type)\(text)"
    }
}

extension Message: CustomStringConvertible {
    /// The message in etcd's words, on several lines if it carries much.
    public var description: String { describe(indent: "") }

    private func describe(indent: String) -> String {
        var text = "\(indent)\(from.threadName)->\(to.threadName) \(type) Term:\(term) "
        text += "Log:\(logTerm)/\(index)"
        if reject { text += " Rejected (Hint: \(rejectHint))" }
        if commit != 0 { text += " Commit:\(commit)" }
        if vote != .none { text += " Vote:\(vote)" }
        if entries.count == 1 {
            text += " Entries:[\(entries[0])]"
        } else if !entries.isEmpty {
            text += " Entries:["
            for entry in entries { text += "\n\(indent)  \(entry)" }
            text += "\n\(indent)]"
        }
        if let snapshot, !snapshot.isEmpty { text += "\n\(indent)  Snapshot: \(snapshot)" }
        if !responses.isEmpty {
            text += " Responses:["
            for response in responses { text += "\n" + response.describe(indent: indent + "  ") }
            text += "\n\(indent)]"
        }
        return text
    }
}

extension NodeID {
    fileprivate var threadName: String {
        switch self {
        case .none: "None"
        case .localAppendThread: "AppendThread"
        case .localApplyThread: "ApplyThread"
        default: hexadecimal
        }
    }
}

extension ReadState: CustomStringConvertible {
    /// Index and request number.
    public var description: String { "{\(index) \(context)}" }
}

extension Ready: CustomStringConvertible {
    /// Everything that is to be done, in etcd's words.
    public var description: String {
        var text = ""
        if let softState { text += "\(softState)\n" }
        if let hardState { text += "HardState \(hardState)\n" }
        if !readStates.isEmpty {
            text += "ReadStates [" + readStates.map(\.description).joined(separator: " ") + "]\n"
        }
        if !entries.isEmpty { text += "Entries:\n" + lines(entries) }
        if let snapshot { text += "Snapshot \(snapshot)\n" }
        if !committedEntries.isEmpty { text += "CommittedEntries:\n" + lines(committedEntries) }
        if !messages.isEmpty { text += "Messages:\n" + lines(messages) }
        return text.isEmpty ? "<empty Ready>" : "Ready MustSync=\(mustSync):\n" + text
    }

    private func lines(_ items: some Sequence<some CustomStringConvertible>) -> String {
        items.map { "\($0)\n" }.joined()
    }
}
