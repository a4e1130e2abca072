import Disk
import Model
import Raft
import RaftHost
import RaftLog

/// The second half of a run: nothing goes wrong any more, and everything must come right.
extension Simulation {
    /// How long the cluster may need to come to rest, in simulated seconds and in events.
    static let calmSecondsMax: UInt64 = 120
    static let calmStepsMax = 400_000

    /// Ends the storm and waits until all groups serve, agree and rest.
    func calm() {
        isStormy = false
        trace.tell(now, "run", "calm", "after \(steps) steps")
        network.mendAll()
        for place in hosts.indices {
            hosts[place].isPaused = false
            hosts[place].slowness = 1
            hosts[place].fallsInJob = false
            // What nobody has noticed yet must do no harm.
            if hosts[place].isDamaged, random.chance(0.5) { replaceDisk(place) }
            start(place)
            isTouched[place] = hosts[place].isRunning
        }
        let (end, stepsMax) = (now + Self.calmSecondsMax * 1_000_000, steps + Self.calmStepsMax)
        while checker.violation == nil, !isAtRest {
            guard now < end, steps < stepsMax else { return checker.require(false, unrest) }
            step()
        }
        guard checker.violation == nil else { return }
        checker.checkReceipts()
        survey()
    }

    private var isAtRest: Bool {
        // Looked at seldom: it costs more than an event.
        guard steps % 64 == 0 else { return false }
        return plans.allSatisfy { plan in
            plan.change == nil && plan.lost.isEmpty && plan.removed.isEmpty
                && plan.unstarted.isEmpty && plan.vacancies == 0
                && calmReceipts[plan.group] ?? 0 >= Self.calmReceiptsMin && agree(plan)
        }
    }

    /// Whether all replicas of a group have one log and have applied nearly all of it.
    private func agree(_ plan: GroupPlan) -> Bool {
        guard let leader = leader(of: plan.group) else { return false }
        guard leader.configuration.votersOutgoing.isEmpty, leader.configuration.learners.isEmpty
        else { return false }
        let applied = leader.members.map { hosts[Int($0.owner) - 1].replica(plan.group)?.applied }
        // Producers go on, so that followers are a few entries behind.
        return applied.allSatisfy { $0.map { $0 + 20 >= leader.applied } ?? false }
    }

    private var unrest: String {
        let states = plans.map { plan in
            let replicas = hosts.compactMap { $0.replica(plan.group) }
            let texts = replicas.map { replica in
                "\(replica.nodeID.short) \(replica.core.role) term \(replica.term) "
                    + "applied \(replica.applied) commit \(replica.commit) "
                    + "last \(replica.core.lastIndex) of \(replica.configuration)"
                    + (replica.isSuspect ? " suspect" : "")
            }
            return "group \(plan.group) acknowledged \(calmReceipts[plan.group] ?? 0), "
                + "change \(plan.change.map { "\($0)" } ?? "none"), lost \(plan.lost.count): "
                + texts.joined(separator: "; ")
        }
        return "Liveness: not at rest after \(Self.calmSecondsMax) s: "
            + states.joined(separator: " | ")
    }

    /// Cuts the power everywhere once more and reads every disk: the last word on durability.
    private func survey() {
        let damaged = hosts.filter(\.isDamaged).map(\.owner)
        for place in hosts.indices {
            fall(place, .everythingUnsynced, "survey")
            start(place)
        }
        for plan in plans {
            let last = checker.lastAcknowledged[plan.group] ?? 0
            guard let fact = checker.fact(plan.group, last) else { continue }
            let holders = plan.voters.filter { node in
                let host = hosts[Int(node.owner) - 1]
                // One more may have found itself damaged just now.
                guard !damaged.contains(node.owner) else { return true }
                guard let log = host.replica(plan.group)?.log else { return false }
                // A snapshot may stand for it: a leader whose own disk is slow acknowledges late.
                return last < log.firstIndex || (try? log.term(at: last)) == fact.term
            }
            checker.require(
                2 * holders.count > plan.voters.count,
                "Acknowledged: entry \(last) of group \(plan.group) is only on "
                    + "\(holders.map(\.short)) of \(plan.voters.map(\.short))"
            )
        }
        checker.endStep()
    }
}
