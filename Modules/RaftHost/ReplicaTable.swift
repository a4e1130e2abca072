import Model
import Raft

/// A manager's replicas in the order of their groups, with the flat records of those at rest.
///
/// Ticks and heartbeats of thousands of quiet groups run over these arrays alone; the replicas
/// themselves, scattered in memory, are not touched.
/// - Invariant: the three arrays are of one length; `groups` rises; a record in `rests` is that of
///   a replica at rest exactly while the replica's `isResting` is set, and `awake` otherwise.
struct ReplicaTable {
    private(set) var groups: [RaftGroupID] = []
    private(set) var replicas: [Replica] = []
    private var rests: [RaftRest] = []

    /// The replica of a group.
    subscript(group: RaftGroupID) -> Replica? {
        let place = firstPlace(notBelow: group)
        return holds(group, at: place) ? replicas[place] : nil
    }

    /// Takes a replica in; its group must not be there.
    mutating func insert(_ replica: Replica) {
        let place = firstPlace(notBelow: replica.id)
        precondition(!holds(replica.id, at: place), "group \(replica.id) is there already")
        groups.insert(replica.id, at: place)
        replicas.insert(replica, at: place)
        rests.insert(.awake, at: place)
    }

    /// Takes a replica out, woken.
    mutating func remove(_ group: RaftGroupID) -> Replica? {
        let place = firstPlace(notBelow: group)
        guard holds(group, at: place) else { return nil }
        wake(replicas[place])
        groups.remove(at: place)
        rests.remove(at: place)
        return replicas.remove(at: place)
    }

    /// Takes all replicas out.
    mutating func removeAll() {
        for replica in replicas { wake(replica) }
        self = ReplicaTable()
    }

    /// Where a group stands; quick if that is at `hint` or shortly after it.
    func place(of group: RaftGroupID, near hint: Int) -> Int? {
        var place = hint
        let end = min(hint + Self.nearMax, groups.count)
        while place < end, groups[place] < group { place += 1 }
        if holds(group, at: place) { return place }
        place = firstPlace(notBelow: group)
        return holds(group, at: place) ? place : nil
    }

    private static let nearMax = 8

    private func holds(_ group: RaftGroupID, at place: Int) -> Bool {
        place < groups.count && groups[place] == group
    }

    private func firstPlace(notBelow group: RaftGroupID) -> Int {
        var (low, high) = (0, groups.count)
        while low < high {
            let middle = (low + high) / 2
            if groups[middle] < group { low = middle + 1 } else { high = middle }
        }
        return low
    }
}

// MARK: Rest

extension ReplicaTable {
    /// The record of a replica.
    func rest(_ place: Int) -> RaftRest { rests[place] }

    /// The record of a replica at rest.
    func rest(of replica: Replica) -> RaftRest? {
        replica.isResting ? rests[firstPlace(notBelow: replica.id)] : nil
    }

    /// Lets a replica rest, if it may; true if it rests now.
    mutating func letRest(_ place: Int) -> Bool {
        if !rests[place].isAwake { return true }
        let replica = replicas[place]
        guard replica.mayRest, let rest = replica.core.rest else { return false }
        rests[place] = rest
        replica.rest()
        return true
    }

    /// Brings a resting replica's core up to date; it rests no longer.
    mutating func wake(_ replica: Replica) {
        guard replica.isResting else { return }
        let place = firstPlace(notBelow: replica.id)
        precondition(holds(replica.id, at: place), "group \(replica.id) rests and is not there")
        let rest = rests[place]
        rests[place] = .awake
        replica.wake(from: rest)
    }

    /// Counts a unit of time; `wake` for a replica that does not rest.
    mutating func tick(_ place: Int) -> RaftRest.TickOutcome { rests[place].tick() }

    /// Takes a heartbeat, if that is nothing more than one to a resting follower.
    mutating func hear(_ beat: Heartbeat, _ place: Int) -> Bool {
        rests[place].id == beat.to
            && rests[place].hearHeartbeat(from: beat.from, term: beat.term, commit: beat.commit)
    }

    /// Takes the answer to a heartbeat, if that is nothing more than one to a resting leader.
    mutating func hearResponse(to beat: Heartbeat, _ place: Int) -> Bool {
        rests[place].id == beat.from
            && rests[place].hearHeartbeatResponse(from: beat.to, term: beat.term)
    }
}
