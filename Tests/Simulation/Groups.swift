import Model
import NIOCore
import Raft
import RaftHost
import RaftLog

/// What the cluster's controllers would know of a group: who was placed where, and what changes.
struct GroupPlan {
    /// A change of members under way.
    struct Change {
        /// The replica that comes, if any.
        var new: NodeID?
        /// Those that go.
        var old: [NodeID]
    }

    let group: RaftGroupID
    let hasSnapshots: Bool
    let founders: [NodeID]
    /// Founders whose start was never confirmed.
    var unstarted: [NodeID]
    /// Replicas whose start was confirmed and that are not gone.
    var started: [NodeID] = []
    /// Replicas whose disk is gone.
    var lost: [NodeID] = []
    /// Replicas that are no members any more, and whose data is to be deleted.
    var removed: [NodeID] = []
    var voters: [NodeID]
    /// How many replicas went before others could come.
    var vacancies = 0
    var change: Change?
    var lastIncarnation: UInt32 = 1
}

extension Simulation {
    /// Sets the cluster up: machines start, and groups are founded on some of them.
    func found() {
        for number in 0..<mix.groups {
            let founders = (0..<mix.replicas).map {
                NodeID(owner: Int32(1 + (number + $0) % mix.hosts), incarnation: 1)
            }
            plans.append(
                GroupPlan(
                    group: RaftGroupID(UInt64(1001 + number)),
                    hasSnapshots: number % 2 == 1,
                    founders: founders,
                    unstarted: founders,
                    voters: founders
                )
            )
        }
        for place in hosts.indices { start(place) }
        timeline.add(.administer, at: 1)
        timeline.add(.produce, at: 1_000)
        timeline.add(.read, at: 2_000)
        timeline.add(.misfortune, at: 1_000_000)
    }

    /// What controllers do now and then: finish what is under way, begin something new.
    func administer() {
        timeline.add(.administer, at: now + UInt64(100_000 + random.below(300_000)))
        for number in plans.indices {
            startFounders(number)
            noteSuspects(number)
            purgeRemoved(number)
            guard let leader = leader(of: plans[number].group) else { continue }
            plan(number, leader)
            if let change = plans[number].change { advance(number, change, leader) }
        }
    }

    /// The replica that leads with the highest term, if its process runs.
    func leader(of group: RaftGroupID) -> Replica? {
        var best: Replica?
        for host in hosts where !host.isPaused {
            guard let replica = host.replica(group), replica.acceptsProposals,
                replica.leadership.isConfirmed
            else { continue }
            if replica.term > best?.term ?? 0 { best = replica }
        }
        return best
    }

    private func startFounders(_ number: Int) {
        for node in plans[number].unstarted {
            launch(node, number, members: plans[number].founders, join: false)
        }
    }

    /// Asks a machine to start a replica, as the controllers do until it says that it has.
    private func launch(_ node: NodeID, _ number: Int, members: [NodeID], join: Bool) {
        let place = Int(node.owner) - 1
        let (host, plan) = (hosts[place], plans[number])
        guard let manager = host.manager, !host.isPaused, host.replica(plan.group) == nil else {
            return
        }
        let ledger = makeLedger(node, plan, host)
        host.ledgers[plan.group] = ledger
        trace.tell(now, host.name, "starts", "g\(plan.group) \(node.short) join \(join)")
        trace.mix(now, 8, plan.group.rawValue, node.rawValue)
        manager.startRaftGroup(
            Self.identity(node, plan, members),
            stateMachine: ledger,
            join: join
        ) { [unowned self] result in
            guard case .success = result else {
                return trace.tell(now, host.name, "no start", "g\(plan.group) \(result)")
            }
            noteStart(of: node, in: plan.group)
        }
        isTouched[place] = true
    }

    /// A machine has said that a replica runs there.
    func noteStart(of node: NodeID, in group: RaftGroupID) {
        guard let number = plans.firstIndex(where: { $0.group == group }) else { return }
        plans[number].unstarted.removeAll { $0 == node }
        let isExpected =
            plans[number].change?.new == node || plans[number].founders.contains(node)
        guard isExpected, !plans[number].started.contains(node) else { return }
        plans[number].started.append(node)
    }

    func makeLedger(_ node: NodeID, _ plan: GroupPlan, _ host: SimulatedHost) -> Ledger {
        Ledger(group: plan.group, node: node, hasSnapshots: plan.hasSnapshots, checker: checker)
    }

