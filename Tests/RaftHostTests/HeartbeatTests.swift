import Disk
import Model
import NIOEmbedded
import Raft
import RaftHost
import RaftLog
import Testing

/// Heartbeats between hosts: one round per tick and peer.
@Suite struct HeartbeatTests {
    private func messages(_ cluster: HostCluster) -> [ReceivedMessage] {
        cluster.delivered.compactMap { if case .message(let it) = $0.packet { it } else { nil } }
    }

    private func rounds(_ cluster: HostCluster) -> [HeartbeatRound] {
        cluster.delivered.compactMap {
            if case .heartbeats(let it) = $0.packet { it } else { nil }
        }
    }

    private func answers(_ cluster: HostCluster) -> [HeartbeatAnswers] {
        cluster.delivered.compactMap { if case .answers(let it) = $0.packet { it } else { nil } }
    }

    /// A cluster whose groups have leaders and nothing to do.
    private func quietCluster(groups: UInt64 = 1) throws -> HostCluster {
        let cluster = HostCluster()
        let ids = (0..<groups).map { RaftGroupID(1001 + $0) }
        for group in ids { try cluster.startGroup(group) }
        #expect(cluster.run(ticks: 300) { ids.allSatisfy { cluster.leaders($0).count == 1 } })
        _ = cluster.run(ticks: 3) { false }
        cluster.delivered = []
        return cluster
    }

    @Test func `quiet groups send one round per tick and peer, and write nothing`() throws {
        let cluster = try quietCluster(groups: 50)
        let leaders = (0..<50).map { cluster.leaders(RaftGroupID(1001 + $0)).first?.owner }
        let terms = (0..<50).map { place in
            cluster.hosts.map { cluster.replica($0, RaftGroupID(1001 + place))?.term }
        }
        let writes = cluster.hosts.map(\.files.changeCount)
        _ = cluster.run(ticks: 100) { false }
        #expect(messages(cluster).isEmpty)
        let pairs = Set(leaders.compactMap { $0 }).count * 2
        #expect(rounds(cluster).count == 100 * pairs)
        #expect(answers(cluster).count == 100 * pairs)
        #expect(rounds(cluster).reduce(0) { $0 + $1.beats.count } == 100 * 50 * 2)
        #expect(answers(cluster).allSatisfy { $0.places.count == 1 })
        #expect(cluster.hosts.map(\.files.changeCount) == writes)
        #expect((0..<50).map { cluster.leaders(RaftGroupID(1001 + $0)).first?.owner } == leaders)
        for place in 0..<50 as Range<UInt64> {
            let now = cluster.hosts.map { cluster.replica($0, RaftGroupID(1001 + place))?.term }
            #expect(now == terms[Int(place)])
        }
    }

    @Test func `a leader whose rounds are not answered steps down`() throws {
        let cluster = try quietCluster()
        let leader = try #require(cluster.leaders().first)
        cluster.losesPacket = { _, to, packet in
            if case .answers = packet { return to == leader.owner }
            return false
        }
        #expect(cluster.run(ticks: 25) { cluster.replica(leader)?.leadership.role != .leader })
    }

    @Test func `an answer to a round that was never sent counts for nothing`() throws {
        let cluster = try quietCluster()
        let leader = try #require(cluster.leaders().first)
        let follower = try #require(cluster.hosts.first { $0 !== leader })
        cluster.losesPacket = { _, to, packet in
            if case .answers = packet { return to == leader.owner }
            return false
        }
        let isDown = cluster.run(ticks: 25) {
            for number in 0..<30 as Range<UInt64> {
                leader.manager?.receive(
                    HeartbeatAnswers(number: number, places: [0..<1_000]),
                    from: follower.owner
                )
            }
            return cluster.replica(leader)?.leadership.role != .leader
        }
        #expect(isDown)
    }

    /// How the answers of one follower reach a leader that hears nothing else.
    enum Delivery: CaseIterable { case asSent, asAnothers, firstAgainAndAgain }

    @Test(arguments: Delivery.allCases)
    func `an answer counts once, and for its sender only`(delivery: Delivery) throws {
        let cluster = try quietCluster()
        let leader = try #require(cluster.leaders().first)
        let others = cluster.hosts.filter { $0 !== leader }
        var kept: [HeartbeatAnswers] = []
        cluster.losesPacket = { from, to, packet in
            guard to == leader.owner else { return false }
            if case .answers(let it) = packet, from == others[0].owner { kept.append(it) }
            return true
        }
        let isDown = cluster.run(ticks: 25) {
            switch delivery {
            case .asSent: kept.last.map { leader.manager?.receive($0, from: others[0].owner) }
            case .asAnothers:
                kept.last.map { leader.manager?.receive($0, from: others[1].owner) }
                kept.last.map { leader.manager?.receive($0, from: 99) }
            case .firstAgainAndAgain:
                kept.first.map { leader.manager?.receive($0, from: others[0].owner) }
            }
            return cluster.replica(leader)?.leadership.role != .leader
        }
        #expect(isDown == (delivery != .asSent))
    }

