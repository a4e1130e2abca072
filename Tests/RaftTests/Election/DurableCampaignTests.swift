import Model
import Raft
import Testing

/// A term is led once, whatever is lost in crashes; thesis 3.6.3 and 10.2.1.
@Suite struct DurableCampaignTests {
    @Test func `a candidate asks for votes when its own is durable and no earlier`() throws {
        let solo = SoloNode()
        solo.isDiskStalled = true
        try solo.node.campaign()
        #expect(solo.drain().isEmpty)
        let sent = solo.write()
        #expect(sent.filter { $0.type == .vote }.map(\.to) == [2, 3])
        #expect(solo.storage.hardState == HardState(term: 1, vote: 1))
    }

    @Test func `a leader that lost what it had not stored does not win its term again`() throws {
        let solo = SoloNode()
        solo.isDiskStalled = true
        try solo.node.campaign()
        // Both others would have voted for it, had it asked.
        #expect(solo.drain().isEmpty)
        let restarted = SoloNode(storage: solo.storage)
        try restarted.node.campaign()
        #expect(restarted.drain().filter { $0.type == .vote }.map(\.term) == [1, 1])
        #expect(restarted.storage.hardState.vote == 1)
    }

    @Test func `the same holds when a leader hands over`() throws {
        let solo = SoloNode()
        solo.isDiskStalled = true
        try solo.node.step(Message(type: .heartbeat, to: 1, from: 2, term: 1))
        _ = solo.drain() + solo.write()
        try solo.node.step(Message(type: .timeoutNow, to: 1, from: 2, term: 1))
        #expect(solo.drain().allSatisfy { $0.type != .vote })
        #expect(solo.write().filter { $0.type == .vote }.count == 2)
    }
}
