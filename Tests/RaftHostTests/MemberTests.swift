import Model
import Raft
import RaftHost
import Testing

/// Members that come and go; thesis chapter 4, over real logs.
@Suite struct MemberTests {
    /// Four hosts, the first three of which have a group of their own with ten entries.
    private func started() throws -> (HostCluster, leader: Replica) {
        let cluster = HostCluster(hosts: 4)
        try cluster.startGroup(on: 3)
        let leader = try #require(cluster.waitForLeader().flatMap { cluster.replica($0) })
        for number in 1...10 { propose("before \(number)", to: leader) }
        cluster.settle()
        return (cluster, leader)
    }

    private func propose(_ text: String, to leader: Replica) {
        leader.propose(batch(text), .committed) { _ in }
    }

    /// Changes the members and returns how that ended.
    private func change(
        _ steps: [ConfChangeSingle],
        by leader: Replica,
        in cluster: HostCluster
    ) -> ProposalOutcome? {
        var outcome: ProposalOutcome?
        leader.proposeConfChange(ConfChange(changes: steps)) { outcome = $0 }
        _ = cluster.run { outcome != nil }
        return outcome
    }

    private func isDone(_ outcome: ProposalOutcome?) -> Bool {
        if case .done = outcome { return true }
        return false
    }

    @Test func `a replica that joins as a learner gets the whole log and then a vote`() throws {
        let (cluster, leader) = try started()
        let (node, newcomer) = (cluster.hosts[3].node, cluster.hosts[3])
        cluster.startReplica(on: newcomer, members: cluster.hosts, join: true)
        #expect(isDone(change([.init(.addLearnerNode, node)], by: leader, in: cluster)))
        #expect(leader.configuration.learners == [node])
        #expect(cluster.run { leader.progress(of: node)?.match == leader.commit })
        #expect(newcomer.machines[1001]?.texts.count == 10)
        #expect(isDone(change([.init(.addNode, node)], by: leader, in: cluster)))
        #expect(cluster.run { cluster.replica(newcomer)?.configuration.voters.count == 4 })
        for host in cluster.hosts {
            let machine = try #require(host.machines[1001])
            #expect(machine.configurations.last == leader.configuration)
        }
    }

    @Test func `one voter is exchanged for another jointly and the old one falls silent`() throws {
        let (cluster, leader) = try started()
        let newcomer = cluster.hosts[3]
        let leaving = try #require(cluster.hosts.first { $0.node != leader.nodeID })
        cluster.startReplica(on: newcomer, members: cluster.hosts, join: true)
        _ = change([.init(.addLearnerNode, newcomer.node)], by: leader, in: cluster)
        let outcome = change(
            [.init(.addNode, newcomer.node), .init(.removeNode, leaving.node)],
            by: leader,
            in: cluster
        )
        #expect(isDone(outcome))
        #expect(cluster.run { leader.configuration.votersOutgoing.isEmpty })
        #expect(!leader.members.contains(leaving.node))
        #expect(leader.members.contains(newcomer.node))
        // The majority of the new members is enough.
        cluster.kill(leaving)
        propose("after", to: leader)
        #expect(cluster.run { newcomer.machines[1001]?.texts.last == "after" })
    }

    @Test func `a second change is refused while the first is under way`() throws {
        let (cluster, leader) = try started()
        var outcomes: [ProposalOutcome] = []
        let node = cluster.hosts[3].node
        leader.proposeConfChange(ConfChange(changes: [.init(.addLearnerNode, node)])) {
            outcomes.append($0)
        }
        leader.proposeConfChange(ConfChange(changes: [.init(.addNode, node)])) {
            outcomes.append($0)
        }
        #expect(outcomes == [.refused("another change of members is under way")])
        #expect(cluster.run { outcomes.count == 2 })
        #expect(leader.configuration.learners == [node])
        #expect(leader.configuration.voters.count == 3)
    }