    private static func identity(
        _ node: NodeID,
        _ plan: GroupPlan,
        _ members: [NodeID]
    ) -> GroupIdentity {
        GroupIdentity(
            group: plan.group,
            topicID: TopicID(UniqueID(high: 1, low: plan.group.rawValue)),
            topicName: "simulated",
            partition: 0,
            node: node,
            members: members.map { GroupIdentity.Member(node: $0, address: "h\($0.owner):1") }
        )
    }

    /// Deletes replicas that are no members any more, where their machines can be reached.
    private func purgeRemoved(_ number: Int) {
        for node in plans[number].removed {
            let host = hosts[Int(node.owner) - 1]
            guard host.isRunning, !host.isPaused, !host.isPurging.contains(node) else { continue }
            if host.replica(plans[number].group)?.nodeID == node {
                purge(node, number, host)
            } else {
                forget(node, number)
            }
        }
    }

    private func purge(_ node: NodeID, _ number: Int, _ host: SimulatedHost) {
        let (group, life) = (plans[number].group, host.life)
        trace.tell(now, host.name, "purges", "g\(group) \(node.short)")
        trace.mix(now, 9, group.rawValue, node.rawValue)
        host.ledgers[group] = nil
        host.isPurging.insert(node)
        host.manager?.stopRaftGroup(group, purge: true) { [unowned self] result in
            guard case .success = result, host.life == life else { return }
            host.isPurging.remove(node)
            checker.lost(group, node, isPurged: true)
            forget(node, number)
        }
        isTouched[Int(node.owner) - 1] = true
    }

    private func forget(_ node: NodeID, _ number: Int) {
        plans[number].removed.removeAll { $0 == node }
        plans[number].started.removeAll { $0 == node }
    }
}

// MARK: Members

extension Simulation {
    /// Decides on the next change of a group's members.
    private func plan(_ number: Int, _ leader: Replica) {
        let configuration = leader.configuration
        if configuration.votersOutgoing.isEmpty, leader.applied >= checker.commit(of: leader.id) {
            plans[number].voters = configuration.voters
        }
        guard plans[number].change == nil, plans[number].unstarted.isEmpty else { return }
        let voters = plans[number].voters
        if let lost = plans[number].lost.first {
            replace(lost, number)
        } else if plans[number].vacancies > 0 {
            guard let owner = random.pick(freeOwners(number)) else { return }
            plans[number].vacancies -= 1
            plans[number].change = .init(new: nextNode(number, on: owner), old: [])
        } else if isStormy, mix.changesMembers, random.chance(0.3) {
            let free = freeOwners(number)
            let old = voters.count > 1 && random.chance(0.7) ? random.pick(voters) : nil
            let new = random.chance(0.7) ? random.pick(free) : nil
            guard old != nil || new != nil, new == nil || voters.count < 5 || old != nil,
                new != nil || voters.count > 3
            else { return }
            plans[number].change = .init(
                new: new.map { nextNode(number, on: $0) },
                old: old.map { [$0] } ?? []
            )
        }
    }

    private func nextNode(_ number: Int, on owner: Int32) -> NodeID {
        plans[number].lastIncarnation += 1
        return NodeID(owner: owner, incarnation: plans[number].lastIncarnation)
    }

    /// Does the next step of a change: start, learner, joint exchange, done.
    private func advance(_ number: Int, _ change: GroupPlan.Change, _ leader: Replica) {
        let configuration = leader.configuration
        guard configuration.votersOutgoing.isEmpty else { return }
        let leaving = change.old.filter {
            configuration.voters.contains($0) || configuration.learners.contains($0)
        }
        var steps: [ConfChangeSingle] = []
        if let new = change.new, !configuration.voters.contains(new) {
            launch(new, number, members: [new], join: true)
            if configuration.learners.contains(new) {
                guard let progress = leader.progress(of: new), progress.isActive,
                    progress.match + 5 >= leader.commit
                else { return }
                steps = [.init(.addNode, new)] + leaving.map { .init(.removeNode, $0) }
            } else if plans[number].started.contains(new) {
                steps = [.init(.addLearnerNode, new)]
            }
        } else if !leaving.isEmpty {
            steps = leaving.map { .init(.removeNode, $0) }
        } else if leader.applied >= checker.commit(of: leader.id) {
            plans[number].change = nil
            plans[number].removed += change.old
            plans[number].lost.removeAll { change.old.contains($0) }
            plans[number].voters = configuration.voters
            return trace.tell(now, "admin", "changed", "g\(leader.id) to \(configuration)")
        }
        guard !steps.isEmpty else { return }
        let proposal = ConfChange(changes: steps)
        trace.tell(
            now,
            "admin",
            "proposes",
            "g\(leader.id) \(steps.map { "\($0.type) \($0.node.short)" })"
        )
        trace.mix(now, 10, leader.id.rawValue, UInt64(steps.count))
        leader.proposeConfChange(proposal) { _ in }
        isTouched[Int(leader.nodeID.owner) - 1] = true
    }

