import NIOCore

extension ConsumerGroup {
    /// Takes a Heartbeat and says at once what the member is to know.
    mutating func heartbeat(
        _ memberID: String,
        instanceID: String?,
        generation: Int32,
        now: GroupTime
    ) -> GroupError? {
        if state == .dead { return .coordinatorNotAvailable }
        if let error = validate(memberID, instanceID: instanceID) { return error }
        if generation != self.generation { return .illegalGeneration }
        guard let member = index(of: memberID), state != .empty else { return .unknownMemberID }
        renew(member, now)
        return state == .preparingRebalance ? .rebalanceInProgress : nil
    }

    /// Takes a LeaveGroup: one result for each of the named members, in their order.
    mutating func leave(
        _ leaving: [LeavingMember],
        now: GroupTime
    ) -> (results: [GroupError?], actions: [GroupAction]) {
        guard state != .dead else {
            return (leaving.map { _ in .coordinatorNotAvailable }, [])
        }
        let before = (members: members.count, pending: pending.count)
        let answers = leaving.map { leave($0) }
        if members.count < before.members {
            rebalanceAfterRemoval(now)
        } else if pending.count < before.pending {
            completeJoinIfAllHere(now)
        }
        return (answers, drain())
    }

    private mutating func leave(_ leaving: LeavingMember) -> GroupError? {
        if let instanceID = leaving.instanceID {
            guard let member = index(ofInstance: instanceID) else { return .unknownMemberID }
            let memberID = members[member].id
            // An administrator names only the instance; the member itself names both.
            guard leaving.memberID.isEmpty || leaving.memberID == memberID else {
                return .fencedInstanceID
            }
            remove(memberID)
            return nil
        }
        if let place = pending.firstIndex(where: { $0.id == leaving.memberID }) {
            pending.remove(at: place)
            return nil
        }
        guard index(of: leaving.memberID) != nil else { return .unknownMemberID }
        remove(leaving.memberID)
        return nil
    }

    /// Says whether a commit may be written, and counts it as a sign of life.
    mutating func mayCommit(
        _ memberID: String,
        instanceID: String?,
        generation: Int32,
        now: GroupTime
    ) -> GroupError? {
        if state == .dead { return .coordinatorNotAvailable }
        // A client that uses the group for its offsets alone, or an administrator.
        if generation < 0, state == .empty { return nil }
        if generation < 0, memberID.isEmpty, instanceID == nil { return .unknownMemberID }
        if let error = validate(memberID, instanceID: instanceID) { return error }
        if generation != self.generation { return .illegalGeneration }
        guard let member = index(of: memberID) else { return .unknownMemberID }
        if state == .completingRebalance { return .rebalanceInProgress }
        renew(member, now)
        return nil
    }

    /// Lets time pass: ends sessions, delays and rebalances that are due.
    mutating func tick(_ now: GroupTime) -> [GroupAction] {
        guard wakeAt <= now.uptime, state != .dead else { return [] }
        let waiting = pending.count
        pending.removeAll { $0.deadline <= now.uptime }
        expireSessions(now)
        if pending.count < waiting { completeJoinIfAllHere(now) }
        expireSyncs(now)
        if state == .preparingRebalance, let due = rebalanceDeadline, due <= now.uptime {
            rebalanceTimedOut(now)
        }
        var deadlines = pending.map(\.deadline) + members.map(\.deadline)
        if let rebalanceDeadline { deadlines.append(rebalanceDeadline) }
        if let syncDeadline { deadlines.append(syncDeadline) }
        schedule(only: deadlines)
        return drain()
    }

    private mutating func expireSessions(_ now: GroupTime) {
        var expired: [String] = []
        for member in members.indices where members[member].deadline <= now.uptime {
            if members[member].isWaiting {
                renew(member, now)
            } else {
                expired.append(members[member].id)
            }
        }
        guard !expired.isEmpty else { return }
        for memberID in expired { remove(memberID) }
        rebalanceAfterRemoval(now)
    }

    private mutating func expireSyncs(_ now: GroupTime) {
        guard let due = syncDeadline, due <= now.uptime else { return }
        syncDeadline = nil
        guard state == .completingRebalance || state == .stable else { return }
        let silent = members.filter { !$0.hasSynced }
        guard !silent.isEmpty else { return }
        for member in silent { remove(member.id) }
        rebalanceAfterRemoval(now)
    }
}
