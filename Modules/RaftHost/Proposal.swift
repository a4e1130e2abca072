public import Model
import NIOCore

/// When a proposal is answered: Kafka's `acks`.
public enum Acknowledgement: Sendable {
    /// As soon as it stands in the leader's log in memory (`acks=0`).
    case appended
    /// When the leader's log has it on stable storage (`acks=1`).
    case durable
    /// When it is committed: on stable storage on a majority (`acks=all`).
    case committed
}

/// How a proposal ended.
public enum ProposalOutcome: Equatable, Sendable {
    /// It reached the state that was asked for, at these positions.
    case done(baseOffset: Offset, index: LogIndex, term: Term)
    /// This replica does not lead, or lost leadership: the outcome of the batch is unknown.
    case notLeader(NodeID)
    /// Nothing was appended, because a limit is reached; trying again later may work.
    case refused(String)
}

/// A batch in the leader's log whose proposer still waits.
struct PendingProposal {
    let index: LogIndex
    let term: Term
    let baseOffset: Offset
    let acknowledgement: Acknowledgement
    let proposed: NIODeadline
    let completion: (ProposalOutcome) -> Void

    var done: ProposalOutcome { .done(baseOffset: baseOffset, index: index, term: term) }
}
