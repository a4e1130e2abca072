/// A position in a Raft log; the first entry has index 1, and 0 means "before the log".
public struct LogIndex: SteppableInteger {
    /// The position itself.
    public let rawValue: UInt64
    /// Wraps the position.
    @inlinable
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// A Raft term, and Kafka's leader epoch; 0 means "before the first election".
public struct Term: SteppableInteger {
    /// The term itself.
    public let rawValue: UInt64
    /// Wraps the term.
    @inlinable
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The term as Kafka's 32-bit leader epoch; saturates at `Int32.max`.
    @inlinable
    public var leaderEpoch: Int32 { Int32(clamping: rawValue) }
}

/// A Kafka offset: the number of a record in its partition, dense and counted from 0.
public struct Offset: SteppableInteger {
    /// The number itself; negative values are Kafka's special requests.
    public let rawValue: Int64
    /// Wraps the number.
    @inlinable
    public init(rawValue: Int64) { self.rawValue = rawValue }
}

/// The version of the cluster's metadata: the metadata group's applied index.
public struct MetadataVersion: SteppableInteger {
    /// The version itself.
    public let rawValue: UInt64
    /// Wraps the version.
    @inlinable
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// The epoch of a controller leader: the term of the metadata group.
public struct ControllerEpoch: SteppableInteger {
    /// The epoch itself.
    public let rawValue: UInt64
    /// Wraps the epoch.
    @inlinable
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}
