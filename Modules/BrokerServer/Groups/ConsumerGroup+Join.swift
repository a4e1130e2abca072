import NIOCore

extension ConsumerGroup {
    /// Takes a JoinGroup; its answer may come with a later input.
    mutating func join(
        _ request: JoinRequest,
        ticket: GroupTicket,
        now: GroupTime
    ) -> [GroupAction] {
        if let error = refusal(of: request) {
            refuse(request, ticket, error)
        } else if request.memberID.isEmpty {
            joinWithoutID(request, ticket, now)
        } else if let place = pending.firstIndex(where: { $0.id == request.memberID }) {
            if request.instanceID == nil {
                pending.remove(at: place)
                add(request, as: request.memberID, ticket, now)
            } else {
                refuse(request, ticket, .unknownMemberID)
            }
        } else {
            joinAgain(request, ticket, now)
        }
        return drain()
    }

    private mutating func refuse(
        _ request: JoinRequest,
        _ ticket: GroupTicket,
        _ error: GroupError
    ) {
        let answer = JoinAnswer(error: error, memberID: request.memberID)
        actions.append(.answerJoin(ticket, answer))
    }

    private func refusal(of request: JoinRequest) -> GroupError? {
        if state == .dead { return .coordinatorNotAvailable }
        let timeouts = settings.sessionTimeoutMin...settings.sessionTimeoutMax
        if !timeouts.contains(request.sessionTimeout) { return .invalidSessionTimeout }
        if !accepts(request) { return .groupMaxSizeReached }
        return supports(request) ? nil : .inconsistentProtocol
    }

    /// Whether there is room for the client: by count, and by bytes.
    private func accepts(_ request: JoinRequest) -> Bool {
        var known = request.memberID.isEmpty ? nil : index(of: request.memberID)
        if let instanceID = request.instanceID { known = known ?? index(ofInstance: instanceID) }
        var count = members.count
        if known == nil { count += 1 }
        guard count <= settings.membersMax else { return false }
        if request.memberID.isEmpty, pending.count >= settings.membersMax { return false }
        var bytes = request.clientID.utf8.count + request.protocolType.utf8.count
        for offered in request.protocols {
            bytes += offered.name.utf8.count + offered.metadata.count
        }
        for member in members.indices where member != known { bytes += members[member].byteCount }
        return bytes <= settings.groupBytesMax
    }

    private func supports(_ request: JoinRequest) -> Bool {
        guard !request.protocolType.isEmpty, !request.protocols.isEmpty else { return false }
        guard !members.isEmpty else { return true }
        guard request.protocolType == protocolType else { return false }
        let common = commonProtocols
        return request.protocols.contains { common.contains($0.name) }
    }

    /// The protocols that every member offers, in the order of the oldest member's preference.
    var commonProtocols: [String] {
        guard let oldest = members.first else { return [] }
        return oldest.protocols.map(\.name).filter { name in
            members.allSatisfy { $0.protocols.contains { $0.name == name } }
        }
    }

    /// The protocol for the next generation: each member votes for the first common one it names.
    ///
    /// Ties go to the one that the oldest member prefers.
    var selectedProtocol: String? {
        let common = commonProtocols
        let votes = members.map { member in
            member.protocols.first { common.contains($0.name) }?.name
        }
        var best: (name: String, votes: Int)?
        for name in common {
            let count = votes.count { $0 == name }
            if count > best?.votes ?? 0 { best = (name, count) }
        }
        return best?.name
    }

    private mutating func joinWithoutID(
        _ request: JoinRequest,
        _ ticket: GroupTicket,
        _ now: GroupTime
    ) {
        if let instanceID = request.instanceID {
            if let member = index(ofInstance: instanceID) {
                returnStatic(member, request, ticket, now)
            } else {
                add(request, as: request.freshMemberID, ticket, now)
            }
        } else if request.mustReturnWithID {
            let deadline = now.uptime + request.sessionTimeout
            pending.append(PendingMember(id: request.freshMemberID, deadline: deadline))
            schedule(deadline)
            let answer = JoinAnswer(error: .memberIDRequired, memberID: request.freshMemberID)
            actions.append(.answerJoin(ticket, answer))
        } else {
            add(request, as: request.freshMemberID, ticket, now)
        }
    }

    private mutating func joinAgain(
        _ request: JoinRequest,
        _ ticket: GroupTicket,
        _ now: GroupTime
    ) {
        if let error = validate(request.memberID, instanceID: request.instanceID) {
            return refuse(request, ticket, error)
        }
        guard let member = index(of: request.memberID) else {
            return refuse(request, ticket, .unknownMemberID)
        }
        let isUnchanged = members[member].protocols == request.protocols
        switch state {
        case .preparingRebalance:
            update(member, request, ticket, now)
            completeJoinIfAllHere(now)
        case .completingRebalance where isUnchanged,
            .stable where isUnchanged && leader != request.memberID:
            // The answer to an earlier join was lost on its way.
            renew(member, now)
            actions.append(.answerJoin(ticket, joinAnswer(for: member)))
        case .completingRebalance, .stable:
            update(member, request, ticket, now)
            prepareRebalance(now)
        case .empty, .dead:
            refuse(request, ticket, .unknownMemberID)
        }
    }

