import Model
import Raft
import Testing

/// Raft thesis 3.5 and 3.6: a leader, its followers' progress, and what it sends them.
@Suite struct LeaderTests {
    /// A leader of two whose only follower has acknowledged its first entry.
    private func leader(configure: (inout RaftConfig) -> Void = { _ in }) throws -> SoloNode {
        let solo = SoloNode(of: 2, configure: configure)
        try solo.lead(votes: [2])
        try solo.acknowledge(2)
        return solo
    }

    @Test func `a leader's own progress moves when its entries are durable`() throws {
        let solo = try leader()
        solo.isDiskStalled = true
        for _ in 0..<5 { try solo.propose("foo") }
        solo.drain()
        #expect(solo.node.progress(of: 1)?.match == 1)
        _ = solo.write()
        #expect(solo.node.progress(of: 1)?.match == 6)
        #expect(solo.node.progress(of: 1)?.next == 7)
    }

    @Test func `a heartbeat's answer resumes a paused member, the heartbeat does not`() throws {
        let solo = SoloNode(of: 2)
        try solo.lead(votes: [2])
        #expect(solo.node.progress(of: 2)?.isPaused == true)
        solo.tick(1)
        #expect(solo.drain().map(\.type) == [.heartbeat])
        #expect(solo.node.progress(of: 2)?.isPaused == true)
        let sent = try solo.step(Message(type: .heartbeatResponse, from: 2, term: 1))
        #expect(sent.map(\.type) == [.append])
        #expect(solo.node.progress(of: 2)?.isPaused == true, "until the next answer")
    }

    @Test func `windows in messages and bytes shape a stream of small and large entries`() throws {
        let solo = SoloNode(
            of: 2,
            configure: {
                $0.maxInflightMessages = 3
                $0.maxBytesPerMessage = 2_048
                $0.maxInflightBytes = 9_000
            }
        )
        try solo.lead(votes: [2])
        for number in 0..<22 {
            // Six large entries after ten small ones.
            let bytes = number >= 10 && number < 16 ? 5_000 : 1_000
            try solo.node.propose([Payload(Array(repeating: 0, count: bytes))])
        }
        #expect(solo.drain().isEmpty, "the first entry is being probed with")
        func acknowledge(_ index: LogIndex, sends expected: [Int]) throws -> LogIndex {
            let sent = try solo.acknowledge(2, index).of(.append)
            #expect(sent.map(\.entries.count) == expected, "after \(index)")
            return sent.last?.entries.last?.index ?? index
        }
        var last = try acknowledge(1, sends: [2, 2, 2])
        last = try acknowledge(last, sends: [2, 2, 1])
        last = try acknowledge(last, sends: [1, 1])
        last = try acknowledge(last, sends: [1, 1])
        last = try acknowledge(last, sends: [1, 2, 2])
        last = try acknowledge(last, sends: [2])
        #expect(last == 23)
    }

    @Test func `the uncommitted tail is counted in payload bytes and freed by applying`() throws {
        let count = 1_024
        let solo = SoloNode(configure: {
            $0.maxUncommittedBytes = count * 8
            $0.maxInflightMessages = 2 * count
            $0.maxInflightBytes = 0
        })
        try solo.lead()
        for id: NodeID in [2, 3] { try solo.acknowledge(id) }
        for _ in 0..<count { try solo.propose("testdata") }
        #expect(throws: RaftError.proposalDropped) { try solo.propose("testdata") }
        #expect(solo.drain().of(.append).count == 2 * count)
        try solo.acknowledge(2)
        // The tail is empty: one proposal of any size enters it, and only empty ones after that.
        let large = (0..<2 * count).map { _ in Payload(Array(repeating: 0, count: 8)) }
        try solo.node.propose(large)
        #expect(throws: RaftError.proposalDropped) { try solo.propose("testdata") }
        try solo.node.propose([.empty])
        solo.drain()
        try solo.acknowledge(2)
        try solo.propose("testdata")
    }