    @Test func `a follower of a higher term answers by message, and the leader gives way`() throws {
        let cluster = try quietCluster()
        let leader = try #require(cluster.leaders().first)
        let others = cluster.hosts.filter { $0 !== leader }
        for host in others {
            cluster.cut.formUnion([[leader.owner, host.owner], [host.owner, leader.owner]])
            host.manager?.peerDisconnected(leader.owner)
        }
        #expect(cluster.run(ticks: 8) { cluster.leaders().contains { $0 !== leader } })
        #expect(cluster.replica(leader)?.leadership.isLeader == true)
        cluster.cut = []
        cluster.losesPacket = { _, to, packet in
            guard to == leader.owner, case .message(let received) = packet else {
                return to == leader.owner
            }
            return received.message.type != .appendResponse
        }
        #expect(cluster.run(ticks: 2) { cluster.replica(leader)?.leadership.isLeader == false })
    }

    @Test func `a round brings the commit index to who has missed it`() throws {
        let cluster = try quietCluster()
        let leader = try #require(cluster.leaders().first)
        // Whatever tells of the commit is lost: only the entry itself arrives.
        cluster.losesPacket = { from, _, packet in
            guard from == leader.owner else { return false }
            guard case .message(let received) = packet else { return true }
            return received.message.entries.isEmpty
        }
        var outcome: ProposalOutcome?
        cluster.replica(leader)?.propose(batch("a"), .committed) { outcome = $0 }
        cluster.settle()
        #expect(outcome != nil)
        let others = cluster.hosts.filter { $0 !== leader }
        #expect(others.allSatisfy { $0.machines[1001]?.texts == [] })
        cluster.losesPacket = { _, _, packet in
            if case .heartbeats = packet { return false }
            return true
        }
        #expect(cluster.run(ticks: 2) { others.allSatisfy { $0.machines[1001]?.texts == ["a"] } })
    }

    @Test func `an answer shows who lacks entries, and they are sent again`() throws {
        let cluster = try quietCluster()
        let leader = try #require(cluster.leaders().first)
        let follower = try #require(cluster.hosts.first { $0 !== leader })
        cluster.losesPacket = { _, to, packet in
            guard case .message = packet else { return false }
            return to == follower.owner
        }
        cluster.replica(leader)?.propose(batch("a"), .committed) { _ in }
        cluster.settle()
        #expect(follower.machines[1001]?.texts == [])
        cluster.losesPacket = { _, _, _ in false }
        #expect(cluster.run(ticks: 3) { follower.machines[1001]?.texts == ["a"] })
    }

    @Test func `a round for another incarnation of a replica is not answered`() throws {
        let cluster = try quietCluster()
        let leader = try #require(cluster.leaders().first)
        let follower = try #require(cluster.hosts.first { $0 !== leader })
        let term = try #require(cluster.replica(leader)?.term)
        let round = HeartbeatRound(
            number: 7,
            beats: [
                Heartbeat(
                    group: 1001,
                    from: leader.node,
                    to: NodeID(owner: follower.owner, incarnation: 2),
                    term: term,
                    commit: 1
                ),
                Heartbeat(group: 1001, from: leader.node, to: follower.node, term: term, commit: 1),
                Heartbeat(group: 1002, from: leader.node, to: follower.node, term: term, commit: 1),
            ]
        )
        follower.manager?.receive(round, from: leader.owner)
        let isAnswered = cluster.run(ticks: 3) { answers(cluster).contains { $0.number == 7 } }
        #expect(isAnswered)
        #expect(answers(cluster).contains(HeartbeatAnswers(number: 7, places: [1..<2])))
    }

    @Test(arguments: [-1, 1, 2, 3, 99] as [Int32], [0, 1, .max] as [UInt64])
    func `a round that says the impossible changes nothing`(owner: Int32, term: UInt64) throws {
        let cluster = try quietCluster()
        let leader = try #require(cluster.leaders().first)
        let before = cluster.hosts.map { cluster.replica($0)?.term }
        for host in cluster.hosts {
            // With the owner -1 it comes from one of the core's own threads.
            let from = NodeID(owner: owner, incarnation: owner == -1 ? .max : 1)
            let beat = Heartbeat(
                group: 1001,
                from: from,
                to: host.node,
                term: Term(term),
                commit: LogIndex(.max)
            )
            host.manager?.receive(HeartbeatRound(number: 7, beats: [beat, beat]), from: owner)
        }
        _ = cluster.run(ticks: 3) { false }
        #expect(cluster.hosts.allSatisfy { cluster.replica($0)?.isSuspect == false })
        #expect(cluster.hosts.map { cluster.replica($0)?.term } == before)
        #expect(cluster.leaders().first === leader)
    }

    @Test func `numbers of rounds differ from run to run of a process`() throws {
        let cluster = try quietCluster()
        let leader = try #require(cluster.leaders().first)
        _ = cluster.run(ticks: 2) { false }
        let before = rounds(cluster).map(\.number)
        cluster.kill(leader)
        try cluster.start(leader)
        cluster.delivered = []
        _ = cluster.waitForLeader()
        _ = cluster.run(ticks: 40) { !rounds(cluster).isEmpty }
        #expect(!rounds(cluster).isEmpty)
        #expect(Set(before).isDisjoint(with: rounds(cluster).map(\.number)))
    }
}
