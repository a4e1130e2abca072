import NIOCore

/// One consumer group: Kafka's classic group protocol as a value without clock, log or socket.
///
/// Inputs are the members' requests, `tick` and `stored`; each returns what to do, in order.
/// - Invariant: a parked request is answered exactly once, except by being dropped with the group.
/// - Invariant: members stand in the order in which they joined; the leader is one of them.
/// - Source: Apache Kafka, the classic (pre KIP-848) group coordinator; KIP-345, KIP-394.
struct ConsumerGroup: Sendable {
    /// Where a group stands; the raw values are the names in DescribeGroups.
    enum State: String, CaseIterable, Sendable {
        /// No members; perhaps offsets.
        case empty = "Empty"
        /// Waiting for every member to join the next generation.
        case preparingRebalance = "PreparingRebalance"
        /// Waiting for the leader to share out the partitions.
        case completingRebalance = "CompletingRebalance"
        /// Every member can have its share.
        case stable = "Stable"
        /// No longer kept here.
        case dead = "Dead"
    }

    /// The first generation of a group waits, so that members that start together join together.
    struct InitialDelay: Equatable, Sendable {
        var remaining: TimeAmount
        var hasNewMember: Bool
    }

    /// What happens once a write has returned.
    enum StorePurpose: Equatable, Sendable {
        case assignment(generation: Int32)
        case staticReturn(GroupTicket, JoinAnswer)
        case empty
    }

    let id: String
    let settings: GroupSettings
    var state = State.empty
    var stateTimestamp: Int64
    var generation: Int32 = 0
    var protocolType: String?
    var protocolName: String?
    /// The member that shares out the partitions.
    var leader: String?
    var members: [GroupMember] = []
    var pending: [PendingMember] = []
    /// While preparing: when to go on without those who have not joined.
    var rebalanceDeadline: NIODeadline?
    var initialDelay: InitialDelay?
    /// When members that never asked for their assignment are thrown out.
    var syncDeadline: NIODeadline?
    var storing: [(id: StoreID, purpose: StorePurpose)] = []
    var nextStore: UInt64 = 1
    var actions: [GroupAction] = []
    /// No deadline lies before this.
    private(set) var wakeAt = NIODeadline.distantFuture

    /// Makes an empty group.
    init(id: String, settings: GroupSettings, now: GroupTime) {
        self.id = id
        self.settings = settings
        self.stateTimestamp = now.unixMilliseconds
    }

    /// Brings back a group from its record; every session starts anew.
    init(id: String, image: GroupImage, settings: GroupSettings, now: GroupTime) {
        self.init(id: id, settings: settings, now: now)
        state = image.members.isEmpty ? .empty : .stable
        stateTimestamp = image.stateTimestamp
        generation = image.generation
        protocolType = image.protocolType
        protocolName = image.protocolName
        leader = image.leader
        for stored in image.members {
            let session = TimeAmount.milliseconds(Int64(stored.sessionTimeoutMilliseconds))
            var member = GroupMember(
                id: stored.id,
                instanceID: stored.instanceID,
                clientID: stored.clientID,
                clientHost: stored.clientHost,
                sessionTimeout: session,
                rebalanceTimeout: .milliseconds(Int64(stored.rebalanceTimeoutMilliseconds)),
                protocols: [
                    GroupProtocol(
                        name: image.protocolName ?? "",
                        metadata: stored.subscription
                    )
                ],
                assignment: stored.assignment,
                deadline: now.uptime + session
            )
            member.isNew = false
            member.hasSynced = true
            members.append(member)
            schedule(member.deadline)
        }
    }

    /// The group as its record would hold it now.
    var image: GroupImage {
        GroupImage(
            protocolType: protocolType ?? "",
            generation: generation,
            protocolName: protocolName,
            leader: leader,
            stateTimestamp: stateTimestamp,
            members: members.map { member in
                GroupImage.Member(
                    id: member.id,
                    instanceID: member.instanceID,
                    clientID: member.clientID,
                    clientHost: member.clientHost,
                    rebalanceTimeoutMilliseconds: member.rebalanceTimeout.wireMilliseconds,
                    sessionTimeoutMilliseconds: member.sessionTimeout.wireMilliseconds,
                    subscription: member.metadata(for: protocolName),
                    assignment: member.assignment
                )
            }
        )
    }

    /// Whether nothing would be lost by forgetting the group, offsets aside.
    var isIdle: Bool { state == .empty && members.isEmpty && pending.isEmpty && storing.isEmpty }

    /// Ends the group here: every parked request is answered with the error.
    mutating func die(_ error: GroupError) -> [GroupAction] {
        for member in members.indices {
            answerJoin(member, JoinAnswer(error: error, memberID: members[member].id))
            answerSync(member, SyncAnswer(error: error))
        }
        for store in storing {
            if case .staticReturn(let ticket, let answer) = store.purpose {
                actions.append(
                    .answerJoin(ticket, JoinAnswer(error: error, memberID: answer.memberID))
                )
            }
        }
        storing = []
        members = []
        pending = []
        state = .dead
        return drain()
    }
}

// MARK: Parts that several inputs share

extension ConsumerGroup {
    /// The member with this id.
    func index(of memberID: String) -> Int? { members.firstIndex { $0.id == memberID } }

    /// The static member with this instance id.
    func index(ofInstance instanceID: String) -> Int? {
        members.firstIndex { $0.instanceID == instanceID }
    }

    /// Whether a request comes from a member as it is known now.
    func validate(_ memberID: String, instanceID: String?) -> GroupError? {
        guard let instanceID else { return index(of: memberID) == nil ? .unknownMemberID : nil }
        guard let member = index(ofInstance: instanceID) else { return .unknownMemberID }
        return members[member].id == memberID ? nil : .fencedInstanceID
    }

    /// The longest time that any member takes to join again.
    var rebalanceTimeout: TimeAmount {
        members.map(\.rebalanceTimeout).max() ?? .zero
    }

    mutating func transition(to next: State, _ now: GroupTime) {
        state = next
        stateTimestamp = now.unixMilliseconds
    }

    mutating func answerJoin(_ member: Int, _ answer: JoinAnswer) {
        guard let ticket = members[member].join else { return }
        members[member].join = nil
        actions.append(.answerJoin(ticket, answer))
    }

    mutating func answerSync(_ member: Int, _ answer: SyncAnswer) {
        guard let ticket = members[member].sync else { return }
        members[member].sync = nil
        actions.append(.answerSync(ticket, answer))
    }

    /// Starts the member's session anew.
    mutating func renew(_ member: Int, _ now: GroupTime) {
        members[member].deadline = now.uptime + members[member].sessionTimeout
        schedule(members[member].deadline)
    }

    mutating func store(_ purpose: StorePurpose, image: GroupImage) {
        let store = StoreID(rawValue: nextStore)
        nextStore += 1
        storing.append((store, purpose))
        actions.append(.store(image, store))
    }

    mutating func schedule(_ deadline: NIODeadline) { wakeAt = min(wakeAt, deadline) }

    mutating func schedule(only deadlines: [NIODeadline]) {
        wakeAt = deadlines.min() ?? .distantFuture
    }

    mutating func drain() -> [GroupAction] {
        let drained = actions
        actions = []
        return drained
    }
}

extension TimeAmount {
    /// Whole milliseconds as Kafka's 32-bit field.
    var wireMilliseconds: Int32 { Int32(clamping: nanoseconds / 1_000_000) }
}