    @Test(arguments: [(3, []), (3, [3])] as [(Int, [NodeID])])
    func `a learner receives what is committed, and learns that it is`(
        count: Int,
        learners: [NodeID]
    ) throws {
        let cluster = TestCluster(count, learners: learners)
        cluster.elect(1)
        try cluster.propose(1, "some data")
        cluster.settle()
        let last = NodeID(UInt64(count))
        #expect(cluster[1].commit == 2)
        #expect(cluster[last].commit == 2)
        #expect(cluster[1].progress(of: last)?.match == 2)
        #expect(cluster[1].progress(of: last)?.isLearner == !learners.isEmpty)
    }

    @Test(
        arguments: [
            (3, [], true), (3, [3], true), (3, [2, 3], false), (4, [2, 3], false),
            (5, [2, 3], true),
        ] as [(Int, [NodeID], Bool)]
    )
    func `a proposal enters all logs that can be reached, if they are a majority`(
        count: Int,
        dead: [NodeID],
        isAccepted: Bool
    ) throws {
        let cluster = TestCluster(count) { $0.makePlain() }
        cluster.loses = { dead.contains($0.from) || dead.contains($0.to) }
        cluster.campaign(1)
        if isAccepted {
            try cluster.propose(1, "some data")
        } else {
            #expect(throws: RaftError.proposalDropped) { try cluster.propose(1, "some data") }
        }
        cluster.settle()
        for number in 1...UInt64(count) where !dead.contains(NodeID(number)) {
            #expect(cluster.texts(NodeID(number)) == (isAccepted ? ["some data"] : []))
        }
        #expect(cluster[1].term == 1)
    }

