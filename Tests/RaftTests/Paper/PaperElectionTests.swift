import Model
import Raft
import Testing

/// The Raft paper, 5.2 and 5.4.1: who stands for election, who is voted for, who wins.
@Suite struct PaperElectionTests {
    // Paper 5.2: heartbeats are appends without entries; here they have a type of their own.
    @Test func `a heartbeat goes to all followers and names no entry`() throws {
        let solo = SoloNode()
        try solo.lead()
        for number in 0..<10 { try solo.propose("\(number)") }
        solo.drain()
        solo.tick(1)
        #expect(
            solo.drain().texts == [
                "1->2 MsgHeartbeat Term:1 Log:0/0", "1->3 MsgHeartbeat Term:1 Log:0/0",
            ]
        )
    }

    // Paper 5.2: a follower or candidate whose timeout passes begins a new term.
    @Test(arguments: [RaftRole.follower, .candidate])
    func `whoever hears from no leader votes for itself and asks all others`(
        role: RaftRole
    ) throws {
        let solo = SoloNode(hardState: HardState(term: role == .candidate ? 0 : 1))
        if role == .candidate {
            try solo.node.campaign()
            solo.drain()
        }
        #expect(solo.node.term == 1)
        solo.tick(19)
        #expect(
            solo.drain().texts == [
                "1->2 MsgVote Term:2 Log:0/0", "1->3 MsgVote Term:2 Log:0/0",
            ]
        )
        #expect(solo.node.role == .candidate)
        #expect(solo.node.term == 2)
        #expect(solo.storage.hardState == HardState(term: 2, vote: 1, commit: 0))
    }

    // Paper 5.2: a majority of votes wins; a majority of refusals loses; else the election waits.
    @Test(
        arguments: [
            (1, [], [], .leader), (3, [2, 3], [], .leader), (3, [2], [], .leader),
            (5, [2, 3, 4, 5], [], .leader), (5, [2, 3, 4], [], .leader), (5, [2, 3], [], .leader),
            (3, [], [2, 3], .follower), (5, [], [2, 3, 4, 5], .follower),
            (5, [2], [3, 4, 5], .follower),
            (3, [], [], .candidate), (5, [2], [], .candidate), (5, [], [2, 3], .candidate),
            (5, [], [], .candidate),
        ] as [(UInt64, [NodeID], [NodeID], RaftRole)]
    )
    func `one round of votes wins, loses or leaves the election open`(
        size: UInt64,
        granted: [NodeID],
        refused: [NodeID],
        role: RaftRole
    ) throws {
        let solo = SoloNode(of: size)
        try solo.node.campaign()
        solo.drain()
        for id in granted { try solo.step(Message(type: .voteResponse, from: id, term: 1)) }
        for id in refused {
            try solo.step(Message(type: .voteResponse, from: id, term: 1, reject: true))
        }
        #expect(solo.node.role == role)
        #expect(solo.node.term == 1)
    }

    // Paper 5.2: one vote in a term, first come, first served.
    @Test(
        arguments: [
            (0, 2, false), (0, 3, false), (2, 2, false), (3, 3, false), (2, 3, true), (3, 2, true),
        ] as [(NodeID, NodeID, Bool)]
    )
    func `a follower gives its vote of a term to the first who asks`(
        vote: NodeID,
        candidate: NodeID,
        isRefused: Bool
    ) throws {
        let solo = SoloNode(hardState: HardState(term: 1, vote: vote))
        let answer = try solo.step(Message(type: .vote, from: candidate, term: 1))
        #expect(answer.map(\.type) == [.voteResponse])
        #expect(answer.map(\.to) == [candidate])
        #expect(answer.map(\.term) == [1])
        #expect(answer.map(\.reject) == [isRefused])
    }

    // Paper 5.2: an append whose term is not smaller comes from a legitimate leader.
    @Test(arguments: [1, 2] as [Term])
    func `a candidate concedes to a leader of its own or a higher term`(term: Term) throws {
        let solo = SoloNode()
        try solo.node.campaign()
        solo.drain()
        #expect(solo.node.role == .candidate)
        try solo.step(Message(type: .append, from: 2, term: term))
        #expect(solo.node.role == .follower)
        #expect(solo.node.term == term)
        #expect(solo.node.leader == 2)
    }

    // Paper 5.2: candidates draw a new timeout for each election.
    @Test func `a candidate's next timeout is drawn anew from the whole range`() throws {
        let solo = SoloNode(seed: 3)
        try solo.node.campaign()
        solo.drain()
        var seen: Set<Int> = []
        for _ in 0..<500 {
            let term = solo.node.term
            var ticks = 0
            while solo.node.term == term {
                solo.tick(1)
                ticks += 1
            }
            solo.drain()
            seen.insert(ticks)
        }
        #expect(seen == Set(10...19))
    }

    // Paper 5.2: random timeouts make split votes rare.
    @Test(arguments: [RaftRole.follower, .candidate])
    func `of five replicas seldom two time out together`(role: RaftRole) throws {
        let group = (1...5).map { SoloNode(of: 5, seed: UInt64($0) * 977) }
        var conflicts = 0
        let rounds = 1_000
        for round in 1...rounds {
            // Each begins the round at the same moment, in the same role.
            for (place, solo) in group.enumerated() {
                if role == .follower {
                    let term = Term(UInt64(round * 100 + place))
                    try solo.step(Message(type: .heartbeat, from: 2, term: term))
                } else {
                    try solo.node.campaign()
                    solo.drain()
                }
            }
            let terms = group.map { $0.node.term }
            var timeouts = 0
            while timeouts == 0 {
                for (place, solo) in group.enumerated() {
                    solo.tick(1)
                    if solo.node.term != terms[place] { timeouts += 1 }
                }
            }
            if timeouts > 1 { conflicts += 1 }
        }
        #expect(conflicts * 10 <= rounds * 3)
    }

    // Paper 5.4.1: the request carries what voters need to compare logs.
    @Test(arguments: [([1], 2), ([1, 2], 3)] as [([Term], Term)])
    func `a vote request shows the end of the candidate's log`(
        terms: [Term],
        term: Term
    ) throws {
        let solo = SoloNode()
        try solo.step(
            Message(type: .append, from: 2, term: term - 1, entries: entries(terms))
        )
        solo.tick(19)
        let requests = solo.drain()
        #expect(requests.map(\.type) == [.vote, .vote])
        #expect(requests.map(\.to) == [2, 3])
        #expect(requests.allSatisfy { $0.term == term })
        #expect(requests.allSatisfy { $0.index == LogIndex(UInt64(terms.count)) })
        #expect(requests.allSatisfy { $0.logTerm == terms.last })
    }

    // Paper 5.4.1: the higher last term wins; with equal terms the longer log does.
    @Test(
        arguments: [
            ([1], 1, 1, false), ([1], 1, 2, false), ([1, 1], 1, 1, true),
            ([1], 2, 1, false), ([1], 2, 2, false), ([1, 1], 2, 1, false),
            ([2], 1, 1, true), ([2], 1, 2, true), ([2, 2], 1, 1, true), ([1, 1], 1, 1, true),
        ] as [([Term], Term, LogIndex, Bool)]
    )
    func `a voter refuses a candidate whose log is older than its own`(
        terms: [Term],
        lastTerm: Term,
        lastIndex: LogIndex,
        isRefused: Bool
    ) throws {
        let solo = SoloNode(of: 2, terms: terms)
        let answer = try solo.step(
            Message(type: .vote, from: 2, term: 3, logTerm: lastTerm, index: lastIndex)
        )
        #expect(answer.map(\.type) == [.voteResponse])
        #expect(answer.map(\.reject) == [isRefused])
    }
}
