import Model
import Testing

@testable import Raft

/// Raft thesis 3.3, 3.4 and 9.6: what a replica does in each role, and how roles follow each other.
@Suite struct RoleTests {
    /// A replica of three in a role, with nothing waiting to be sent.
    private func solo(_ role: RaftRole, term: Term = 1) throws -> SoloNode {
        let solo = SoloNode(hardState: HardState(term: term))
        switch role {
        case .follower: try solo.step(Message(type: .heartbeat, from: 3, term: term))
        case .preCandidate:
            solo.node.becomePreCandidate()
            solo.drain()
        case .candidate:
            try solo.node.campaign()
            solo.drain()
        case .leader: try solo.lead()
        }
        #expect(solo.node.role == role)
        return solo
    }

    // Thesis 3.4: a vote for a higher term is given whatever one was before; 9.6: a pre-vote
    // changes nothing.
    @Test(arguments: [RaftRole.follower, .preCandidate, .candidate, .leader])
    func `a vote and a pre-vote for the next term are given from every role`(
        role: RaftRole
    ) throws {
        for type: MessageType in [.vote, .preVote] {
            let solo = try solo(role)
            let (term, vote) = (solo.node.term, solo.node.vote)
            let answer = try solo.step(
                Message(type: type, from: 2, term: term + 1, logTerm: term + 1, index: 42)
            )
            #expect(answer.map(\.type) == [type == .vote ? .voteResponse : .preVoteResponse])
            #expect(answer.map(\.reject) == [false])
            #expect(answer.map(\.term) == [term + 1])
            #expect(solo.node.role == (type == .vote ? .follower : role))
            #expect(solo.node.term == (type == .vote ? term + 1 : term))
            #expect(solo.node.vote == (type == .vote ? 2 : vote))
        }
    }

    // Thesis 3.6.1: logs of a leader's term 2 with two entries, in the log's term or the next.
    @Test(
        arguments: [
            (0, 0, false), (0, 1, false), (0, 2, false), (0, 3, true),
            (1, 0, false), (1, 1, false), (1, 2, false), (1, 3, true),
            (2, 0, false), (2, 1, false), (2, 2, true), (2, 3, true),
            (3, 0, false), (3, 1, false), (3, 2, true), (3, 3, true),
        ] as [(LogIndex, Term, Bool)]
    )
    func `a vote depends on which log is better, a pre-vote too`(
        index: LogIndex,
        logTerm: Term,
        isGranted: Bool
    ) throws {
        for type: MessageType in [.vote, .preVote] {
            let term = max(2, logTerm)
            let solo = SoloNode(terms: [2, 2], hardState: HardState(term: term))
            let answer = try solo.step(
                Message(type: type, from: 2, term: term, logTerm: logTerm, index: index)
            )
            #expect(answer.map(\.reject) == [!isGranted], "\(type)")
        }
    }

    // Thesis 3.4: whoever has voted for another, or stands himself, refuses in the same term.
    @Test(arguments: [RaftRole.preCandidate, .candidate, .leader])
    func `whoever has voted in a term gives no other vote or pre-vote for it`(
        role: RaftRole
    ) throws {
        for type: MessageType in [.vote, .preVote] {
            let solo = try solo(role)
            solo.node.vote = 1
            let answer = try solo.step(
                Message(type: type, from: 2, term: solo.node.term, logTerm: 9, index: 9)
            )
            #expect(answer.map(\.reject) == [true], "\(type)")
        }
        let voter = SoloNode(hardState: HardState(term: 2, vote: 2))
        let again = try voter.step(Message(type: .vote, from: 2, term: 2))
        #expect(again.map(\.reject) == [false])
        let other = try voter.step(Message(type: .vote, from: 3, term: 2))
        #expect(other.map(\.reject) == [true])
    }