    @Test func `a proposal at a follower is replicated through the leader`() throws {
        let cluster = TestCluster(3) { $0.makePlain() }
        cluster.campaign(1)
        try cluster.propose(2, "by proxy")
        cluster.settle()
        for id: NodeID in [1, 2, 3] { #expect(cluster.texts(id) == ["by proxy"]) }
        #expect(cluster[1].term == 1)
    }

    @Test func `proposals of successive leaders are applied in one order`() throws {
        let cluster = TestCluster(3) { $0.makePlain() }
        cluster.campaign(1)
        try cluster.propose(1, "first")
        cluster.settle()
        cluster.campaign(2)
        try cluster.propose(2, "second")
        cluster.settle()
        for id: NodeID in [1, 2, 3] {
            #expect(cluster[id].commit == 4)
            #expect(cluster.texts(id) == ["first", "second"])
        }
    }

    // Thesis 3.6.2: figure 3.7's way out.
    @Test func `a new leader's empty entry commits what its predecessor could not`() throws {
        let cluster = TestCluster(5) { $0.makePlain() }
        cluster.campaign(1)
        cluster.cut((1, 3), (1, 4), (1, 5))
        for text in ["a", "b"] { try cluster.propose(1, text) }
        cluster.settle()
        #expect(cluster[1].commit == 1)
        cluster.heal()
        // Without appends of its own term nothing is committed, however many have the entries.
        cluster.loses = { $0.type == .append }
        cluster.campaign(2)
        #expect(cluster[2].role == .leader)
        #expect(cluster[2].commit == 1)
        cluster.heal()
        cluster.tick(2)
        cluster.settle()
        #expect(cluster[2].commit == 4)
        #expect(cluster.texts(5) == ["a", "b"])
    }

    @Test func `a member that lags is sent entries at each answer until it acknowledges`() throws {
        let solo = SoloNode(of: 2, terms: [1, 2, 3])
        try solo.lead(votes: [2])
        let answer = Message(type: .heartbeatResponse, from: 2, term: 4)
        for _ in 0..<2 { #expect(try solo.step(answer).map(\.type) == [.append]) }
        try solo.acknowledge(2)
        #expect(try solo.step(answer).isEmpty)
    }

    @Test func `an acknowledgement ends the wait of the member that sent it`() throws {
        let solo = SoloNode()
        try solo.lead()
        try solo.acknowledge(2)
        #expect(solo.node.commit == 1)
        try solo.node.propose([.empty])
        let early = solo.drain()
        #expect(early.map(\.to) == [2])
        #expect(early.flatMap(\.entries).map(\.index) == [2])
        let late = try solo.acknowledge(3, 1)
        #expect(late.map(\.to) == [3])
        #expect(late.flatMap(\.entries).map(\.index) == [2])
    }

    /// An answer of member 2 to a leader whose log has the terms 1, 1 and its own first entry.
    struct Answer: Sendable {
        let index: LogIndex
        let isRejection: Bool
        let match: LogIndex
        let next: LogIndex
        let sent: [String]
    }

    @Test(arguments: [
        // An old rejection; one that counts; an acknowledgement; one of what was known already.
        Answer(index: 3, isRejection: true, match: 0, next: 3, sent: []),
        Answer(
            index: 2,
            isRejection: true,
            match: 0,
            next: 2,
            sent: [
                "1->2 MsgApp Term:1 Log:1/1 Entries:[\n  1/2 EntryNormal \"\"\n"
                    + "  1/3 EntryNormal \"\"\n]"
            ]
        ),
        Answer(
            index: 3,
            isRejection: false,
            match: 3,
            next: 4,
            sent: [
                "1->2 MsgApp Term:1 Log:1/3 Commit:3"
            ]
        ),
        Answer(
            index: 0,
            isRejection: false,
            match: 0,
            next: 4,
            sent: [
                "1->2 MsgApp Term:1 Log:0/0 Entries:[\n  1/1 EntryNormal \"\"\n"
                    + "  1/2 EntryNormal \"\"\n  1/3 EntryNormal \"\"\n]"
            ]
        ),
    ])
    func `an answer moves the member's progress and is followed by what it needs`(
        answer: Answer
    ) throws {
        let solo = SoloNode(terms: [1, 1], hardState: HardState(term: 0))
        try solo.lead()
        #expect(solo.node.progress(of: 2)?.next == 3)
        let sent = try solo.step(
            Message(
                type: .appendResponse,
                from: 2,
                term: 1,
                index: answer.index,
                reject: answer.isRejection,
                rejectHint: answer.index
            )
        )
        #expect(solo.node.progress(of: 2)?.match == answer.match)
        #expect(solo.node.progress(of: 2)?.next == answer.next)
        #expect(sent.filter { $0.to == 2 }.texts == answer.sent)
    }

    @Test func `only a member that is not probed is taken to have what it was sent`() throws {
        let replicating = try leader()
        try replicating.propose("some data")
        #expect(replicating.node.progress(of: 2)?.next == 3)
        let probing = SoloNode(of: 2)
        try probing.lead(votes: [2])
        try probing.propose("some data")
        #expect(probing.node.progress(of: 2)?.next == 1)
    }

    @Test func `an answer that was overtaken does not move a member below its match`() throws {
        let solo = try leader()
        let follower = SoloNode(of: 2, hardState: HardState(term: 1))
        try follower.step(Message(type: .append, from: 2, term: 1, entries: entries([1])))
        func asFollower(_ message: Message) throws -> Message {
            var message = message
            message.from = 2
            var answer = try #require(try follower.step(message).first)
            answer.from = 2
            return answer
        }
        try solo.propose("some data")
        let first = try #require(solo.drain().first)
        try solo.propose("some data")
        let second = try #require(solo.drain().first)
        let rejection = try asFollower(second)
        #expect(rejection.reject)
        #expect(rejection.index == 2)
        let acknowledgement = try asFollower(first)
        #expect(!acknowledgement.reject)
        try solo.step(acknowledgement)
        #expect(solo.node.progress(of: 2)?.match == 2)
        solo.node.reportUnreachable(2)
        #expect(solo.node.progress(of: 2)?.state == .probe)
        let sent = try solo.step(rejection)
        #expect(sent.map(\.index) == [2], "it goes on at the match")
    }
}
