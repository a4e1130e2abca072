public import NIOCore

/// How a manager drives its groups.
public struct RaftHostOptions: Sendable {
    /// The time between two ticks of every group; 100 ms.
    public var tick: TimeAmount = .milliseconds(100)
    /// An election begins after this many to twice as many less one ticks without a leader; 10.
    public var electionTicks = 10
    /// The leader beats every so many ticks; 1.
    public var heartbeatTicks = 1
    /// A message carries at most so many bytes of entries, but always one entry; 1 MiB.
    public var messageBytesMax = 1 << 20
    /// A leader sends at most so many unanswered messages with entries to one replica; 64.
    public var inflightMessagesMax = 64
    /// A leader sends at most about so many unanswered bytes to one replica; 8 MiB.
    public var inflightBytesMax = 8 << 20
    /// A leader refuses proposals while so many bytes are uncommitted; 64 MiB.
    public var uncommittedBytesMax = 64 << 20
    /// A snapshot is taken after so many applied entries, if the state machine gives one; 10,000.
    public var snapshotEntries: UInt64 = 10_000
    /// A snapshot of which nothing is heard for so many ticks is sent again; 300.
    public var snapshotTicksMax = 300
    /// Replicas that lag far behind are sent so many bytes in a second, all together; 64 MiB.
    ///
    /// Not counted is what is still in memory; not held up is a group that has no majority else.
    public var catchUpBytesPerSecond = 64 << 20

    var catchUpBytesPerTick: Int {
        let ticks = max(1, 1_000_000_000 / max(1, tick.nanoseconds))
        return catchUpBytesPerSecond / Int(ticks)
    }

    /// The defaults.
    public init() {}
}
