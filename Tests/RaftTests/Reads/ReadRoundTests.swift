import Model
import Testing

@testable import Raft

/// Raft thesis 6.4: reads in whole groups, and what a leader keeps of them.
@Suite struct ReadRoundTests {
    @Test(arguments: [ReadOnlyOption.safe, .leaseBased])
    func `a read at any member waits for what was committed when it came`(
        option: ReadOnlyOption
    ) throws {
        let cluster = TestCluster(3) {
            $0.makePlain()
            $0.checkQuorum = option == .leaseBased
            $0.readOnlyOption = option
        }
        cluster.campaign(1)
        for round in 1...6 {
            for _ in 0..<10 { try cluster[1].propose([.empty]) }
            cluster.settle()
            let reader = NodeID(UInt64(1 + (round - 1) % 3))
            cluster[reader].readIndex(context: UInt64(round))
            cluster.settle()
            let expected = ReadState(
                index: LogIndex(UInt64(round * 10 + 1)),
                context: UInt64(round)
            )
            #expect(cluster.readStates(reader).last == expected)
        }
        for id: NodeID in [1, 2, 3] { #expect(cluster.readStates(id).count == 2) }
    }

    @Test func `a learner reads through the leader`() throws {
        let cluster = TestCluster(2, learners: [2]) { $0.makePlain() }
        cluster.campaign(1)
        for round in 1...4 {
            try cluster.propose(1, "some data")
            cluster.settle()
            let reader: NodeID = round % 2 == 0 ? 2 : 1
            cluster[reader].readIndex(context: UInt64(round))
            cluster.settle()
            let expected = ReadState(index: LogIndex(UInt64(round + 1)), context: UInt64(round))
            #expect(cluster.readStates(reader).last == expected)
        }
    }

    @Test func `a read that was confirmed is forgotten`() throws {
        let solo = SoloNode(of: 2)
        try solo.lead(votes: [2])
        try solo.acknowledge(2)
        let beats = try solo.step(Message(type: .readIndex, from: 2, context: 7))
        #expect(beats.map(\.type) == [.heartbeat])
        #expect(solo.node.reads.position == 1)
        let sent = try solo.step(
            Message(type: .heartbeatResponse, from: 2, term: 1, context: beats[0].context)
        )
        #expect(sent.texts == ["1->2 MsgReadIndexResp Term:1 Log:0/1"])
        #expect(sent.map(\.context) == [7])
        #expect(solo.node.reads.position == nil)
    }

    // What comes late, or twice, must not confirm a read that a deposed leader took meanwhile.
    @Test func `repeated requests and late answers confirm no other read`() throws {
        let cluster = TestCluster(3) { $0.makePlain() }
        cluster.campaign(1)
        var late: [Message] = []
        cluster.loses = { message in
            guard message.type == .heartbeatResponse else { return false }
            late.append(message)
            return true
        }
        let (first, second): (UInt64, UInt64) = (1, 2)
        let request = Message(type: .readIndex, to: 1, from: 2, context: first)
        let firstMinimum = cluster[1].commit
        cluster.step(request)
        cluster.tick(1)
        cluster.settle()
        #expect(late.count == 4)
        cluster.isolate(1)
        cluster.campaign(2)
        try cluster.propose(2, "some operation")
        cluster.settle()
        let secondMinimum = cluster[2].commit
        #expect(secondMinimum > firstMinimum)
        cluster[1].readIndex(context: second)
        cluster.settle()
        var answers: [UInt64?] = []
        cluster.loses = { message in
            if message.type == .readIndexResponse { answers.append(message.context) }
            return false
        }
        for message in [request] + late { cluster.step(message) }
        #expect(answers == [first], "to which nobody listens in the new term")
        let states = ([1, 2, 3] as [NodeID]).flatMap { cluster.readStates($0) }
        for state in states {
            #expect(state.index >= (state.context == first ? firstMinimum : secondMinimum))
        }
    }

    @Test func `a follower passes on the reads of others, and names no term`() throws {
        let solo = SoloNode()
        try solo.step(Message(type: .heartbeat, from: 2, term: 1))
        let sent = try solo.step(Message(type: .readIndex, from: 3, context: 7))
        #expect(sent.texts == ["3->2 MsgReadIndex Term:0 Log:0/0"])
        try solo.step(Message(type: .heartbeat, from: 3, term: 2))
        let again = try solo.step(Message(type: .readIndex, from: 3, context: 7))
        #expect(again.map(\.to) == [3])
    }

    @Test func `without a leader a read is dropped`() throws {
        let solo = SoloNode()
        solo.node.readIndex(context: 7)
        #expect(solo.drain().isEmpty)
        try solo.node.campaign()
        solo.drain()
        solo.node.readIndex(context: 7)
        #expect(solo.drain().isEmpty)
        try solo.lead()
        #expect(solo.readStates.isEmpty)
    }

    // The last voter may have been elected by its own vote, in a term this leader knows nothing of.
    @Test func `a leader that votes no more asks the only voter`() throws {
        let solo = SoloNode(of: 2, configure: { $0.stepDownOnRemoval = false })
        try solo.lead(votes: [2])
        try solo.acknowledge(2)
        _ = solo.node.applyConfChange(ConfChange(changes: [ConfChangeSingle(.removeNode, 1)]))
        solo.drain()
        solo.node.readIndex(context: 7)
        let beats = solo.drain().of(.heartbeat)
        #expect(beats.map(\.to) == [2])
        #expect(solo.readStates.isEmpty)
        let context = try #require(beats.first?.context)
        try solo.step(Message(type: .heartbeatResponse, from: 2, term: 1, context: context))
        #expect(solo.readStates == [ReadState(index: 1, context: 7)])
    }

    @Test(arguments: [true, false])
    func `reads of peers beyond a limit are dropped, own ones are not`(
        isCommitted: Bool
    ) throws {
        let solo = SoloNode()
        try solo.lead()
        if isCommitted { try solo.acknowledge(2) }
        let limit = UInt64(ReadOnlyQueue.waitingMax)
        for number in 0..<limit + 10 {
            try solo.node.step(Message(type: .readIndex, to: 1, from: 2, context: number))
        }
        solo.node.readIndex(context: limit)
        #expect(solo.node.waitingReadCount == Int(limit) + 1)
    }
}
