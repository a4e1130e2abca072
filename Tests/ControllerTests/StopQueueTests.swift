import InterBrokerProtocol
import Model
import Raft
import Testing

@testable import Controller

/// Three daemons with a replica of one group each, and a leader who has settled.
private struct Trio {
    var queue = StopQueue(now: .zero)
    var now = Duration.seconds(100)
    /// The run of each that is there.
    var runs: [Int32: SessionID] = [1: session(1), 2: session(1), 3: session(1)]
    var groups = [Trio.group("orders-0", [1, 2, 3])]

    static func group(_ name: String, _ owners: [Int32]) -> StopQueue.Group {
        let voters = owners.map { NodeID(owner: $0, incarnation: 1) }
        return StopQueue.Group(name: name, members: ConfState(voters: voters))
    }

    mutating func ask(_ id: Int32, isHindered: Bool = false) -> StopQueue.Verdict {
        let runs = runs
        return queue.ask(id, isHindered: isHindered, groups: groups, now: now) { runs[$0] }
    }
}

@Suite struct StopQueueTests {
    @Test func `of three that want to stop at once one goes, and the next when it is back`() {
        var trio = Trio()
        #expect(trio.ask(2) == .granted)
        #expect(trio.ask(2) == .granted, "an answer may be lost")
        #expect(trio.ask(1) == .wait(groups: ["orders-0"], missed: [2]))
        trio.runs[2] = nil
        #expect(trio.ask(1) == .wait(groups: ["orders-0"], missed: [2]))
        trio.runs[2] = session(2)
        #expect(trio.ask(1) == .granted)
        #expect(trio.ask(3) == .wait(groups: ["orders-0"], missed: [1]))
        trio.runs[1] = session(2)
        #expect(trio.ask(3) == .granted)
    }

    @Test func `who came back before it was missed is not waited for`() {
        var trio = Trio()
        #expect(trio.ask(2) == .granted)
        trio.runs[2] = session(2)
        #expect(trio.ask(1) == .granted)
    }

    @Test func `who was let go and stays all the same is forgotten in the end`() {
        var trio = Trio()
        #expect(trio.ask(2) == .granted)
        trio.now += StopQueue.goingMax
        #expect(trio.ask(1) == .granted)
    }

    @Test func `groups that have no quorum to lose hold nobody up`() {
        var trio = Trio()
        trio.groups = [Trio.group("two-0", [1, 2]), Trio.group("one-0", [3])]
        for id: Int32 in 1...3 { #expect(trio.ask(id) == .granted) }
        trio = Trio()
        trio.runs = [3: session(1)]
        #expect(trio.ask(3) == .granted, "the quorum is lost already")
        trio = Trio()
        trio.groups.append(Trio.group("spare-0", [4, 5, 6]))
        trio.runs[4] = session(1)
        #expect(trio.ask(2) == .granted)
        #expect(trio.ask(4) == .granted, "it has no replica that the others need")
    }

    @Test func `when all who are left want to stop they wait for the first a while, then go`() {
        var trio = Trio()
        #expect(trio.ask(2) == .granted)
        let waits = StopQueue.Verdict.wait(groups: ["orders-0"], missed: [2])
        // It takes its time to stop; nobody counts that.
        for _ in 0..<40 {
            #expect(trio.ask(1) == waits)
            #expect(trio.ask(3) == waits)
            trio.now += .seconds(1)
        }
        trio.runs[2] = nil
        #expect(trio.ask(1, isHindered: true) == waits)
        let began = trio.now
        while trio.now - began < StopQueue.patience {
            #expect(trio.ask(1, isHindered: true) == waits)
            #expect(trio.ask(3, isHindered: true) == waits)
            trio.now += .seconds(1)
        }
        #expect(trio.ask(1, isHindered: true) == .everybodyStops)
        #expect(trio.ask(3, isHindered: true) == .everybodyStops)
    }

    @Test func `one who serves on is not left alone, however long it takes`() {
        var trio = Trio()
        #expect(trio.ask(2) == .granted)
        trio.runs[2] = nil
        for _ in 0..<100 {
            #expect(trio.ask(1) == .wait(groups: ["orders-0"], missed: [2]))
            trio.now += .seconds(1)
        }
        // A wish that is not repeated does not count: its daemon has come back to life since.
        trio.now += StopQueue.wishAge
        #expect(trio.ask(3) == .wait(groups: ["orders-0"], missed: [2]))
    }

    @Test func `who sees an obstacle of its own is not let go, and holds nobody up`() {
        var trio = Trio()
        #expect(trio.ask(1, isHindered: true) == .wait(groups: [], missed: []))
        #expect(trio.ask(2) == .granted)
    }

    @Test func `a new leader lets nobody go at once, unless it cannot matter`() {
        var trio = Trio()
        trio.queue = StopQueue(now: trio.now)
        #expect(trio.ask(1) == .settling)
        trio.groups = [Trio.group("one-0", [1]), Trio.group("two-0", [1, 2])]
        #expect(trio.ask(1) == .granted)
        trio = Trio()
        trio.queue = StopQueue(now: trio.now)
        trio.now += StopQueue.settlingTime
        #expect(trio.ask(1) == .granted)
    }

    @Test func `the leader answers brokers by what it knows of their replicas`() async throws {
        let world = await World()
        try await world.registerAll()
        _ = try await world.createTopic("orders", partitions: 2, replicas: 3)
        world.clock.advance(StopQueue.settlingTime)
        let ask = ControlledShutdownRequest(isHindered: false)
        for id: Int32 in 1...3 { try await world.heartbeat(id) }
        #expect(try await world.controller.controlledShutdown(ask, of: .broker, 1) == .granted)
        let second = try await world.controller.controlledShutdown(ask, of: .broker, 2)
        #expect(second.verdict == .wait)
        #expect(
            second.reason
                == "without this broker 2 partitions would lose the quorum while broker 1 stops: "
                + "orders-0, orders-1"
        )
        await #expect(throws: ClusterController.notRegistered) {
            try await world.controller.controlledShutdown(ask, of: .broker, 9)
        }
        await world.depose()
        await #expect(throws: Refusal.self) {
            try await world.controller.controlledShutdown(ask, of: .broker, 3)
        }
    }
}

extension ControlledShutdownResponse {
    fileprivate static let granted = ControlledShutdownResponse(verdict: .granted)
}
