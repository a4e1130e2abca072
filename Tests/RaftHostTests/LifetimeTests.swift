import Model
import RaftHost
import RaftLog
import Testing

/// What has ended leaves nothing in memory: brokers run for months, and topics come and go.
@Suite struct LifetimeTests {
    @Test func `a purged group leaves nothing in memory`() throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let leader = try #require(cluster.waitForLeader())
        let manager = try #require(leader.manager)
        weak let replica = manager.replica(1001)
        weak let log = replica?.log
        weak let machine = leader.machines[1001]
        #expect(replica != nil && log != nil && machine != nil)
        var isPurged = false
        manager.stopRaftGroup(1001, purge: true) { _ in isPurged = true }
        leader.machines = [:]
        #expect(cluster.run { isPurged })
        #expect(replica == nil)
        #expect(log == nil)
        #expect(machine == nil)
    }

    @Test func `a manager that was shut down leaves nothing in memory`() throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let leader = try #require(cluster.waitForLeader())
        weak let manager = leader.manager
        weak let replica = manager?.replica(1001)
        weak let log = replica?.log
        weak let machine = leader.machines[1001]
        #expect(manager != nil && replica != nil && log != nil && machine != nil)
        cluster.kill(leader)
        leader.machines = [:]
        cluster.settle()
        #expect(manager == nil)
        #expect(replica == nil)
        #expect(log == nil)
        #expect(machine == nil)
    }
}
