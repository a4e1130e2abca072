import NIOCore

extension ConsumerGroup {
    /// Begins to gather members for the next generation.
    mutating func prepareRebalance(_ now: GroupTime) {
        if state == .completingRebalance {
            resetAssignments(.rebalanceInProgress)
        }
        if state == .empty {
            let delay = settings.initialRebalanceDelay
            let rest = rebalanceTimeout - delay
            initialDelay = InitialDelay(remaining: max(rest, .zero), hasNewMember: false)
            rebalanceDeadline = now.uptime + delay
        } else {
            initialDelay = nil
            rebalanceDeadline = now.uptime + rebalanceTimeout
        }
        syncDeadline = nil
        transition(to: .preparingRebalance, now)
        if let rebalanceDeadline { schedule(rebalanceDeadline) }
        completeJoinIfAllHere(now)
    }

    /// Goes on to the next generation if nobody is missing.
    mutating func completeJoinIfAllHere(_ now: GroupTime) {
        guard state == .preparingRebalance, let deadline = rebalanceDeadline else { return }
        if initialDelay != nil {
            if deadline <= now.uptime { rebalanceTimedOut(now) }
            return
        }
        guard pending.isEmpty, members.allSatisfy({ $0.join != nil }) else { return }
        completeJoin(now)
    }

    /// The time for joining is over, or the initial delay is.
    mutating func rebalanceTimedOut(_ now: GroupTime) {
        if var delay = initialDelay, delay.hasNewMember, delay.remaining > .zero {
            let more = min(settings.initialRebalanceDelay, delay.remaining)
            delay.remaining = delay.remaining - more
            delay.hasNewMember = false
            initialDelay = delay
            rebalanceDeadline = now.uptime + more
            schedule(now.uptime + more)
        } else {
            completeJoin(now)
        }
    }

    private mutating func completeJoin(_ now: GroupTime) {
        let leaving = members.filter { $0.join == nil && $0.instanceID == nil }
        for member in leaving { remove(member.id) }
        if !members.isEmpty, !electLeaderAmongJoined() {
            // Only static members, none of which is back: their sessions decide.
            rebalanceDeadline = now.uptime + rebalanceTimeout
            schedule(now.uptime + rebalanceTimeout)
            return
        }
        rebalanceDeadline = nil
        initialDelay = nil
        generation = generation == Int32.max ? 1 : generation + 1
        if members.isEmpty {
            becomeEmpty(now)
        } else {
            openGeneration(now)
        }
    }

    private mutating func openGeneration(_ now: GroupTime) {
        protocolName = selectedProtocol
        transition(to: .completingRebalance, now)
        syncDeadline = now.uptime + rebalanceTimeout
        schedule(now.uptime + rebalanceTimeout)
        for member in members.indices {
            members[member].hasSynced = false
            members[member].assignment = []
            guard members[member].join != nil else { continue }
            members[member].isNew = false
            answerJoin(member, joinAnswer(for: member))
            renew(member, now)
        }
    }

    private mutating func becomeEmpty(_ now: GroupTime) {
        protocolName = nil
        leader = nil
        syncDeadline = nil
        transition(to: .empty, now)
        store(.empty, image: image)
    }

    private mutating func electLeaderAmongJoined() -> Bool {
        if let leader, let member = index(of: leader), members[member].join != nil { return true }
        guard let joined = members.first(where: { $0.join != nil }) else { return false }
        leader = joined.id
        return true
    }

    /// Forgets every share and tells those who wait for one.
    mutating func resetAssignments(_ error: GroupError) {
        for member in members.indices {
            members[member].assignment = []
            answerSync(member, SyncAnswer(error: error))
        }
    }

    /// Takes a member out of the list; what it waits for is answered.
    mutating func remove(_ memberID: String) {
        guard let member = index(of: memberID) else { return }
        answerJoin(member, JoinAnswer(error: .unknownMemberID, memberID: memberID))
        answerSync(member, SyncAnswer(error: .unknownMemberID))
        members.remove(at: member)
        if leader == memberID { leader = members.first?.id }
    }

