import Model
import Raft
import RaftHost

/// Which messages pass, and how long they take.
struct SimulatedNetwork {
    /// A cut: nothing passes from one side to the other.
    struct Cut {
        var id: Int
        var from: Set<Int32>
        var to: Set<Int32>
    }

    /// One way from a machine to another.
    private struct Link: Hashable {
        let from: Int32
        let to: Int32
        let lane: RaftLane
    }

    var random: SeededRandom
    private(set) var cuts: [Cut] = []
    private var nextID = 1
    /// When the last message of a link arrives; others do not overtake it but by misfortune.
    private var lastArrival: [Link: UInt64] = [:]
    /// Until when everything that a machine sends is held back.
    var cloggedUntil: [Int32: UInt64] = [:]

    init(random: SeededRandom) { self.random = random }

    mutating func cut(from: Set<Int32>, to: Set<Int32>) -> Int {
        cuts.append(Cut(id: nextID, from: from, to: to))
        nextID += 1
        return nextID - 1
    }

    mutating func mend(_ id: Int) { cuts.removeAll { $0.id == id } }

    mutating func mendAll() {
        cuts = []
        cloggedUntil = [:]
    }

    func isCut(from: Int32, to: Int32) -> Bool {
        cuts.contains { $0.from.contains(from) && $0.to.contains(to) }
    }

    /// When a message that is sent now arrives; more than once, or never.
    mutating func arrivals(
        from: Int32,
        to: Int32,
        on lane: RaftLane,
        now: UInt64,
        _ mix: FaultMix,
        isStormy: Bool
    ) -> [UInt64] {
        guard !isCut(from: from, to: to) else { return [] }
        let link = Link(from: from, to: to, lane: lane)
        guard isStormy else { return [inOrder(link, now + 100 + UInt64(random.below(300)))] }
        guard !random.chance(mix.loss) else { return [] }
        let start = max(now, cloggedUntil[from] ?? 0)
        let delay = UInt64(mix.delayMin + random.below(2 * mix.delayMean))
        var times: [UInt64] = []
        if random.chance(mix.reorder) {
            times.append(start + delay)
        } else {
            times.append(inOrder(link, start + delay))
        }
        if random.chance(mix.duplication) {
            times.append(start + delay + UInt64(random.below(20 * mix.delayMean)))
        }
        return times
    }

    private mutating func inOrder(_ link: Link, _ time: UInt64) -> UInt64 {
        let arrival = max(time, lastArrival[link] ?? 0)
        lastArrival[link] = arrival
        return arrival
    }
}

/// What travels from one machine to another.
enum Packet {
    case message(ReceivedMessage)
    case heartbeats(HeartbeatRound)
    case answers(HeartbeatAnswers)
}

/// One machine's way into the network.
final class SimulatedSender: RaftSender {
    private unowned let simulation: Simulation
    private let owner: Int32

    init(_ simulation: Simulation, owner: Int32) {
        self.simulation = simulation
        self.owner = owner
    }

    func send(
        _ group: RaftGroupID,
        _ message: Message,
        chain: UInt64?,
        on lane: RaftLane
    ) {
        simulation.transmit(
            from: owner,
            ReceivedMessage(group: group, message: message, chain: chain),
            on: lane
        )
    }

    func takesCatchUp(to peer: Int32) -> Bool { true }

    func send(_ round: HeartbeatRound, to peer: Int32) {
        for beat in round.beats {
            simulation.checker.sent(
                beat.group,
                Message(type: .heartbeat, to: beat.to, from: beat.from, term: beat.term)
            )
        }
        simulation.transmit(from: owner, to: peer, .heartbeats(round))
    }

    func send(_ answers: HeartbeatAnswers, to peer: Int32) {
        simulation.transmit(from: owner, to: peer, .answers(answers))
    }

    func flush() {}
}

extension Simulation {
    func transmit(
        from owner: Int32,
        _ received: ReceivedMessage,
        on lane: RaftLane = .live
    ) {
        checker.sent(received.group, received.message)
        if lane == .catchUp { catchUps += 1 }
        transmit(from: owner, to: received.message.to.owner, .message(received), on: lane)
    }

    func transmit(
        from owner: Int32,
        to peer: Int32,
        _ packet: Packet,
        on lane: RaftLane = .live
    ) {
        let arrivals = network.arrivals(
            from: owner,
            to: peer,
            on: lane,
            now: now,
            mix,
            isStormy: isStormy
        )
        for time in arrivals { timeline.add(.deliver(from: owner, to: peer, packet), at: time) }
    }
}
