public import Model
import NIOCore
public import Raft
import RaftLog

/// The members of a group and how they change.
///
/// A change takes effect when it is applied, on every replica at the same index. It is recorded
/// with the next write; recovery applies again what was committed after the last record.
///
/// Founders know the first members from their start. Whoever joins knows none: every change
/// carries the members before it, and the first one that a replica applies tells it the rest.
///
/// A joint configuration is left by a leader that stays a member. Who goes hands over first: were
/// it to step down after its own removal, its vote could still be needed by replicas that do not
/// know of the removal yet, and its longer log would refuse them for ever.
extension Replica {
    /// The replicas of the group, this one included, in order: voters, leaving voters, learners.
    public var members: [NodeID] {
        var members = configuration.voters
        for list in [configuration.votersOutgoing, configuration.learners] {
            members += list.filter { !members.contains($0) }
        }
        return members.sorted()
    }

    /// The replicas that elect a leader; in a joint configuration, of its two halves.
    var voters: [NodeID] {
        let incoming = configuration.voters
        let outgoing = configuration.votersOutgoing.filter { !incoming.contains($0) }
        return (incoming + outgoing).sorted()
    }

    /// Proposes a change of members.
    ///
    /// One change at a time: while another one is under way, this one is refused. Several steps,
    /// and those that concern the leader, are made jointly; the new members lead out of that.
    /// What the context holds is the proposer's: every replica finds it in the entry, with
    /// ``ConfChange/note(in:)``.
    /// - Parameter completion: called on the event loop when the change is applied here, or with
    ///   the reason why it will not be, or is not known to be.
    public func proposeConfChange(
        _ change: ConfChange,
        completion: @escaping (ProposalOutcome) -> Void
    ) {
        manager.eventLoop.preconditionInEventLoop()
        guard acceptsProposals else { return completion(.notLeader(node.leader)) }
        var change = change
        // If anything changes them before this entry is applied, the core refuses it.
        change.context = node.confState().encoded + change.context
        let moves = change.changes.filter { $0.type != .updateNode }
        let concernsLeader = moves.contains { $0.node == nodeID }
        if moves.count > 1 || concernsLeader { change.transition = .jointExplicit }
        do {
            try node.proposeConfChange(change)
        } catch {
            return completion(.refused("\(error)"))
        }
        manager.markDirty(self)
        guard node.lastConfChange == node.lastIndex else {
            return completion(.refused("another change of members is under way"))
        }
        pending.append(
            PendingProposal(
                index: node.lastIndex,
                term: node.term,
                baseOffset: nextOffset,
                acknowledgement: .committed,
                proposed: .now(),
                completion: completion
            )
        )
    }

    /// Asks another replica to take over from this one, which leads.
    func transferLeadership(to successor: NodeID) {
        notes.asks(successor, in: term)
        node.transferLeadership(to: successor)
    }

    /// Leaves a joint configuration, or hands over to a replica that may; called on every tick.
    func leaveJoint() {
        guard !configuration.votersOutgoing.isEmpty, leadership.isConfirmed, acceptsProposals
        else { return }
        if configuration.voters.contains(nodeID) {
            guard node.lastConfChange <= applied else { return }
            try? node.proposeConfChange(ConfChange())
        } else if let successor = manager.successor(of: self, among: configuration.voters) {
            transferLeadership(to: successor)
        }
        manager.markDirty(self)
    }

    /// Takes over a committed change of members.
    ///
    /// What is no change at all has the same effect on every replica: none.
    func applyConfChange(_ entry: Entry) {
        do {
            let change = try ConfChange(bytes: entry.payload.copyBytes())
            if let (members, _) = ConfState.read(from: change.context) {
                if configuration == ConfState() { try node.adopt(members) }
                guard node.confState() == members else { return contradict(members, entry) }
            }
            _ = node.applyConfChange(change)
        } catch {
            return LogLines.unreadableConfChange(self, error, manager.logger)
        }
        let before = configuration
        configuration = node.confState()
        guard configuration != before else { return }
        manager.store(configuration, at: entry.index, of: self)
        LogLines.membersChanged(self, at: entry.index, manager.logger)
        stateMachine.configurationChanged(configuration)
    }

    /// Falls silent: replicas with the same log and other members would count other majorities.
    private func contradict(_ members: ConfState, _ entry: Entry) {
        LogLines.membersDiffer(self, members, at: entry.index, manager.logger)
        fallSilent()
    }
}

extension ConfChange {
    /// What the proposer has put beside a change, from the payload of its entry; nil if nothing.
    public static func note(in payload: [UInt8]) -> [UInt8]? {
        guard let change = try? ConfChange(bytes: payload),
            let (_, note) = ConfState.read(from: change.context), !note.isEmpty
        else { return nil }
        return note
    }
}