    /// Goes on after members were taken out.
    mutating func rebalanceAfterRemoval(_ now: GroupTime) {
        switch state {
        case .stable, .completingRebalance: prepareRebalance(now)
        case .preparingRebalance: completeJoinIfAllHere(now)
        case .empty, .dead: break
        }
    }
}

// MARK: Sync

extension ConsumerGroup {
    /// Takes a SyncGroup; its answer may come with a later input.
    mutating func sync(
        _ request: SyncRequest,
        ticket: GroupTicket,
        now: GroupTime
    ) -> [GroupAction] {
        guard let member = index(of: request.memberID), refusal(of: request) == nil else {
            let answer = SyncAnswer(error: refusal(of: request) ?? .unknownMemberID)
            actions.append(.answerSync(ticket, answer))
            return drain()
        }
        switch state {
        case .empty, .dead:
            actions.append(.answerSync(ticket, SyncAnswer(error: .unknownMemberID)))
        case .preparingRebalance:
            actions.append(.answerSync(ticket, SyncAnswer(error: .rebalanceInProgress)))
        case .completingRebalance:
            answerSync(member, SyncAnswer(error: .rebalanceInProgress))
            members[member].sync = ticket
            members[member].hasSynced = true
            if leader == request.memberID { share(request) }
        case .stable:
            members[member].hasSynced = true
            actions.append(.answerSync(ticket, syncAnswer(for: member)))
            renew(member, now)
        }
        return drain()
    }

    private func refusal(of request: SyncRequest) -> GroupError? {
        if state == .dead { return .coordinatorNotAvailable }
        if let error = validate(request.memberID, instanceID: request.instanceID) { return error }
        if request.generation != generation { return .illegalGeneration }
        if let type = request.protocolType, type != protocolType { return .inconsistentProtocol }
        if let name = request.protocolName, state != .preparingRebalance, name != protocolName {
            return .inconsistentProtocol
        }
        return nil
    }

    /// Stores what the leader decided; nobody learns of it before it is committed.
    private mutating func share(_ request: SyncRequest) {
        let isStoring = storing.contains { $0.purpose == .assignment(generation: generation) }
        guard !isStoring else { return }
        for member in members.indices {
            let memberID = members[member].id
            members[member].assignment =
                request.assignments.last { $0.memberID == memberID }?.assignment ?? []
        }
        guard members.reduce(0, { $0 + $1.byteCount }) <= settings.groupBytesMax else {
            return resetAssignments(.unknownServerError)
        }
        store(.assignment(generation: generation), image: image)
    }

    private func syncAnswer(for member: Int) -> SyncAnswer {
        SyncAnswer(
            protocolType: protocolType,
            protocolName: protocolName,
            assignment: members[member].assignment
        )
    }

    /// Learns that a write has returned; `error` says why it failed.
    mutating func stored(_ store: StoreID, error: GroupError?, now: GroupTime) -> [GroupAction] {
        guard let place = storing.firstIndex(where: { $0.id == store }) else { return [] }
        switch storing.remove(at: place).purpose {
        case .empty:
            break
        case .staticReturn(let ticket, let answer):
            let failed = error.map { JoinAnswer(error: $0, memberID: answer.memberID) }
            actions.append(.answerJoin(ticket, failed ?? answer))
        case .assignment(let written):
            // A rebalance that began meanwhile has already answered everybody.
            guard state == .completingRebalance, generation == written else { break }
            if let error {
                resetAssignments(error)
                prepareRebalance(now)
            } else {
                transition(to: .stable, now)
                for member in members.indices where members[member].sync != nil {
                    answerSync(member, syncAnswer(for: member))
                    renew(member, now)
                }
            }
        }
        return drain()
    }
}
