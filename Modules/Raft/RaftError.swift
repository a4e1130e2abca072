import Model

/// Why a call of `RaftNode` had no effect.
public enum RaftError: Error, Equatable, Sendable {
    /// There is no leader to take the proposal, or the leader takes none now.
    case proposalDropped
    /// Only this replica itself may step such a message.
    case localMessage
    /// The answer comes from a node that is no member.
    case peerNotFound
    /// No replica that follows the rules sends such a message.
    case malformed(String)
    /// The leader has committed entries that this replica acknowledged and no longer has.
    case lostEntries(commit: LogIndex, lastIndex: LogIndex)
    /// The leader's entry differs from one that this replica knows to be committed.
    case conflictsWithCommitted(index: LogIndex, commit: LogIndex)
    /// The configuration of the node contradicts itself.
    case invalidConfig(String)
}

extension RaftError: CustomStringConvertible {
    /// The error as a sentence; the first three in etcd's words.
    public var description: String {
        switch self {
        case .proposalDropped: "raft proposal dropped"
        case .localMessage: "raft: cannot step raft local message"
        case .peerNotFound: "raft: cannot step as peer not found"
        case .malformed(let flaw): "raft: malformed message: \(flaw)"
        case .lostEntries(let commit, let lastIndex):
            "raft: tocommit(\(commit)) is out of range [lastIndex(\(lastIndex))]. "
                + "Was the raft log corrupted, truncated, or lost?"
        case .conflictsWithCommitted(let index, let commit):
            "raft: entry \(index) conflict with committed entry [committed(\(commit))]"
        case .invalidConfig(let flaw): "raft: \(flaw)"
        }
    }
}
