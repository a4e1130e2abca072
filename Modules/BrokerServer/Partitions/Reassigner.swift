import InterBrokerProtocol
import Metadata
import Model
import NIOCore
import Raft
import RaftHost
import RaftLog

/// Takes the groups that are led here to the members that the metadata want, step by step.
///
/// What is to be done is `ReassignmentStep.next`, asked again whenever something has changed and
/// ten times a second; what is kept here beside it is lost with the leadership, and may be.
/// - Thread: the broker's event loop.
final class Reassigner {
    private struct Work {
        /// The log's end at the last look of `tick` but a few.
        var mark: LogIndex
        /// Whether a change is proposed and not answered.
        var isChanging = false
        /// The members under which an entry was proposed that is committed.
        var settled: ConfState?
        /// Whether a learner is being filled.
        var isFilling = false
        /// The members at the last look, and the tick before which leadership is not handed over.
        var members = ConfState()
        var mayTransfer: UInt64 = 0
        /// The last report, and the tick before which the same one is not sent again.
        var reported: (report: MembersReport, until: UInt64)?
        /// What the log was told last.
        var logged: ReassignmentStep?
    }

    /// Ticks of a tenth of a second after which something is asked for again: a second.
    private static let patience: UInt64 = 10

    /// Ticks until every replica has heard of new members.
    ///
    /// An entry's commit goes out with the next heartbeat. Who does not know of its vote yet cannot
    /// take the leadership over, and the group would stand still until the attempt is given up.
    private static let newsTicks: UInt64 = 3

    /// How many groups that are led here fill learners at the same time.
    ///
    /// A broker that has lost a thousand replicas is filled as fast with a few at a time, and
    /// clients of the others notice less of it.
    private static let fillingMax = 16

    private unowned let broker: Broker
    private var works: [RaftGroupID: Work] = [:]
    private var changed: [RaftGroupID] = []
    private var ticks: UInt64 = 0

    init(_ broker: Broker) { self.broker = broker }

    /// How many groups that are led here are on their way.
    var count: Int { works.count }

    /// Looks at a group at the end of this turn: its members, its leader or its target changed.
    ///
    /// Not at once, since changes are told from inside of what changes.
    func look(at group: RaftGroupID) {
        changed.append(group)
        guard changed.count == 1 else { return }
        let bound = NIOLoopBound(self, eventLoop: broker.eventLoop)
        broker.eventLoop.execute {
            let groups = bound.value.changed
            bound.value.changed = []
            for group in groups { bound.value.go(on: group) }
        }
    }

    /// Looks at every group with a reassignment; the metadata have changed.
    func lookAtAll() {
        for group in broker.metadata.reassignedGroups { look(at: group) }
        for group in works.keys.sorted() { look(at: group) }
    }

    /// Looks at the groups under way: how far learners have come is told by nobody.
    func tick() {
        ticks += 1
        for group in works.keys.sorted() {
            go(on: group)
            if ticks % Self.patience == 0, let replica = broker.table.partition(of: group)?.replica
            {
                works[group]?.mark = replica.log.lastIndex
            }
        }
    }

    // MARK: Steps

    private func go(on group: RaftGroupID) {
        guard let partition = broker.table.partition(of: group), partition.isConfirmedLeader,
            let replica = partition.replica,
            let info = broker.metadata.partition(of: group), info.reassignment != nil
        else {
            works[group] = nil
            return
        }
        var work = works[group] ?? Work(mark: replica.log.lastIndex)
        defer { works[group] = work }
        let view = GroupView(
            own: replica.nodeID,
            members: replica.configuration,
            accepted: partition.acceptedTarget,
            isSettled: work.settled == replica.configuration,
            mark: work.mark,
            progress: { replica.progress(of: $0) }
        )
        if work.members != view.members {
            work.members = view.members
            work.mayTransfer = ticks + Self.newsTicks
        }
        if ReassignmentStep.isNews(info, view) { report(info, view, &work) }
        guard let step = ReassignmentStep.next(for: info, in: view) else { return }
        let begins = step.beginsFilling
        if begins, !work.isFilling, works.values.count(where: \.isFilling) >= Self.fillingMax {
            return
        }
        // One whose broker is away is filled when it is back, and holds nobody up until then.
        work.isFilling = begins || step.filling.map { view.isActive($0) } ?? false
        if step != work.logged { LogLines.reassignment(step, of: partition, broker.logger) }
        work.logged = step
        guard !work.isChanging else { return }
        switch step {
        case .wait, .finished: break
        case .accept(let version):
            work.isChanging = true
            propose(.accepting(version, by: replica.nodeID), replica)
        case .change(let changes):
            work.isChanging = true
            propose(ConfChange(changes: changes), replica)
        case .transfer(let node):
            guard ticks >= work.mayTransfer else { return }
            work.mayTransfer = ticks + Self.patience
            broker.manager.transferLeadership(of: group, to: node)
        }
    }

    /// Proposes a change; the answer may come before this returns, and is taken a turn later.
    private func propose(_ change: ConfChange, _ replica: Replica) {
        let group = replica.id
        let members = replica.configuration
        let bound = NIOLoopBound(self, eventLoop: broker.eventLoop)
        let loop = broker.eventLoop
        replica.proposeConfChange(change) { outcome in
            loop.execute { bound.value.answered(outcome, members, group) }
        }
    }

    private func answered(_ outcome: ProposalOutcome, _ members: ConfState, _ group: RaftGroupID) {
        works[group]?.isChanging = false
        // What was refused is tried again by `tick`, not at once and for ever.
        guard case .done = outcome else { return }
        works[group]?.settled = members
        go(on: group)
    }

    private func report(_ info: PartitionInfo, _ view: GroupView, _ work: inout Work) {
        let report = MembersReport(
            group: info.group,
            targetVersion: view.accepted,
            voters: view.members.voters,
            learners: view.members.learners
        )
        if let last = work.reported, last.report == report, ticks < last.until { return }
        work.reported = (report, ticks + Self.patience)
        broker.report(report)
    }
}

extension ConfChange {
    /// Changes nothing, but lets the group accept a target: it stands in every replica's log.
    static func accepting(_ version: MetadataVersion, by leader: NodeID) -> ConfChange {
        var bytes: [UInt8] = []
        withUnsafeBytes(of: version.rawValue.littleEndian) { bytes += $0 }
        return ConfChange(changes: [ConfChangeSingle(.updateNode, leader)], context: bytes)
    }

    /// The target that an entry lets the group accept; nil if it is about something else.
    static func acceptedTarget(in payload: [UInt8]) -> MetadataVersion? {
        guard let note = note(in: payload), note.count == 8 else { return nil }
        return MetadataVersion(note.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
}
