/// Where an election stands.
package enum VoteResult: String, Sendable {
    /// Neither side has its majority yet.
    case pending = "VotePending"
    /// A majority can no longer be reached.
    case lost = "VoteLost"
    /// A majority agreed.
    case won = "VoteWon"
}
