public import NIOCore

/// The times and limits of consumer groups, with Kafka's names and defaults.
public struct GroupSettings: Sendable {
    /// Shortest session timeout that a member may ask for; `group.min.session.timeout.ms`, 6 s.
    public var sessionTimeoutMin: TimeAmount = .seconds(6)
    /// Longest session timeout that a member may ask for; `group.max.session.timeout.ms`, 30 min.
    public var sessionTimeoutMax: TimeAmount = .minutes(30)
    /// How long the first join of an empty group waits for others;
    /// `group.initial.rebalance.delay.ms`, 3 s.
    public var initialRebalanceDelay: TimeAmount = .seconds(3)
    /// How long a new member may wait for its first generation without a sign of life; 5 min.
    public var newMemberTimeout: TimeAmount = .minutes(5)
    /// Members of one group, pending ones counted apart; 1,000.
    public var membersMax = 1_000
    /// Bytes of protocols, identities and assignments of one group; 1 MiB less a batch's headers.
    public var groupBytesMax = 1_000_000
    /// Groups with members, or once stored, of one partition of `__consumer_offsets`; 10,000.
    public var groupsMax = 10_000
    /// Offsets of one group; 100,000.
    public var groupOffsetsMax = 100_000
    /// Bytes of the note that comes with a committed offset; `offset.metadata.max.bytes`, 4096.
    public var offsetMetadataBytesMax = 4_096
    /// Requests of one partition of `__consumer_offsets` that wait at the same time; 20,000.
    public var parkedRequestsMax = 20_000
    /// How long the offsets of an empty group are kept; `offsets.retention.minutes`, 7 days.
    public var offsetsRetention: TimeAmount = .hours(7 * 24)
    /// How often groups are looked through for expired offsets; 10 min.
    public var offsetsCheckInterval: TimeAmount = .minutes(10)
    /// The defaults.
    public init() {}
}

/// An instant as both clocks show it: one for deadlines, one for records.
struct GroupTime: Equatable, Sendable {
    /// Monotonic; every deadline is on this clock.
    let uptime: NIODeadline
    /// Milliseconds since 1970; goes into records only.
    let unixMilliseconds: Int64
}
