import Model
import Raft
import Testing

@Suite struct FlowControlTests {
    /// A leader of three whose followers have acknowledged its first entry.
    private func leader(configure: @escaping (inout RaftConfig) -> Void) throws -> SoloNode {
        let solo = SoloNode(configure: configure)
        try solo.lead()
        try solo.acknowledge(2)
        try solo.acknowledge(3)
        return solo
    }

    private func appends(_ messages: [Message], to id: NodeID) -> [Message] {
        messages.of(.append).filter { $0.to == id }
    }

    @Test func `an unknown log is probed with one append at a time`() throws {
        let solo = SoloNode()
        try solo.lead()
        #expect(solo.node.progress(of: 2)?.state == .probe)
        for text in ["a", "b", "c"] { try solo.propose(text) }
        #expect(appends(solo.drain(), to: 2).isEmpty)
        solo.tick(1)
        solo.drain()
        let sent = try solo.step(Message(type: .heartbeatResponse, from: 2, term: 1))
        #expect(appends(sent, to: 2).count == 1)
        #expect(try solo.step(Message(type: .heartbeatResponse, from: 3, term: 1)).count == 1)
    }

    @Test func `a known log is sent everything at once, up to the window`() throws {
        let solo = try leader { $0.maxInflightMessages = 4 }
        for number in 0..<10 { try solo.propose("\(number)") }
        #expect(appends(solo.drain(), to: 2).filter { !$0.entries.isEmpty }.count == 4)
        #expect(solo.node.progress(of: 2)?.isPaused == true)
        #expect(solo.node.progress(of: 2)?.inflightCount == 4)
    }

    @Test func `an acknowledgement opens the window`() throws {
        let solo = try leader { $0.maxInflightMessages = 4 }
        for number in 0..<4 { try solo.propose("\(number)") }
        solo.drain()
        try solo.propose("4")
        #expect(appends(solo.drain(), to: 2).isEmpty)
        let sent = appends(try solo.acknowledge(2, 3), to: 2)
        #expect(sent.flatMap(\.entries).map(\.index) == [6])
        #expect(solo.node.progress(of: 2)?.inflightCount == 3)
    }

    @Test func `each acknowledgement moves the window on, and an older one does not`() throws {
        let solo = try leader { $0.maxInflightMessages = 16 }
        for number in 0..<16 { try solo.propose("\(number)") }
        solo.drain()
        for index in 2..<16 {
            try solo.acknowledge(2, LogIndex(UInt64(index)))
            try solo.propose("more")
            #expect(appends(solo.drain(), to: 2).map(\.entries.count) == [1])
            #expect(solo.node.progress(of: 2)?.isPaused == true)
            for old in 0..<index {
                try solo.acknowledge(2, LogIndex(UInt64(old)))
                #expect(solo.node.progress(of: 2)?.isPaused == true)
            }
        }
    }

    @Test func `a heartbeat's answer opens a full window for an empty append only`() throws {
        let solo = try leader { $0.maxInflightMessages = 16 }
        for number in 0..<16 { try solo.propose("\(number)") }
        solo.drain()
        let answer = Message(type: .heartbeatResponse, from: 2, term: 1)
        for count in 1..<5 {
            for _ in 0..<count {
                #expect(appends(try solo.step(answer), to: 2).map(\.entries.count) == [0])
                #expect(solo.node.progress(of: 2)?.isPaused == true)
            }
            for _ in 0..<10 {
                try solo.propose("more")
                #expect(appends(solo.drain(), to: 2).isEmpty)
            }
        }
    }

    @Test func `a full window does not stop the search for lost appends`() throws {
        let solo = try leader { $0.maxInflightMessages = 2 }
        for number in 0..<5 { try solo.propose("\(number)") }
        solo.drain()
        for _ in 0..<3 {
            let sent = try solo.step(Message(type: .heartbeatResponse, from: 2, term: 1))
            #expect(appends(sent, to: 2).map(\.entries.count) == [0])
        }
    }

    @Test func `a window in bytes is overshot by one message at most`() throws {
        let solo = try leader {
            $0.maxBytesPerMessage = 100
            $0.maxInflightBytes = 150
        }
        for _ in 0..<5 { try solo.node.propose([Payload(Array(repeating: 0, count: 90))]) }
        let sent = appends(solo.drain(), to: 2).filter { !$0.entries.isEmpty }
        #expect(sent.count == 2)
    }

    @Test func `an append carries no more than its limit, but always one entry`() throws {
        let solo = SoloNode(configure: { $0.maxBytesPerMessage = 1_000 })
        try solo.lead()
        for _ in 0..<10 { try solo.node.propose([Payload(Array(repeating: 0, count: 400))]) }
        try solo.node.propose([Payload(Array(repeating: 0, count: 5_000))])
        solo.drain()
        let sent = appends(try solo.acknowledge(2, 1), to: 2)
        #expect(sent.map(\.entries.count) == [2, 2, 2, 2, 2, 1])
    }

    @Test func `an unreachable member is probed again`() throws {
        let solo = try leader { _ in }
        for number in 0..<5 { try solo.propose("\(number)") }
        solo.drain()
        solo.node.reportUnreachable(2)
        #expect(solo.node.progress(of: 2)?.state == .probe)
        #expect(solo.node.progress(of: 2)?.next == 2)
    }

    @Test func `lost appends are sent again after a rejection`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        cluster.loses = { $0.type == .append && $0.to == 2 }
        for number in 0..<5 { try cluster.propose(1, "\(number)") }
        cluster.settle()
        cluster.heal()
        try cluster.propose(1, "5")
        cluster.settle()
        cluster.tick(1)
        cluster.settle()
        #expect(cluster.texts(2) == ["0", "1", "2", "3", "4", "5"])
    }

    @Test func `answers out of order and repeated ones do no harm`() throws {
        let solo = try leader { _ in }
        for number in 0..<5 { try solo.propose("\(number)") }
        solo.drain()
        try solo.acknowledge(2, 6)
        let before = solo.node.progress(of: 2)?.match
        try solo.acknowledge(2, 3)
        try solo.acknowledge(2, 6)
        try solo.step(
            Message(
                type: .appendResponse,
                from: 2,
                term: 1,
                index: 2,
                reject: true,
                rejectHint: 0
            )
        )
        #expect(solo.node.progress(of: 2)?.match == before)
        #expect(solo.node.progress(of: 2)?.state == .replicate)
        #expect(solo.node.commit == 6)
    }
}