    private func freeOwners(_ number: Int) -> [Int32] {
        let plan = plans[number]
        return hosts.filter { host in
            let isTaken = (plan.started + plan.removed + plan.lost).contains {
                $0.owner == host.owner
            }
            return !isTaken && host.replica(plan.group) == nil
        }.map(\.owner)
    }

    /// Another replica takes the place of one that is gone or damaged.
    ///
    /// It comes to the same machine if there is room: a damaged one must go first.
    private func replace(_ lost: NodeID, _ number: Int) {
        let host = hosts[Int(lost.owner) - 1]
        if host.replica(plans[number].group) == nil, host.isRunning {
            plans[number].change = .init(new: nextNode(number, on: lost.owner), old: [lost])
        } else if let owner = random.pick(freeOwners(number)) {
            plans[number].change = .init(new: nextNode(number, on: owner), old: [lost])
        } else {
            plans[number].vacancies += 1
            plans[number].change = .init(new: nil, old: [lost])
        }
    }

    /// Hears from the machines which of their replicas are damaged, and which nobody expects.
    private func noteSuspects(_ number: Int) {
        for host in hosts where host.isRunning && !host.isPaused {
            guard let replica = host.replica(plans[number].group), replica.isSuspect else {
                continue
            }
            let node = replica.nodeID
            if plans[number].started.contains(node) {
                trace.tell(now, "admin", "gives up", "g\(replica.id) \(node.short)")
                noteDamage(of: node, number)
            } else if !plans[number].lost.contains(node), !plans[number].removed.contains(node),
                !(plans[number].change?.old.contains(node) ?? false)
            {
                plans[number].removed.append(node)
            }
        }
    }

    /// Gives a replica up whose data are damaged.
    func noteDamage(of node: NodeID, _ number: Int) {
        plans[number].started.removeAll { $0 == node }
        guard !plans[number].removed.contains(node) else { return }
        guard var change = plans[number].change else {
            return plans[number].lost.append(node)
        }
        if change.new == node {
            change.new = nil
            change.old.append(node)
            plans[number].vacancies += 1
            plans[number].change = change
        } else if !change.old.contains(node) {
            plans[number].lost.append(node)
        }
    }

    /// Whether a machine may lose its disk: no group may lose a second replica meanwhile.
    func canLoseDisk(_ place: Int) -> Bool {
        let owner = hosts[place].owner
        return !hosts.contains { $0.isDamaged }
            && plans.allSatisfy { plan in
                let isHere =
                    plan.started.contains { $0.owner == owner }
                    || plan.unstarted.contains { $0.owner == owner }
                return !isHere
                    || (plan.lost.isEmpty && plan.change == nil && plan.unstarted.isEmpty
                        && plan.vacancies == 0 && plan.voters.count >= 3)
            }
    }

    /// Notes that everything on a machine's disk is gone.
    func noteDiskLoss(_ place: Int) {
        let owner = hosts[place].owner
        for number in plans.indices {
            for node in plans[number].started where node.owner == owner {
                checker.lost(plans[number].group, node, isPurged: false)
                if !plans[number].removed.contains(node) { plans[number].lost.append(node) }
            }
            plans[number].started.removeAll { $0.owner == owner }
            plans[number].removed.removeAll { $0.owner == owner }
            restartChange(number, withoutDiskOf: owner)
        }
    }

    /// A replica that was on its way goes, and another one comes in its place.
    private func restartChange(_ number: Int, withoutDiskOf owner: Int32) {
        guard var change = plans[number].change, let new = change.new, new.owner == owner else {
            return
        }
        change.old.append(new)
        change.new = nextNode(number, on: owner)
        plans[number].change = change
    }
}
