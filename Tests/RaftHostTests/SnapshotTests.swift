import Model
import Raft
import RaftHost
import RaftLog
import Testing

/// Groups whose log begins with a snapshot, as the controllers' does.
@Suite struct SnapshotTests {
    /// Four hosts; the first three have a group whose first entries are gone.
    private func started() throws -> (HostCluster, leader: Replica) {
        let cluster = HostCluster(hosts: 4)
        cluster.snapshotEntries = 5
        try cluster.startGroup(on: 3)
        let leader = try #require(cluster.waitForLeader().flatMap { cluster.replica($0) })
        // Segments are small in number, and go as a whole: it takes a while until one does.
        var number = 0
        let isCut = cluster.run(ticks: 2_000) {
            for _ in 0..<20 {
                number += 1
                leader.propose(batch(String(repeating: "\(number) ", count: 200)), .committed) {
                    _ in
                }
            }
            return leader.log.firstIndex > 1
        }
        try #require(isCut)
        return (cluster, leader)
    }

    private func change(_ step: ConfChangeSingle, _ leader: Replica, _ cluster: HostCluster) {
        var isDone = false
        leader.proposeConfChange(ConfChange(changes: [step])) { _ in isDone = true }
        #expect(cluster.run { isDone })
    }

    @Test func `whoever is added after the last snapshot gets one that names it`() throws {
        let (cluster, leader) = try started()
        let newcomer = cluster.hosts[3]
        cluster.startReplica(on: newcomer, members: cluster.hosts, join: true)
        change(.init(.addLearnerNode, newcomer.node), leader, cluster)
        #expect(cluster.run { leader.progress(of: newcomer.node)?.match == leader.commit })
        let machine = try #require(newcomer.machines[1001])
        #expect(machine.restored > 0)
        #expect(machine.configurations.last?.learners == [newcomer.node])
    }

    @Test func `a snapshot that got lost is sent again`() throws {
        let (cluster, leader) = try started()
        let newcomer = cluster.hosts[3]
        cluster.startReplica(on: newcomer, members: cluster.hosts, join: true)
        cluster.loses = { $0.type == .snapshot }
        change(.init(.addLearnerNode, newcomer.node), leader, cluster)
        #expect(!cluster.run(ticks: 30) { newcomer.machines[1001]?.restored ?? 0 > 0 })
        cluster.loses = { _ in false }
        #expect(cluster.run { leader.progress(of: newcomer.node)?.match == leader.commit })
    }

    @Test func `a follower goes on although the log has moved on from its snapshot`() throws {
        let (cluster, leader) = try started()
        let newcomer = cluster.hosts[3]
        cluster.startReplica(on: newcomer, members: cluster.hosts, join: true)
        // Its answers come late, when the leader's log no longer reaches back to the snapshot.
        cluster.loses = { $0.from == newcomer.node && $0.type == .appendResponse && !$0.reject }
        change(.init(.addLearnerNode, newcomer.node), leader, cluster)
        #expect(cluster.run { newcomer.machines[1001]?.restored ?? 0 > 0 })
        let restored = newcomer.machines[1001]?.restored ?? 0
        let hasMoved = cluster.run(ticks: 2_000) {
            for number in 0..<20 {
                let text = String(repeating: "\(number) ", count: 200)
                leader.propose(batch(text), .committed) { _ in }
            }
            return leader.log.firstIndex > restored + 1
        }
        #expect(hasMoved)
        cluster.loses = { _ in false }
        #expect(
            cluster.run(ticks: 200) { leader.progress(of: newcomer.node)?.match == leader.commit }
        )
    }
}
