import Disk
import Model
import NIOEmbedded
import Raft
import RaftHost
import RaftLog
import Telemetry
import Testing

/// Replicas that lag so far behind that their entries have left the leader's memory.
@Suite struct CatchUpTests {
    /// A group with a follower that is down and lacks `batches` of about 1 KiB each.
    private struct Lag {
        let cluster: HostCluster
        let leader: HostCluster.Host
        let other: HostCluster.Host
        let late: HostCluster.Host

        init(
            batches: Int,
            bytesPerTick: Int = 1 << 20
        ) throws {
            cluster = HostCluster()
            cluster.configure = { host, log in
                host.catchUpBytesPerSecond = 10 * bytesPerTick
                host.messageBytesMax = 4 << 10
                log.tailCacheBytes = 1 << 10
            }
            try cluster.startGroup()
            leader = try #require(cluster.waitForLeader())
            let followers = cluster.hosts.filter { [leader] in $0 !== leader }
            (other, late) = (followers[0], followers[1])
            cluster.kill(late)
            var count = 0
            for number in 0..<batches {
                let text = "\(number) " + String(repeating: "x", count: 1 << 10)
                cluster.replica(leader)?.propose(batch(text), .committed) { _ in count += 1 }
                cluster.settle()
            }
            #expect(cluster.run { count == batches })
            cluster.appends = []
        }

        /// What the leader counts.
        func metric(_ name: MetricName) -> Int { Int(leader.registry.value(name) ?? 0) }

        /// What the late host has taken.
        var count: Int { late.machines[1001]?.texts.count ?? 0 }

        /// The entries' bytes that went to the late host on a lane so far.
        func bytes(on lane: RaftLane) -> Int {
            cluster.appends.filter { $0.lane == lane && $0.message.to == late.node }
                .reduce(0) { $0 + $1.message.entries.reduce(0) { $0 + $1.payload.count } }
        }
    }

    @Test func `old entries go on a lane of their own, and what is fresh goes live again`() throws {
        let lag = try Lag(batches: 100)
        try lag.cluster.start(lag.late)
        #expect(lag.cluster.run { lag.count == 100 })
        #expect(lag.bytes(on: .catchUp) > 95 << 10)
        #expect(lag.bytes(on: .live) < 5 << 10)
        lag.cluster.appends = []
        for number in 0..<10 {
            lag.cluster.replica(lag.leader)?.propose(batch("\(number)"), .committed) { _ in }
            lag.cluster.settle()
        }
        #expect(lag.cluster.run { lag.count == 110 })
        #expect(lag.bytes(on: .catchUp) == 0)
        // One probe finds where the logs part; nothing is refused because it was overtaken.
        #expect(lag.metric(.raftAppendsRejected) <= 1)
        #expect(lag.metric(.raftCatchUpBytes) > 95 << 10)
    }

    @Test func `a replica that is written to without a pause changes lanes all the same`() throws {
        let lag = try Lag(batches: 50)
        try lag.cluster.start(lag.late)
        var number = 0
        let isBack = lag.cluster.run(ticks: 300) {
            for _ in 0..<3 {
                number += 1
                lag.cluster.replica(lag.leader)?.propose(batch("\(number)"), .committed) { _ in }
            }
            return lag.count > 50
                && lag.cluster.appends.last { $0.message.to == lag.late.node }?.lane == .live
        }
        #expect(isBack)
        #expect(lag.cluster.run { lag.count == 50 + number })
    }

    @Test func `no more is read in a tick than the budget allows`() throws {
        let lag = try Lag(batches: 200, bytesPerTick: 10 << 10)
        try lag.cluster.start(lag.late)
        var before = 0
        var ticks = 0
        let isDone = lag.cluster.run(ticks: 200) {
            let now = lag.metric(.raftCatchUpBytes)
            #expect(now - before <= 10 << 10 + 4 << 10, "tick \(ticks)")
            before = now
            ticks += 1
            return lag.count == 200
        }
        #expect(isDone)
        #expect(ticks > 200 / 14)
    }

    @Test func `a group that has no majority else is not held up`() throws {
        let lag = try Lag(batches: 200, bytesPerTick: 1 << 10)
        lag.cluster.kill(lag.other)
        var isDone = false
        lag.cluster.replica(lag.leader)?.propose(batch("last"), .committed) { outcome in
            if case .done = outcome { isDone = true }
        }
        try lag.cluster.start(lag.late)
        // By the budget it would take 200 ticks.
        #expect(lag.cluster.run(ticks: 30) { isDone })
    }

    @Test func `nothing is read for a lane that is full`() throws {
        let lag = try Lag(batches: 50)
        lag.cluster.fullCatchUps = [lag.late.owner]
        try lag.cluster.start(lag.late)
        #expect(!lag.cluster.run(ticks: 20) { lag.count > 0 })
        #expect(lag.bytes(on: .catchUp) == 0)
        #expect(lag.metric(.raftCatchUpsWaiting) == 1)
        lag.cluster.fullCatchUps = []
        #expect(lag.cluster.run { lag.count == 50 })
        _ = lag.cluster.run(ticks: 1) { false }
        #expect(lag.metric(.raftCatchUpsWaiting) == 0)
    }

    @Test func `reads that wait are dropped with the leadership`() throws {
        let lag = try Lag(batches: 50)
        lag.cluster.fullCatchUps = [lag.late.owner]
        try lag.cluster.start(lag.late)
        #expect(
            lag.cluster.run(ticks: 20) {
                lag.metric(.raftCatchUpsWaiting) == 1
            }
        )
        lag.leader.manager?
            .transferLeadership(of: 1001, to: lag.other.node)
        #expect(lag.cluster.run { lag.cluster.leaders().contains { $0 === lag.other } })
        _ = lag.cluster.run(ticks: 2) { false }
        #expect(lag.metric(.raftCatchUpsWaiting) == 0)
        lag.cluster.fullCatchUps = []
        #expect(lag.cluster.run { lag.count == 50 })
    }

    @Test func `many groups that lag share the budget`() throws {
        let cluster = HostCluster()
        cluster.configure = { host, log in
            host.catchUpBytesPerSecond = 10 * (20 << 10)
            host.messageBytesMax = 4 << 10
            log.tailCacheBytes = 1 << 10
        }
        let groups = (0..<5).map { RaftGroupID(1001 + UInt64($0)) }
        for group in groups { try cluster.startGroup(group) }
        #expect(cluster.run { groups.allSatisfy { cluster.leaders($0).count == 1 } })
        let late = cluster.hosts[2]
        cluster.kill(late)
        #expect(cluster.run { groups.allSatisfy { cluster.leaders($0).count == 1 } })
        for group in groups {
            let leader = try #require(cluster.leaders(group).first)
            for number in 0..<40 {
                let text = "\(number) " + String(repeating: "x", count: 1 << 10)
                cluster.replica(leader, group)?.propose(batch(text), .committed) { _ in }
                cluster.settle()
            }
        }
        try cluster.start(late)
        var spread = 0
        let isDone = cluster.run(ticks: 200) {
            let counts = groups.map { late.machines[$0]?.texts.count ?? 0 }
            spread = max(spread, (counts.max() ?? 0) - (counts.min() ?? 0))
            return counts.allSatisfy { $0 == 40 }
        }
        #expect(isDone)
        // They take turns: nobody waits until another one has everything.
        #expect(spread < 40)
    }
}
