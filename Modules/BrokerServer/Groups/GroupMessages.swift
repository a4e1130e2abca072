import NIOCore

/// A JoinGroup, freed of its wire format.
struct JoinRequest: Sendable {
    var memberID: String
    var instanceID: String?
    var clientID: String
    var clientHost: String
    var sessionTimeout: TimeAmount
    var rebalanceTimeout: TimeAmount
    var protocolType: String
    var protocols: [GroupProtocol]
    /// The id that the member gets if it has none; unique, drawn by the caller.
    var freshMemberID: String
    /// Whether a client without an id must come back with the one it is given (JoinGroup 4).
    var mustReturnWithID: Bool
    /// Whether the client understands SkipAssignment (JoinGroup 9).
    var understandsSkip: Bool
}

/// A member as its leader gets to see it.
struct JoinedMember: Equatable, Sendable {
    let memberID: String
    let instanceID: String?
    let metadata: [UInt8]
}

/// The answer to a JoinGroup.
struct JoinAnswer: Equatable, Sendable {
    var error: GroupError?
    var generation: Int32 = -1
    var protocolType: String?
    var protocolName: String?
    var leader = ""
    var skipsAssignment = false
    var memberID: String
    /// Filled for the leader only.
    var members: [JoinedMember] = []
}

/// A SyncGroup, freed of its wire format.
struct SyncRequest: Sendable {
    var memberID: String
    var instanceID: String?
    var generation: Int32
    var protocolType: String?
    var protocolName: String?
    /// From the leader: each member's share.
    var assignments: [(memberID: String, assignment: [UInt8])]
}

/// The answer to a SyncGroup.
struct SyncAnswer: Equatable, Sendable {
    var error: GroupError?
    var protocolType: String?
    var protocolName: String?
    var assignment: [UInt8] = []
}

/// One of the members that a LeaveGroup names.
struct LeavingMember: Equatable, Sendable {
    var memberID: String
    var instanceID: String?
}

/// What a group asks its surroundings to do; in order.
enum GroupAction: Equatable, Sendable {
    case answerJoin(GroupTicket, JoinAnswer)
    case answerSync(GroupTicket, SyncAnswer)
    /// Write the group's record; `ConsumerGroup.stored` must be called with the number afterwards.
    case store(GroupImage, StoreID)
}

/// The number of a write that a group waits for.
struct StoreID: Hashable, Sendable {
    let rawValue: UInt64
}

/// A group as its record in `__consumer_offsets` holds it.
struct GroupImage: Equatable, Sendable {
    struct Member: Equatable, Sendable {
        var id: String
        var instanceID: String?
        var clientID: String
        var clientHost: String
        var rebalanceTimeoutMilliseconds: Int32
        var sessionTimeoutMilliseconds: Int32
        var subscription: [UInt8]
        var assignment: [UInt8]
    }

    var protocolType: String
    var generation: Int32
    var protocolName: String?
    var leader: String?
    /// When the group entered its state, in milliseconds since 1970.
    var stateTimestamp: Int64
    var members: [Member]
}
