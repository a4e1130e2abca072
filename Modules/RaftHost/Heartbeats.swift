import DequeModule
public import Model
import Raft

/// One group's heartbeat in its light form: what a `heartbeat` without a context says.
public struct Heartbeat: Equatable, Sendable {
    /// The group.
    public var group: RaftGroupID
    /// The leader.
    public var from: NodeID
    /// The receiver.
    public var to: NodeID
    /// The leader's term.
    public var term: Term
    /// What the receiver may take as committed.
    public var commit: LogIndex

    /// Describes a heartbeat.
    public init(
        group: RaftGroupID,
        from: NodeID,
        to: NodeID,
        term: Term,
        commit: LogIndex
    ) {
        self.group = group
        self.from = from
        self.to = to
        self.term = term
        self.commit = commit
    }

    /// The message that says the same.
    var message: Message {
        Message(type: .heartbeat, to: to, from: from, term: term, commit: commit)
    }

    /// The answer of a receiver that follows the leader in its term.
    var response: Message {
        Message(type: .heartbeatResponse, to: from, from: to, term: term)
    }
}

/// The heartbeats of one tick to one other daemon, of all groups that this one leads.
///
/// Each heartbeat is whole: whatever was lost before, a round is understood by itself.
public struct HeartbeatRound: Equatable, Sendable {
    /// Names the round; numbers begin at random, so that no other run of the process used them.
    public var number: UInt64
    /// The heartbeats, in the order of their groups.
    public var beats: [Heartbeat]

    /// Joins the two.
    public init(number: UInt64, beats: [Heartbeat]) {
        self.number = number
        self.beats = beats
    }
}

/// Which heartbeats of a round found a follower that had nothing else to answer.
///
/// For each of them this stands for a `heartbeatResponse` in the heartbeat's own term; any other
/// answer travels as a message.
public struct HeartbeatAnswers: Equatable, Sendable {
    /// The round's number.
    public var number: UInt64
    /// Places in the round, rising; nearly always all of them in one range.
    public var places: [Range<Int>]

    /// Joins the two.
    public init(number: UInt64, places: [Range<Int>] = []) {
        self.number = number
        self.places = places
    }

    /// Adds a place after all those before.
    mutating func add(_ place: Int) {
        if let last = places.indices.last, places[last].upperBound == place {
            places[last] = places[last].lowerBound..<place + 1
        } else {
            places.append(place..<place + 1)
        }
    }
}

/// What this daemon and another one say to each other in rounds: what goes out with the next tick,
/// and the rounds without an answer.
struct PeerHeartbeats {
    let owner: Int32
    private var beats: [Heartbeat] = []
    private var answers: [HeartbeatAnswers] = []
    private var unanswered: Deque<HeartbeatRound> = []

    /// An answer later than so many rounds is as good as lost.
    static let unansweredMax = 10

    init(owner: Int32) {
        self.owner = owner
    }

    /// Adds a heartbeat to the round of this tick.
    mutating func add(_ beat: Heartbeat) { beats.append(beat) }

    /// Keeps an answer for the next tick; one that comes so late is as good as lost.
    mutating func add(_ answer: HeartbeatAnswers) {
        if answers.count == Self.unansweredMax { answers.removeFirst() }
        answers.append(answer)
    }

    /// Takes the answers that go out now.
    mutating func takeAnswers() -> [HeartbeatAnswers] {
        if answers.isEmpty { return [] }
        defer { answers.removeAll(keepingCapacity: true) }
        return answers
    }

    /// Closes the round of this tick and remembers it; nil if it is empty.
    mutating func closeRound(_ number: UInt64) -> HeartbeatRound? {
        if unanswered.count >= Self.unansweredMax || beats.isEmpty { _ = unanswered.popFirst() }
        guard !beats.isEmpty else { return nil }
        let round = HeartbeatRound(number: number, beats: beats)
        unanswered.append(round)
        beats = []
        beats.reserveCapacity(round.beats.count)
        return round
    }

    /// The round that was answered, once; it and those before it are forgotten.
    mutating func takeAnswered(_ number: UInt64) -> HeartbeatRound? {
        guard unanswered.contains(where: { $0.number == number }) else { return nil }
        while let round = unanswered.popFirst() {
            if round.number == number { return round }
        }
        return nil
    }
}
