import Disk
import Model
import NIOEmbedded
import Raft
import RaftHost
import RaftLog
import Telemetry
import Testing

@Suite struct RaftHostTests {
    @Test func `three replicas elect one leader and agree on it`() throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let leader = try #require(cluster.waitForLeader())
        let node = NodeID(owner: leader.owner, incarnation: 1)
        #expect(cluster.run { cluster.hosts.allSatisfy { $0.manager?.leader(of: 1001) == node } })
    }

    @Test func `a committed batch is applied everywhere with dense offsets`() throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let leader = try #require(cluster.waitForLeader())
        var outcomes: [ProposalOutcome] = []
        for text in ["a", "b", "c"] {
            cluster.replica(leader)?.propose(batch(text), .committed) { outcomes.append($0) }
        }
        #expect(cluster.run { outcomes.count == 3 })
        let offsets = outcomes.map { outcome -> Offset in
            if case .done(let offset, _, _) = outcome { return offset }
            return -1
        }
        #expect(offsets == [0, 1, 2])
        #expect(cluster.run { cluster.hosts.allSatisfy { $0.machines[1001]?.texts.count == 3 } })
        for host in cluster.hosts {
            #expect(host.machines[1001]?.texts == ["a", "b", "c"])
            #expect(cluster.replica(host)?.highWatermark == 3)
        }
    }

    @Test func `elections, leaders and commits are counted`() throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let first = try #require(cluster.waitForLeader())
        var outcome: ProposalOutcome?
        cluster.replica(first)?.propose(batch("a"), .committed) { outcome = $0 }
        #expect(cluster.run { outcome != nil })
        #expect(first.registry.value(.raftElections) == 1)
        #expect(first.registry.value(.raftCommitDuration) == 1)
        cluster.kill(first)
        let rest = cluster.hosts.filter { $0 !== first }
        #expect(cluster.run { cluster.leaders().first != nil })
        cluster.settle()
        let second = try #require(cluster.leaders().first)
        #expect(second.registry.value(.raftElections) == 1)
        #expect(second.registry.value(.raftLeaderChanges) == 2)
        #expect(cluster.run(ticks: 2) { second.registry.value(.raftLeaders) == 1 })
        let other = try #require(rest.first { $0 !== second })
        cluster.replica(other)?.propose(batch("b"), .committed) { _ in }
        #expect(
            other.registry.value(.raftProposalsRefused, ["reason": "not_leader"]) == 1
        )
    }

    @Test func `nothing is acknowledged before a majority has it on disk`() throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let leader = try #require(cluster.waitForLeader())
        for host in cluster.hosts where host !== leader {
            cluster.cut.insert([host.owner, leader.owner])
        }
        var outcome: ProposalOutcome?
        cluster.replica(leader)?.propose(batch("a"), .committed) { outcome = $0 }
        cluster.settle()
        // The leader has it on disk, and the others too, but nobody has told it so.
        #expect(outcome == nil)
        cluster.cut = []
        #expect(cluster.run { outcome != nil })
    }

    @Test func `acks 1 waits for the leader's own disk only`() throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let leader = try #require(cluster.waitForLeader())
        for host in cluster.hosts where host !== leader {
            cluster.cut.insert([leader.owner, host.owner])
        }
        var outcome: ProposalOutcome?
        cluster.replica(leader)?.propose(batch("a"), .durable) { outcome = $0 }
        cluster.loop.run()
        #expect(outcome == nil)
        cluster.settle()
        #expect(outcome != nil)
        #expect(cluster.replica(leader)?.highWatermark == 0)
    }

    @Test func `a proposal to a follower is refused and names the leader`() throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let leader = try #require(cluster.waitForLeader())
        let follower = try #require(cluster.hosts.first { $0 !== leader })
        #expect(cluster.run { follower.manager?.leader(of: 1001) != nil })
        var outcome: ProposalOutcome?
        cluster.replica(follower)?.propose(batch("a"), .committed) { outcome = $0 }
        #expect(outcome == .notLeader(NodeID(owner: leader.owner, incarnation: 1)))
    }

    @Test func `a leader that is cut off fails its proposals and is replaced`() throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let old = try #require(cluster.waitForLeader())
        for host in cluster.hosts where host !== old {
            cluster.cut.insert([old.owner, host.owner])
            cluster.cut.insert([host.owner, old.owner])
        }
        var outcome: ProposalOutcome?
        cluster.replica(old)?.propose(batch("lost"), .committed) { outcome = $0 }
        #expect(cluster.run { cluster.leaders().contains { $0 !== old } && outcome != nil })
        guard case .notLeader = outcome else {
            Issue.record("\(String(describing: outcome))")
            return
        }
        let lost = old.events.all("Raft group 1001 has lost its quorum").map(\.message)
        let text = """
            Raft group 1001 has lost its quorum: a majority of its voters (1.1 2.1 3.1) has not \
            answered this leader
            """
        #expect(lost == [text])
        let new = try #require(cluster.leaders().first { $0 !== old })
        var done: ProposalOutcome?
        cluster.replica(new)?.propose(batch("kept"), .committed) { done = $0 }
        #expect(cluster.run { done != nil })
        cluster.cut = []
        #expect(cluster.run { cluster.hosts.allSatisfy { $0.machines[1001]?.texts == ["kept"] } })
    }

    @Test(arguments: [true, false])
    func `acknowledged batches survive the death of all hosts at once`(isPowerCut: Bool) throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let leader = try #require(cluster.waitForLeader())
        var acknowledged: [String] = []
        for number in 0..<20 {
            let text = "m\(number)"
            cluster.replica(leader)?.propose(batch(text), .committed) {
                if case .done = $0 { acknowledged.append(text) }
            }
            if number == 14 { #expect(cluster.run { acknowledged.count == 15 }) }
        }
        for host in cluster.hosts {
            cluster.kill(host, isPowerCut ? .everythingUnsynced : .nothing)
        }
        for host in cluster.hosts { try cluster.start(host) }
        #expect(cluster.waitForLeader() != nil)
        #expect(
            cluster.run {
                cluster.hosts.allSatisfy {
                    $0.machines[1001]?.texts.starts(with: acknowledged) == true
                }
            }
        )
        #expect(acknowledged.count >= 15)
    }

    @Test func `a restarted host catches up with what it missed`() throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let leader = try #require(cluster.waitForLeader())
        let down = try #require(cluster.hosts.first { $0 !== leader })
        cluster.kill(down)
        var count = 0
        for number in 0..<50 {
            cluster.replica(leader)?.propose(batch("m\(number)"), .committed) { _ in count += 1 }
        }
        #expect(cluster.run { count == 50 })
        try cluster.start(down)
        #expect(cluster.run { down.machines[1001]?.texts.count == 50 })
    }

    @Test func `leadership moves to another replica when it is asked to`() throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let old = try #require(cluster.waitForLeader())
        let moving = old.manager?.transferLeaderships()
        #expect(moving == 1)
        #expect(cluster.run { cluster.leaders().contains { $0 !== old } })
    }

    @Test func `followers replace a leader soon after its process is gone`() throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let old = try #require(cluster.waitForLeader())
        #expect(cluster.run { cluster.hosts.allSatisfy { $0.manager?.leader(of: 1001) != nil } })
        cluster.kill(old)
        for host in cluster.hosts where host !== old {
            host.manager?.peerDisconnected(old.owner)
        }
        // An election timeout has at least ten ticks; this takes a few.
        #expect(cluster.run(ticks: 6) { cluster.leaders().contains { $0 !== old } })
    }

    @Test func `two candidates that share the votes try again soon`() throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let old = try #require(cluster.waitForLeader())
        let others = cluster.hosts.filter { $0 !== old }
        cluster.cut = Set(others.flatMap { [[old.owner, $0.owner], [$0.owner, old.owner]] })
        // Nobody is elected before both have given up their leader.
        cluster.loses = { $0.type == .preVote }
        #expect(
            cluster.run { others.allSatisfy { cluster.replica($0)?.core.leader == .some(.none) } }
        )
        cluster.loses = { _ in false }
        for host in others { host.manager?.campaign(1001) }
        cluster.settle()
        #expect(others.allSatisfy { cluster.replica($0)?.core.role == .candidate })
        // An election timeout has at least ten ticks; this takes a few.
        #expect(cluster.run(ticks: 8) { cluster.leaders().contains { $0 !== old } })
    }

    @Test func `a read barrier answers on the leader only`() throws {
        let cluster = HostCluster()
        try cluster.startGroup()
        let leader = try #require(cluster.waitForLeader())
        var answers: [Bool] = []
        cluster.replica(leader)?.readBarrier { answers.append($0) }
        #expect(cluster.run { answers == [true] })
        let follower = try #require(cluster.hosts.first { $0 !== leader })
        cluster.replica(follower)?.readBarrier { answers.append($0) }
        #expect(answers == [true, false])
    }

    @Test func `a group is stopped, started only once, and purged`() throws {
        let cluster = HostCluster(hosts: 1)
        try cluster.startGroup()
        #expect(cluster.waitForLeader() != nil)
        let host = cluster.hosts[0]
        let manager = try #require(host.manager)
        let log = try #require(manager.replica(1001)?.log)
        var results: [Result<Void, RaftHostError>] = []
        manager.startRaftGroup(log.identity, stateMachine: RecordingStateMachine(), join: false) {
            results.append($0)
        }
        manager.stopRaftGroup(1001, purge: false) { results.append($0) }
        manager.stopRaftGroup(1001, purge: false) { results.append($0) }
        manager.stopRaftGroup(1001, purge: true) { results.append($0) }
        cluster.settle()
        #expect(
            results.map { (try? $0.get()) != nil } == [false, true, false, true],
            "\(results)"
        )
        cluster.kill(host)
        try cluster.start(host)
        #expect(host.manager?.groups == [])
    }

    @Test func `a failed write is reported once and nothing is acknowledged any more`() throws {
        let cluster = HostCluster(hosts: 1)
        try cluster.startGroup()
        #expect(cluster.waitForLeader() != nil)
        let host = cluster.hosts[0]
        host.files.fail()
        var outcome: ProposalOutcome?
        cluster.replica(host)?.propose(batch("a"), .committed) { outcome = $0 }
        _ = cluster.run(ticks: 30) { false }
        #expect(host.failure != nil)
        #expect(outcome == nil)
    }

    @Test func `hundreds of groups share one write per turn`() throws {
        let cluster = HostCluster()
        for number in 0..<200 { try cluster.startGroup(RaftGroupID(1001 + UInt64(number))) }
        let groups = (0..<200).map { RaftGroupID(1001 + UInt64($0)) }
        #expect(
            cluster.run(ticks: 300) { groups.allSatisfy { cluster.leaders($0).count == 1 } }
        )
        var count = 0
        for group in groups {
            let leader = try #require(cluster.leaders(group).first)
            cluster.replica(leader, group)?.propose(batch("x"), .committed) { outcome in
                if case .done = outcome { count += 1 }
            }
        }
        #expect(cluster.run { count == 200 })
    }
}