    // Thesis 3.3: a higher term ends every role; only a leader's message tells who leads.
    @Test(arguments: [RaftRole.follower, .preCandidate, .candidate, .leader])
    func `any role steps down for a higher term and follows only a leader`(
        role: RaftRole
    ) throws {
        let solo = try solo(role)
        let last = solo.node.lastIndex
        try solo.step(Message(type: .vote, from: 2, term: 3, logTerm: 3))
        #expect(solo.node.role == .follower)
        #expect(solo.node.term == 3)
        #expect(solo.node.leader == .none)
        #expect(solo.node.lastIndex == last)
        try solo.step(Message(type: .append, from: 2, term: 3, logTerm: 3, index: 9))
        #expect(solo.node.role == .follower)
        #expect(solo.node.leader == 2)
        #expect(solo.node.lastIndex == last)
    }

    // Thesis figure 3.3, with the role that pre-votes add.
    @Test func `roles change only along the arrows`() throws {
        for role: RaftRole in [.follower, .preCandidate, .candidate] {
            let follower = try solo(role)
            follower.node.becomeFollower(5, leader: 2)
            #expect(follower.node.softState == SoftState(leader: 2, role: .follower))
            #expect(follower.node.term == 5)
            let preCandidate = try solo(role)
            let term = preCandidate.node.term
            preCandidate.node.becomePreCandidate()
            #expect(preCandidate.node.softState == SoftState(leader: .none, role: .preCandidate))
            #expect(preCandidate.node.term == term)
            let candidate = try solo(role)
            candidate.node.becomeCandidate()
            #expect(candidate.node.softState == SoftState(leader: .none, role: .candidate))
            #expect(candidate.node.term == term + 1)
            #expect(candidate.node.vote == 1)
            guard role != .follower else { continue }
            let leader = try solo(role)
            leader.node.becomeLeader()
            #expect(leader.node.softState == SoftState(leader: 1, role: .leader))
            #expect(leader.node.term == term)
        }
        let deposed = try solo(.leader)
        deposed.node.becomeFollower(deposed.node.term, leader: .none)
        #expect(deposed.node.softState == SoftState(leader: .none, role: .follower))
    }

    @Test func `a leader never stands for election and a follower never just leads`() async {
        await #expect(processExitsWith: .failure) {
            let leader = SoloNode(of: 1)
            try leader.lead()
            guard leader.node.role == .leader else { return }
            leader.node.becomeCandidate()
        }
        await #expect(processExitsWith: .failure) {
            let leader = SoloNode(of: 1)
            try leader.lead()
            guard leader.node.role == .leader else { return }
            leader.node.becomePreCandidate()
        }
        await #expect(processExitsWith: .failure) { SoloNode().node.becomeLeader() }
    }

    // Thesis 3.4: each timeout is as likely as another.
    @Test func `election timeouts are drawn evenly`() {
        var counts: [Int: Int] = [:]
        let count = 5_000
        for seed in 0..<count {
            counts[SoloNode(seed: UInt64(seed)).node.randomizedElectionTicks, default: 0] += 1
        }
        #expect(counts.keys.sorted() == Array(10...19))
        for ticks in 10...19 {
            let share = counts[ticks, default: 0]
            #expect(share > count / 10 * 8 / 10 && share < count / 10 * 12 / 10, "\(ticks)")
        }
    }

    @Test(arguments: [RaftRole.follower, .preCandidate, .candidate])
    func `only a leader beats`(role: RaftRole) throws {
        let solo = try solo(role)
        solo.tick(1)
        #expect(solo.drain().isEmpty)
        #expect(try self.solo(.leader).drain().isEmpty)
        let leader = try self.solo(.leader)
        leader.tick(1)
        #expect(leader.drain().map(\.type) == [.heartbeat, .heartbeat])
    }

    @Test(
        arguments: [([1], true), ([1, 2, 3], true), ([], false), ([2, 3], false)]
            as [([NodeID], Bool)]
    )
    func `only a voter of the group may lead it`(voters: [NodeID], mayLead: Bool) throws {
        let storage = MemoryStorage(confState: ConfState(voters: voters))
        let solo = SoloNode(storage: storage)
        #expect(solo.node.isPromotable == mayLead)
        solo.tick(40)
        try solo.node.campaign()
        #expect((solo.node.role == .follower) == !mayLead)
    }

    @Test(arguments: [false, true])
    func `a leader that is told to campaign stays what it is`(preVote: Bool) throws {
        let solo = SoloNode(of: 1, configure: { $0.preVote = preVote })
        try solo.node.campaign()
        solo.drain()
        #expect(solo.node.role == .leader)
        let term = solo.node.term
        try solo.node.campaign()
        solo.drain()
        #expect(solo.node.role == .leader)
        #expect(solo.node.term == term)
    }

    // Thesis 3.10: the target may have been removed, or demoted, meanwhile.
    @Test func `who may not lead ignores the leader's word to take over`() throws {
        for state in [
            ConfState(voters: [2, 3, 4]), ConfState(voters: [2, 3], learners: [1]),
        ] {
            let solo = SoloNode(
                hardState: HardState(term: 1),
                storage: MemoryStorage(confState: state)
            )
            #expect(try solo.step(Message(type: .timeoutNow, from: 2, term: 1)).isEmpty)
            for id: NodeID in [2, 3] {
                try solo.step(Message(type: .voteResponse, from: id, term: 1))
            }
            #expect(solo.node.role == .follower)
        }
    }
}

