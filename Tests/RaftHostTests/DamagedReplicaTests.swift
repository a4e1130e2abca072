import Disk
import Model
import Raft
import RaftHost
import RaftLog
import Testing

/// Replicas whose data are damaged: they fall silent, and nobody else does.
@Suite struct DamagedReplicaTests {
    /// Three hosts with two groups, in the first of which so many batches are acknowledged.
    private func cluster(_ count: Int) throws -> (HostCluster, leader: HostCluster.Host) {
        let cluster = HostCluster()
        // Only what is not in memory any more is read from disk.
        cluster.configure = { _, log in log.tailCacheBytes = 4 << 10 }
        try cluster.startGroup(1002)
        try cluster.startGroup()
        let leader = try #require(cluster.waitForLeader())
        try produce(count, cluster, leader)
        return (cluster, leader)
    }

    private func produce(
        _ count: Int,
        _ cluster: HostCluster,
        _ leader: HostCluster.Host
    ) throws {
        var done = 0
        for _ in 0..<count {
            let text = String(repeating: "x", count: 1000)
            cluster.replica(leader)?.propose(batch(text), .committed) {
                if case .done = $0 { done += 1 }
            }
        }
        #expect(cluster.run { done == count })
    }

    /// Makes a hole into the oldest segment of the first group.
    private func damage(_ host: HostCluster.Host, _ ending: String) throws {
        let path = try #require(
            host.files.paths.first { $0.hasSuffix(ending) && !$0.contains("/wal/") }
        )
        var bytes = try #require(host.files.contents(of: path))
        let count = min(2000, bytes.count - 100)
        bytes.replaceSubrange(100..<100 + count, with: [UInt8](repeating: 0xee, count: count))
        #expect(host.files.replaceContents(of: path, with: bytes))
    }

    @Test func `a leader that finds its old entries damaged is replaced`() throws {
        let (cluster, leader) = try cluster(0)
        let other = try #require(cluster.hosts.first { $0 !== leader })
        cluster.kill(other)
        try produce(50, cluster, leader)
        try damage(leader, ".log")
        try cluster.start(other)
        #expect(cluster.run(ticks: 300) { cluster.replica(leader)?.isSuspect == true })
        #expect(cluster.replica(leader)?.leadership.isLeader == false)
        #expect(leader.machines[1001]?.leadership.last?.isLeader == false)
        #expect(cluster.run(ticks: 300) { other.machines[1001]?.texts.count == 50 })
        #expect(cluster.leaders().first.map { $0 !== leader } == true)
        // Its other group goes on.
        #expect(cluster.replica(leader, 1002)?.isSuspect == false)
    }

    @Test(arguments: [".log", ".entries"])
    func `a replica that starts with damaged entries is silent, and it alone`(
        ending: String
    ) throws {
        let (cluster, leader) = try cluster(30)
        for host in cluster.hosts { cluster.kill(host) }
        // Segments are believed once a checkpoint vouches for them, as recovery's does.
        try cluster.start(leader)
        cluster.kill(leader)
        try damage(leader, ending)
        for host in cluster.hosts { try cluster.start(host) }
        let damaged = try #require(cluster.replica(leader))
        #expect(damaged.isSuspect)
        #expect(cluster.run { cluster.leaders().count == 1 && cluster.leaders(1002).count == 1 })
        let term = damaged.term
        try produce(5, cluster, try #require(cluster.leaders().first))
        #expect(damaged.term == term)
        #expect(!damaged.acceptsProposals)
        #expect(cluster.replica(leader, 1002)?.isSuspect == false)
    }
}
