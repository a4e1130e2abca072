import NIOCore

/// One way of sharing out partitions that a member offers, with what it says under that name.
struct GroupProtocol: Equatable, Sendable {
    let name: String
    let metadata: [UInt8]
}

/// The number of a request that waits for its answer.
struct GroupTicket: Hashable, Sendable {
    let rawValue: UInt64
}

/// A member of a consumer group, as the coordinator knows it.
struct GroupMember: Equatable, Sendable {
    /// The identity that the coordinator gave it; changes when a static member comes back.
    var id: String
    /// The identity that a static member brought along (`group.instance.id`).
    let instanceID: String?
    var clientID: String
    var clientHost: String
    var sessionTimeout: TimeAmount
    var rebalanceTimeout: TimeAmount
    /// In the member's order of preference.
    var protocols: [GroupProtocol]
    var assignment: [UInt8] = []
    /// The parked JoinGroup.
    var join: GroupTicket?
    /// The parked SyncGroup.
    var sync: GroupTicket?
    /// Whether it has never been part of a generation.
    var isNew = true
    /// Whether it has asked for its assignment in this generation.
    var hasSynced = false
    /// When the session ends, unless something is heard before.
    var deadline: NIODeadline

    /// Whether silence is expected: a client that waits for an answer sends no heartbeats.
    var isWaiting: Bool { !isNew && (join != nil || sync != nil) }

    /// What the member says under a protocol's name; empty if it does not offer it.
    func metadata(for name: String?) -> [UInt8] {
        protocols.first { $0.name == name }?.metadata ?? []
    }

    /// Roughly what the member occupies in memory and in the group's record.
    var byteCount: Int {
        var count = id.utf8.count + clientID.utf8.count + clientHost.utf8.count + assignment.count
        count += instanceID?.utf8.count ?? 0
        for offered in protocols { count += offered.name.utf8.count + offered.metadata.count }
        return count + 32
    }
}

/// A client that was given a member id and has not joined with it yet.
struct PendingMember: Equatable, Sendable {
    let id: String
    let deadline: NIODeadline
}
