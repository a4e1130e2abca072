import Model
import Raft
import RaftHost

/// Lets daemons that were asked to stop go one after another: soft state of a leader.
///
/// Each daemon sees for itself whether somebody is away. What it cannot see is that others are
/// about to go at the same moment, as when three machines are upgraded at once; that is known here.
struct StopQueue {
    /// A Raft group that may lose its quorum.
    struct Group {
        /// What an operator calls it.
        var name: String
        var members: ConfState
    }

    /// What is said to a daemon that wants to stop.
    enum Verdict: Equatable {
        case granted
        /// Everybody who is left in these groups wants to stop as well, and nobody came back.
        case everybodyStops
        /// These groups would lose their quorum while these others are away or about to go.
        case wait(groups: [String], missed: [Int32])
        /// A former leader may have let somebody go of whom this one has not heard.
        case settling
    }

    private struct Wish {
        var run: SessionID
        var since: Duration
        var heard: Duration
    }

    /// Who wants to stop.
    private var wishes: [Int32: Wish] = [:]
    /// Who was let go and has neither gone nor come back yet.
    private var going: [Int32: (run: SessionID, since: Duration)] = [:]
    /// When somebody who was let go was seen to be away last.
    private var left = Duration.zero
    private let start: Duration

    /// How long a leader waits before it lets anybody go; longer than a stop takes.
    static let settlingTime = Duration.seconds(5)
    /// How long those who are left wait for one to come back, when all of them want to stop: longer
    /// than a start takes.
    static let patience = Duration.seconds(20)
    /// Who has not asked for so long does not want to stop any more.
    static let wishAge = Duration.seconds(3)
    /// After this time one who was let go is not believed to be going any more.
    static let goingMax = Duration.seconds(60)

    /// Stands for the run of a daemon that is there, where nobody knows which one it is.
    static let unknownRun = SessionID(UniqueID(high: 0, low: 0))

    /// Begins with the reign.
    init(now: Duration) { start = now }

    /// Takes the wish of a daemon, and answers it.
    /// - Parameters:
    ///   - isHindered: whether the daemon has seen for itself that it must wait.
    ///   - groups: those with a replica at `id`.
    ///   - run: tells one run of a daemon from the next; nil of one that is away.
    mutating func ask(
        _ id: Int32,
        isHindered: Bool,
        groups: [Group],
        now: Duration,
        run: (Int32) -> SessionID?
    ) -> Verdict {
        forget(now, run)
        if going[id] != nil { return .granted }
        let own = run(id) ?? Self.unknownRun
        wishes[id] = Wish(run: own, since: wishes[id]?.since ?? now, heard: now)

        var names: [String] = []
        var missed: Set<Int32> = []
        var others: Set<Int32> = []
        var isCareful = false
        for group in groups {
            let voters = group.members.voters + group.members.votersOutgoing
            guard let node = voters.first(where: { $0.owner == id }) else { continue }
            func isLive(_ node: NodeID) -> Bool {
                run(node.owner) != nil && going[node.owner] == nil
            }
            let lacking = group.members.votersMissed(whenStopping: node, isLive: isLive)
            if !lacking.isEmpty { names.append(group.name) }
            missed.formUnion(lacking.map(\.owner))
            if isHindered || !lacking.isEmpty {
                others.formUnion(voters.filter { $0 != node && isLive($0) }.map(\.owner))
            }
            isCareful = isCareful || voters.count > 2
        }
        if isHindered || !names.isEmpty {
            // Who was let go is still there, or has only just left: it may be a restart.
            let isGoing = missed.contains { going[$0] != nil }
            let hasWaited = now - max(left, wishes[id]?.since ?? now) >= Self.patience
            let isAlone = !others.isEmpty && others.allSatisfy { wishes[$0] != nil }
            if !isGoing, hasWaited, isAlone { return .everybodyStops }
            return .wait(groups: names, missed: missed.sorted())
        }
        if isCareful, now - start < Self.settlingTime { return .settling }
        wishes[id] = nil
        going[id] = (own, now)
        return .granted
    }

    /// Forgets who has gone, who has come back, and who has changed their mind.
    private mutating func forget(_ now: Duration, _ run: (Int32) -> SessionID?) {
        if going.keys.contains(where: { run($0) == nil }) { left = now }
        going = going.filter { run($0.key) == $0.value.run && now - $0.value.since < Self.goingMax }
        wishes = wishes.filter {
            run($0.key) == $0.value.run && now - $0.value.heard < Self.wishAge
        }
    }
}