    private mutating func add(
        _ request: JoinRequest,
        as memberID: String,
        _ ticket: GroupTicket,
        _ now: GroupTime
    ) {
        if members.isEmpty { protocolType = request.protocolType }
        let deadline = now.uptime + settings.newMemberTimeout
        members.append(
            GroupMember(
                id: memberID,
                instanceID: request.instanceID,
                clientID: request.clientID,
                clientHost: request.clientHost,
                sessionTimeout: request.sessionTimeout,
                rebalanceTimeout: request.rebalanceTimeout,
                protocols: request.protocols,
                join: ticket,
                deadline: deadline
            )
        )
        schedule(deadline)
        if leader == nil { leader = memberID }
        if state == .preparingRebalance {
            initialDelay?.hasNewMember = true
            completeJoinIfAllHere(now)
        } else {
            prepareRebalance(now)
        }
    }

    private mutating func update(
        _ member: Int,
        _ request: JoinRequest,
        _ ticket: GroupTicket,
        _ now: GroupTime
    ) {
        // A client that joins twice has given up the first request.
        let stale = JoinAnswer(error: .rebalanceInProgress, memberID: members[member].id)
        answerJoin(member, stale)
        members[member].clientID = request.clientID
        members[member].clientHost = request.clientHost
        members[member].sessionTimeout = request.sessionTimeout
        members[member].rebalanceTimeout = request.rebalanceTimeout
        members[member].protocols = request.protocols
        members[member].join = ticket
        if !members[member].isNew { renew(member, now) }
    }

    /// What a member of the current generation is told.
    func joinAnswer(for member: Int) -> JoinAnswer {
        var answer = JoinAnswer(
            generation: generation,
            protocolType: protocolType,
            protocolName: protocolName,
            leader: leader ?? "",
            memberID: members[member].id
        )
        if leader == members[member].id { answer.members = joinedMembers }
        return answer
    }

    private var joinedMembers: [JoinedMember] {
        members.map { member in
            JoinedMember(
                memberID: member.id,
                instanceID: member.instanceID,
                metadata: member.metadata(for: protocolName)
            )
        }
    }
}

// MARK: Static members

extension ConsumerGroup {
    /// A static member comes back without its id: it takes over its place under a new one.
    private mutating func returnStatic(
        _ member: Int,
        _ request: JoinRequest,
        _ ticket: GroupTicket,
        _ now: GroupTime
    ) {
        let old = members[member]
        let oldLeader = leader
        answerJoin(member, JoinAnswer(error: .fencedInstanceID, memberID: old.id))
        answerSync(member, SyncAnswer(error: .fencedInstanceID))
        members[member].id = request.freshMemberID
        if leader == old.id { leader = request.freshMemberID }
        update(member, request, ticket, now)
        renew(member, now)
        switch state {
        case .stable where !needsRebalance(after: old, members[member]):
            members[member].join = nil
            var answer = joinAnswer(for: member)
            if request.understandsSkip {
                answer.skipsAssignment = oldLeader == old.id
            } else {
                // An old client that sees itself as leader would share out partitions; seeing the
                // former leader's id it waits for its assignment, which is unchanged.
                answer.leader = oldLeader ?? ""
                answer.members = []
            }
            store(.staticReturn(ticket, answer), image: image)
        case .stable, .completingRebalance:
            prepareRebalance(now)
        case .preparingRebalance:
            completeJoinIfAllHere(now)
        case .empty, .dead:
            preconditionFailure("group \(id): a static member in state \(state)")
        }
    }

    /// Whether the returned member wants something else than it has.
    private func needsRebalance(after old: GroupMember, _ new: GroupMember) -> Bool {
        guard selectedProtocol == protocolName else { return true }
        let before = old.metadata(for: protocolName)
        let after = new.metadata(for: protocolName)
        guard protocolType == "consumer" else { return before != after }
        guard let topics = subscribedTopics(after) else { return before != after }
        return subscribedTopics(before) != topics
    }
}

/// The topics in a consumer's subscription, sorted; nil if the bytes are not one.
///
/// - Shape: version int16, count int32, then count names with int16 lengths; the rest differs from
///   start to start (owned partitions) and does not matter here.
func subscribedTopics(_ metadata: [UInt8]) -> [[UInt8]]? {
    func number(at position: Int, bytes: Int) -> Int? {
        guard position + bytes <= metadata.count else { return nil }
        return metadata[position..<position + bytes].reduce(0) { $0 << 8 | Int($1) }
    }
    guard let count = number(at: 2, bytes: 4) else { return nil }
    var topics: [[UInt8]] = []
    var position = 6
    while topics.count < count {
        guard let length = number(at: position, bytes: 2) else { return nil }
        position += 2
        guard length <= metadata.count - position else { return nil }
        topics.append(Array(metadata[position..<position + length]))
        position += length
    }
    return topics.sorted { $0.lexicographicallyPrecedes($1) }
}
