import Model
import Raft

/// A group of three at work: one proposal after the other, with everything that follows from it.
///
/// A round is cut into phases. `perform` calls the cores and nothing else, so that a phase can be
/// measured; `carry` does what the owner, the disks and the network do in between.
final class SteadyGroup {
    /// What is done to the cores, in this order.
    enum Phase: String, CaseIterable {
        case propose = "leader: propose"
        case leaderReady = "leader: ready"
        case followerAppend = "follower: step append"
        case followerReady = "follower: ready"
        case followerWritten = "follower: step write's answer"
        case leaderWritten = "leader: step write's answers"
        case acknowledged = "leader: step acknowledgement"
        case leaderCommit = "leader: ready to apply"
        case leaderApplied = "leader: step application's answer"
        case followerCommit = "follower: step commit"
        case followerApply = "follower: ready to apply"
        case followerApplied = "follower: step application's answer"
        case told = "leader: step commit's answer"
        case leaderTick = "leader: tick"
        case beat = "leader: ready with heartbeats"
        case followerTick = "follower: tick"
        case followerBeat = "follower: step heartbeat"
        case followerAnswer = "follower: ready with an answer"
        case answered = "leader: step heartbeat's answer"

        /// Whether one phase calls both followers' cores, or the leader once for each of them.
        var isDoneTwice: Bool {
            switch self {
            case .propose, .leaderReady, .leaderWritten, .leaderCommit, .leaderApplied,
                .leaderTick, .beat:
                false
            default: true
            }
        }
    }

    /// One replica, and what waits to be stepped or carried out for it.
    private final class Member {
        var node: RaftNode
        let storage: RingStorage
        var ready = Ready()
        var inbox: [Message] = []
        var answers: [Message] = []
        var applied: LogIndex = 0

        init(_ id: NodeID) {
            var config = RaftConfig(id: id)
            config.preVote = false
            storage = RingStorage(ConfState(voters: [1, 2, 3]))
            node = RaftNode(config: config, storage: storage, seed: id.rawValue)
        }

        func stepInbox() {
            for message in inbox { step(message) }
        }

        func stepAnswers() {
            for message in answers { step(message) }
        }

        func step(_ message: Message) {
            do {
                try node.step(message)
            } catch {
                preconditionFailure("\(error)")
            }
        }

        func takeReady() { node.ready(into: &ready) }
    }

    private let leader = Member(1)
    private let followers = [Member(2), Member(3)]
    private let payload: Payload

    /// Makes the group, elects its leader and lets it settle.
    init(payloadBytes: Int) {
        payload = Payload(Array(repeating: 7, count: payloadBytes))
        do {
            try leader.node.campaign()
        } catch {
            preconditionFailure("\(error)")
        }
        settle()
        precondition(leader.node.role == .leader, "nobody was elected")
    }

    /// The last entry that every replica has applied.
    var applied: LogIndex { min(leader.applied, followers.map(\.applied).min() ?? 0) }

    private func settle() {
        let all = [leader] + followers
        while all.contains(where: { $0.node.hasReady || !$0.inbox.isEmpty || !$0.answers.isEmpty })
        {
            for member in all {
                member.stepInbox()
                member.inbox.removeAll(keepingCapacity: true)
                member.stepAnswers()
                member.answers.removeAll(keepingCapacity: true)
                member.takeReady()
                carryOut(member)
            }
        }
    }

    // MARK: Phases

    /// Calls the cores.
    func perform(_ phase: Phase) {
        switch phase {
        case .propose:
            do {
                try leader.node.propose(payload)
            } catch {
                preconditionFailure("\(error)")
            }
        case .leaderReady, .leaderCommit, .beat: leader.takeReady()
        case .followerAppend, .followerCommit, .followerBeat:
            for follower in followers { follower.stepInbox() }
        case .followerReady, .followerApply, .followerAnswer:
            for follower in followers { follower.takeReady() }
        case .followerWritten, .followerApplied:
            for follower in followers { follower.stepAnswers() }
        case .leaderWritten, .leaderApplied: leader.stepAnswers()
        case .acknowledged, .told, .answered: leader.stepInbox()
        case .leaderTick: leader.node.tick()
        case .followerTick: for follower in followers { follower.node.tick() }
        }
    }

    /// Does between phases what is not the cores' work.
    func carry(_ phase: Phase) {
        switch phase {
        case .propose, .leaderTick, .followerTick: break
        case .leaderReady, .leaderCommit, .beat: carryOut(leader)
        case .followerAppend, .followerCommit, .followerBeat:
            for follower in followers { follower.inbox.removeAll(keepingCapacity: true) }
        case .followerReady, .followerApply, .followerAnswer:
            for follower in followers { carryOut(follower) }
        case .followerWritten, .followerApplied:
            for follower in followers { follower.answers.removeAll(keepingCapacity: true) }
        case .leaderWritten, .leaderApplied: leader.answers.removeAll(keepingCapacity: true)
        case .acknowledged, .told, .answered: leader.inbox.removeAll(keepingCapacity: true)
        }
    }

    /// Sends, writes and applies what is ready, at once.
    private func carryOut(_ member: Member) {
        for message in member.ready.messages {
            switch message.to {
            case .localAppendThread:
                member.storage.write(message)
                for response in message.responses { deliver(response, from: member) }
            case .localApplyThread:
                if let last = message.entries.last { member.applied = last.index }
                member.answers.append(message.applyResponse)
            default: deliver(message, from: member)
            }
        }
    }

    private func deliver(_ message: Message, from member: Member) {
        if message.to == member.node.id { return member.answers.append(message) }
        let receiver = message.to == 1 ? leader : followers[Int(message.to.rawValue) - 2]
        receiver.inbox.append(message)
    }
}

/// The newest entries of a log in a ring that never grows.
private final class RingStorage: LogStorage {
    private static let capacity: UInt64 = 256
    private let members: ConfState
    private var ring = [Entry](repeating: Entry(), count: Int(capacity))
    private(set) var lastIndex: LogIndex = 0

    init(_ members: ConfState) { self.members = members }

    var initialState: (HardState, ConfState) { (HardState(), members) }

    var firstIndex: LogIndex {
        lastIndex.rawValue < Self.capacity ? 1 : LogIndex(lastIndex.rawValue - Self.capacity + 2)
    }

    func term(at index: LogIndex) throws(LogStorageError) -> Term {
        if index + 1 < firstIndex { throw .compacted }
        if index > lastIndex { throw .unavailable }
        return index == 0 ? 0 : ring[place(index)].term
    }

    func entry(at index: LogIndex) throws(LogStorageError) -> Entry { ring[place(index)] }

    func entries(
        from: LogIndex,
        to: LogIndex,
        maxBytes: Int
    ) throws(LogStorageError) -> [Entry] {
        (from.rawValue..<to.rawValue).map { ring[place(LogIndex($0))] }
    }

    func snapshot() throws(LogStorageError) -> Snapshot { throw .snapshotTemporarilyUnavailable }

    func write(_ message: Message) {
        for entry in message.entries {
            ring[place(entry.index)] = entry
            lastIndex = entry.index
        }
    }

    private func place(_ index: LogIndex) -> Int { Int(index.rawValue % Self.capacity) }
}
