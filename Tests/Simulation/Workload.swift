import Model
import NIOCore
import Raft
import RaftHost
import RaftLog
import RecordBatch

/// What clients do: they produce to whoever leads, and ask leaders for linearizable reads.
extension Simulation {
    /// How many batches of each group must be acknowledged after the storm.
    static let calmReceiptsMin = 5

    func produce() {
        let gap = isStormy ? 2 * mix.proposalMean : 20_000
        timeline.add(.produce, at: now + 1 + UInt64(random.below(gap)))
        guard let plan = random.pick(plans), let (place, replica) = target(plan.group) else {
            return
        }
        let number = nextNumber
        nextNumber += 1
        let acknowledgement: Acknowledgement =
            switch random.below(10) {
            case 0: .appended
            case 1: .durable
            default: .committed
            }
        let isCalm = !isStormy
        trace.tell(now, hosts[place].name, "produce", "g\(plan.group) batch \(number)")
        trace.mix(now, 4, plan.group.rawValue, UInt64(place), UInt64(number))
        replica.propose(Self.batch(number, random.below(4)), acknowledgement) { [unowned self] in
            guard case .done(let offset, let index, let term) = $0 else { return }
            guard case .committed = acknowledgement else { return }
            let receipt = Checker.Receipt(number: number, index: index, term: term, offset: offset)
            checker.acknowledged(plan.group, receipt)
            if isCalm { calmReceipts[plan.group, default: 0] += 1 }
            trace.tell(now, hosts[place].name, "acks", "g\(plan.group) \(index) batch \(number)")
        }
        isTouched[place] = true
    }

    /// Whoever says that it leads; now and then anybody.
    private func target(_ group: RaftGroupID) -> (Int, Replica)? {
        let running = hosts.indices.filter {
            !hosts[$0].isPaused && hosts[$0].replica(group) != nil
        }
        let leading = running.filter { hosts[$0].replica(group)?.acceptsProposals == true }
        let isLost = random.chance(0.05)
        guard let place = random.pick(isLost || leading.isEmpty ? running : leading),
            let replica = hosts[place].replica(group)
        else { return nil }
        return (place, replica)
    }

    /// A batch of a few records that can be told from all others by its timestamp.
    static func batch(_ number: Int64, _ weight: Int) -> BatchPayload {
        let value = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 10 << (2 * weight))
        let bytes = RecordBatchBuilder.single(key: nil, value: value, timestamp: number)
        guard let payload = BatchPayload(bytes: bytes) else {
            preconditionFailure("a batch that is none")
        }
        return payload
    }

    /// A read that must see everything that was acknowledged before it was asked for.
    func readLinearizably() {
        timeline.add(.read, at: now + 1 + UInt64(random.below(20 * mix.proposalMean)))
        guard let plan = random.pick(plans), let (place, replica) = target(plan.group) else {
            return
        }
        let acknowledged = checker.lastAcknowledged[plan.group] ?? 0
        trace.tell(now, hosts[place].name, "read", "g\(plan.group) after \(acknowledged)")
        trace.mix(now, 6, plan.group.rawValue, UInt64(place))
        let serve = { [unowned self, unowned replica] (isGood: Bool) in
            guard isGood else { return }
            checker.require(
                replica.applied >= acknowledged,
                "LinearizableRead: \(replica.nodeID.short) of group \(plan.group) serves "
                    + "\(replica.applied), acknowledged was \(acknowledged)"
            )
            trace.tell(now, hosts[place].name, "reads", "g\(plan.group) at \(replica.applied)")
        }
        if sabotage == .readWithoutQuorum {
            serve(replica.acceptsProposals)
        } else {
            replica.readBarrier(serve)
        }
        isTouched[place] = true
    }
}