/// Raft thesis 3.8 and 10.2.1: a vote or acknowledgement of one's own that comes back late.
@Suite struct OwnAnswerTests {
    /// A replica whose disk does nothing until it is told to.
    private func stalled(preVote: Bool = false) -> SoloNode {
        let solo = SoloNode(configure: { $0.preVote = preVote })
        solo.isDiskStalled = true
        return solo
    }

    @Test(arguments: [false, true])
    func `an own vote that comes after a lost election counts for nothing`(
        preVote: Bool
    ) throws {
        let solo = stalled(preVote: preVote)
        try solo.node.campaign()
        solo.drain()
        let term = max(1, solo.node.term)
        try solo.step(Message(type: .heartbeat, from: 2, term: term))
        #expect(solo.node.role == .follower)
        _ = solo.write()
        #expect(solo.node.role == .follower)
        #expect(solo.node.tracker.tallyVotes().granted == 0)
    }

    @Test func `an own pre-vote that comes late does not count as a vote`() throws {
        let solo = stalled(preVote: true)
        try solo.node.campaign()
        solo.drain()
        #expect(solo.node.role == .preCandidate)
        for id: NodeID in [2, 3] {
            try solo.step(Message(type: .preVoteResponse, from: id, term: 1))
        }
        #expect(solo.node.role == .candidate)
        // The first write brings the pre-vote back, the second one the vote.
        let (preVote, vote) = (solo.writes[0], solo.writes[1])
        for response in preVote.responses { try solo.node.step(response) }
        #expect(solo.node.role == .candidate)
        #expect(solo.node.tracker.tallyVotes().granted == 0)
        try solo.step(Message(type: .voteResponse, from: 2, term: 1))
        #expect(solo.node.role == .candidate)
        for response in vote.responses where response.to == solo.node.id {
            try solo.node.step(response)
        }
        #expect(solo.node.role == .leader)
    }

    @Test func `an own acknowledgement that comes after the leadership is ignored`() throws {
        let solo = SoloNode()
        try solo.lead()
        solo.isDiskStalled = true
        try solo.propose("some data")
        solo.drain()
        try solo.step(Message(type: .heartbeat, from: 2, term: solo.node.term + 1))
        #expect(solo.node.role == .follower)
        _ = solo.write()
        #expect(solo.node.role == .follower)
        #expect(solo.node.commit == 0)
    }
}