    @Test func `what a proposer puts beside a change is in every replica's entry`() throws {
        let (cluster, leader) = try started()
        let before = leader.configuration
        var outcome: ProposalOutcome?
        let change = ConfChange(changes: [.init(.updateNode, leader.nodeID)], context: [7, 8])
        leader.proposeConfChange(change) { outcome = $0 }
        #expect(cluster.run { outcome != nil })
        #expect(isDone(outcome) && leader.configuration == before)
        let index = leader.applied
        #expect(
            cluster.run {
                cluster.hosts.prefix(3).allSatisfy { cluster.replica($0)?.applied == index }
            }
        )
        for host in cluster.hosts.prefix(3) {
            let notes = host.machines[1001]?.notes ?? []
            #expect(notes == [[7, 8]])
        }
        // Who joins learns the members from such an entry as from any other.
        let newcomer = cluster.hosts[3]
        cluster.startReplica(on: newcomer, members: cluster.hosts, join: true)
        _ = self.change([.init(.addLearnerNode, newcomer.node)], by: leader, in: cluster)
        #expect(cluster.run { cluster.replica(newcomer)?.configuration == leader.configuration })
        #expect(newcomer.machines[1001]?.notes == [[7, 8]])
    }

    @Test(arguments: [false, true])
    func `members are what was committed, whether or not that was recorded`(
        isRecorded: Bool
    ) throws {
        let (cluster, leader) = try started()
        let newcomer = cluster.hosts[3]
        cluster.startReplica(on: newcomer, members: cluster.hosts, join: true)
        _ = change([.init(.addLearnerNode, newcomer.node)], by: leader, in: cluster)
        _ = change([.init(.addNode, newcomer.node)], by: leader, in: cluster)
        propose("after", to: leader)
        #expect(cluster.run { newcomer.machines[1001]?.texts.last == "after" })
        if isRecorded { _ = cluster.run(ticks: 5) { false } }
        let expected = leader.configuration
        for host in cluster.hosts { cluster.kill(host) }
        for host in cluster.hosts {
            try cluster.start(host)
            let replica = try #require(cluster.replica(host))
            let isBehind = replica.configuration != expected
            // Then the change was not known as committed, and the leader tells it again.
            #expect(!isBehind || replica.applied < leader.applied)
        }
        #expect(cluster.waitForLeader() != nil)
        #expect(
            cluster.run {
                cluster.hosts.allSatisfy { cluster.replica($0)?.configuration == expected }
            }
        )
    }

    @Test func `a leader that is replaced hands over before the joint members are left`() throws {
        let cluster = HostCluster(hosts: 3)
        try cluster.startGroup(on: 2)
        let leader = try #require(cluster.waitForLeader().flatMap { cluster.replica($0) })
        let newcomer = cluster.hosts[2]
        cluster.startReplica(on: newcomer, members: cluster.hosts, join: true)
        _ = change([.init(.addLearnerNode, newcomer.node)], by: leader, in: cluster)
        leader.proposeConfChange(
            ConfChange(
                changes: [.init(.addNode, newcomer.node), .init(.removeNode, leader.nodeID)]
            )
        ) { _ in }
        let next = cluster.run {
            cluster.leaders().contains { host in
                cluster.replica(host)?.configuration.votersOutgoing.isEmpty == true
                    && host.node != leader.nodeID
            }
        }
        #expect(next)
        // Of two voters both are needed, and the one that went is needed no more.
        let old = try #require(cluster.hosts.first { $0.node == leader.nodeID })
        cluster.kill(old)
        let heir = try #require(cluster.leaders().first.flatMap { cluster.replica($0) })
        propose("after", to: heir)
        #expect(cluster.run { newcomer.machines[1001]?.texts.last == "after" })
    }

    @Test func `a leader that removes itself steps down and the others elect one`() throws {
        let (cluster, leader) = try started()
        let host = try #require(cluster.hosts.first { $0.node == leader.nodeID })
        var outcome: ProposalOutcome?
        leader.proposeConfChange(ConfChange(changes: [.init(.removeNode, host.node)])) {
            outcome = $0
        }
        #expect(
            cluster.run {
                outcome != nil && cluster.leaders().contains { $0.owner != host.owner }
            }
        )
        #expect(!leader.leadership.isLeader)
        let next = try #require(cluster.leaders().first { $0.owner != host.owner })
        #expect(cluster.replica(next)?.configuration.voters.count == 2)
    }
}
