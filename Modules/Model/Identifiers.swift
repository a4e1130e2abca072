/// The number of a broker, unique in its cluster; Kafka clients see it as the node id.
///
/// - Shape: positive in a running daemon; -1 stands for "none" on Kafka's wire.
public struct BrokerID: WrappedInteger {
    /// The number itself.
    public let rawValue: Int32
    /// Wraps the number.
    @inlinable
    public init(rawValue: Int32) { self.rawValue = rawValue }
    /// Kafka's "no broker".
    public static let none = BrokerID(-1)
}

/// The number of a controller, unique among the cluster's controllers.
public struct ControllerID: WrappedInteger {
    /// The number itself; positive.
    public let rawValue: Int32
    /// Wraps the number.
    @inlinable
    public init(rawValue: Int32) { self.rawValue = rawValue }
}

/// A partition's number inside its topic, counted from 0.
public struct PartitionID: WrappedInteger {
    /// The number itself.
    public let rawValue: Int32
    /// Wraps the number.
    @inlinable
    public init(rawValue: Int32) { self.rawValue = rawValue }
}

/// The number of a Raft group; never reused in a cluster.
///
/// - Shape: 0 is invalid, 1 is the controllers' metadata group, partitions start at 1001.
public struct RaftGroupID: WrappedInteger {
    /// The number itself.
    public let rawValue: UInt64
    /// Wraps the number.
    @inlinable
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// The group of the controllers.
    public static let metadata = RaftGroupID(1)
    /// The first group id that is given to a partition.
    public static let firstPartition = RaftGroupID(1001)
}

/// A replica of a Raft group, once and for all time: owner and incarnation in one number.
///
/// - Shape: `owner << 32 | incarnation`; owner is a broker or controller number, incarnations
///   start at 1. 0 means "none", as in etcd.
/// - Invariant: never used twice in a group; a replica placed again gets a new incarnation.
public struct NodeID: WrappedInteger {
    /// The packed number.
    public let rawValue: UInt64
    /// Wraps the packed number.
    @inlinable
    public init(rawValue: UInt64) { self.rawValue = rawValue }
    /// Packs an owner and an incarnation.
    @inlinable
    public init(owner: Int32, incarnation: UInt32) {
        self.init(rawValue: UInt64(UInt32(bitPattern: owner)) << 32 | UInt64(incarnation))
    }
    /// Packs a broker and an incarnation.
    @inlinable
    public init(broker: BrokerID, incarnation: UInt32) {
        self.init(owner: broker.rawValue, incarnation: incarnation)
    }
    /// The number of the broker or controller that holds this replica.
    @inlinable
    public var owner: Int32 { Int32(truncatingIfNeeded: rawValue >> 32) }
    /// The broker that holds this replica.
    @inlinable
    public var broker: BrokerID { BrokerID(owner) }
    /// Which placement of the replica this is.
    @inlinable
    public var incarnation: UInt32 { UInt32(truncatingIfNeeded: rawValue) }
    /// No node.
    public static let none = NodeID(0)
}
