public import Model
public import Raft

/// Which stream to a daemon a message takes; nothing on one waits for anything on the other.
public enum RaftLane: CaseIterable, Hashable, Sendable {
    /// Heartbeats, votes, answers, and fresh entries.
    case live
    /// Old entries and snapshots.
    case catchUp
}

/// Carries Raft messages to other daemons; implemented by RaftTransport and by simulations.
///
/// - Thread: the event loop of the groups.
public protocol RaftSender: AnyObject {
    /// Queues a message for its receiver's owner; it may be lost, as on any network.
    ///
    /// `chain` is the running hash of the entry before the first one in the message.
    func send(_ group: RaftGroupID, _ message: Message, chain: UInt64?, on lane: RaftLane)

    /// Whether the lane for catching up to a daemon has room for more old entries now.
    func takesCatchUp(to owner: Int32) -> Bool

    /// Queues a round of heartbeats for a daemon; it may be lost.
    func send(_ round: HeartbeatRound, to owner: Int32)

    /// Queues the answer to a daemon's round of heartbeats; it may be lost.
    func send(_ answers: HeartbeatAnswers, to owner: Int32)

    /// Sends what was queued in this turn of the event loop.
    func flush()
}

/// A Raft message as it arrived from another daemon.
public struct ReceivedMessage: Sendable {
    /// The group that it belongs to.
    public var group: RaftGroupID
    /// The message.
    public var message: Message
    /// The sender's running hash of the entry before the message's first one.
    public var chain: UInt64?

    /// Describes an arrived message.
    public init(group: RaftGroupID, message: Message, chain: UInt64?) {
        self.group = group
        self.message = message
        self.chain = chain
    }
}

/// Takes Raft messages from other daemons; implemented by `RaftManager`.
///
/// - Thread: the event loop of the groups.
public protocol RaftMessageSink: AnyObject {
    /// Takes the messages of one frame, in order.
    func receive(_ messages: [ReceivedMessage])

    /// Takes a daemon's round of heartbeats, whose senders all belong to that daemon.
    func receive(_ round: HeartbeatRound, from owner: Int32)

    /// Takes a daemon's answer to a round of heartbeats of this one.
    func receive(_ answers: HeartbeatAnswers, from owner: Int32)

    /// Learns that a daemon's incoming stream was opened.
    func peerConnected(_ owner: Int32)

    /// Learns that a daemon's incoming stream ended: its process may be gone.
    func peerDisconnected(_ owner: Int32)

    /// Learns that messages to a replica were dropped because its queue was full or down.
    func peerUnreachable(_ group: RaftGroupID, _ node: NodeID)
}
