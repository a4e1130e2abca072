import Model
import Raft
import RaftHost
import Testing

/// The journal's lines say why leadership moves; `martlet why` reads them.
@Suite struct LeadershipNotesTests {
    private func newest(_ host: HostCluster.Host, _ prefix: String) throws -> EventLog.Event {
        try #require(host.events.all(prefix).last)
    }

    private func cluster() throws -> (HostCluster, HostCluster.Host, [HostCluster.Host]) {
        let cluster = HostCluster()
        try cluster.startGroup()
        let leader = try #require(cluster.waitForLeader())
        let others = cluster.hosts.filter { $0 !== leader }
        let followsLeader: (HostCluster.Host) -> Bool = {
            cluster.replica($0)?.leadership.leader == leader.node
        }
        #expect(cluster.run { others.allSatisfy(followsLeader) })
        return (cluster, leader, others)
    }

    @Test func `a first leader knew no other`() throws {
        let (_, leader, _) = try cluster()
        let event = try newest(leader, "Leading Raft group 1001 in term ")
        #expect(event.message.hasSuffix(": no leader was known"))
        #expect(event.fields["MARTLET_REASON"] == "no-leader")
        #expect(event.fields["MARTLET_FORMER_LEADER"] == nil)
    }

    @Test func `leadership that is handed over names both sides`() throws {
        let (cluster, leader, others) = try cluster()
        let next = others[0]
        leader.manager?.transferLeadership(of: 1001, to: next.node)
        #expect(cluster.run { cluster.replica(next)?.leadership.isConfirmed == true })
        let won = try newest(next, "Leading Raft group 1001 in term ")
        #expect(won.message.hasSuffix(": broker \(leader.owner) handed over"))
        #expect(won.fields["MARTLET_REASON"] == "handover")
        #expect(won.fields["MARTLET_FORMER_LEADER"] == "\(leader.owner)")
        let lost = try newest(leader, "No longer leading Raft group 1001 ")
        #expect(lost.message.hasSuffix(": handed over to broker \(next.owner)"))
        #expect(lost.fields["MARTLET_REASON"] == "handover")
        #expect(lost.fields["MARTLET_SUCCESSOR"] == "\(next.owner)")
    }

    @Test func `a leader whose process is gone is told from one that is silent`() throws {
        let (cluster, leader, others) = try cluster()
        cluster.kill(leader)
        for other in others { other.manager?.peerDisconnected(leader.owner) }
        #expect(cluster.run { cluster.leaders().first != nil })
        let next = try #require(cluster.leaders().first)
        let event = try newest(next, "Leading Raft group 1001 in term ")
        #expect(event.message.hasSuffix(": broker \(leader.owner) is gone"))
        #expect(event.fields["MARTLET_REASON"] == "leader-gone")
    }

    @Test func `a leader that is cut off steps down, and was silent for the others`() throws {
        let (cluster, leader, others) = try cluster()
        for other in others {
            cluster.cut.insert([leader.owner, other.owner])
            cluster.cut.insert([other.owner, leader.owner])
        }
        #expect(
            cluster.run {
                cluster.replica(leader)?.leadership.isLeader == false
                    && cluster.leaders().count == 1
            }
        )
        let lost = try newest(leader, "No longer leading Raft group 1001 ")
        #expect(lost.message.hasSuffix(": no majority of its members was heard"))
        #expect(lost.fields["MARTLET_REASON"] == "no-quorum")
        let next = try #require(cluster.leaders().first)
        let won = try newest(next, "Leading Raft group 1001 in term ")
        #expect(won.message.hasSuffix(": broker \(leader.owner) was silent"))
        #expect(won.fields["MARTLET_REASON"] == "leader-silent")
    }

    @Test func `a leader that nobody hears learns of the newer term`() throws {
        let (cluster, leader, others) = try cluster()
        for other in others { cluster.cut.insert([leader.owner, other.owner]) }
        #expect(cluster.run { cluster.replica(leader)?.leadership.isLeader == false })
        let lost = try newest(leader, "No longer leading Raft group 1001 ")
        #expect(lost.message.hasSuffix(": another member has begun a newer term"))
        #expect(lost.fields["MARTLET_REASON"] == "newer-term")
    }
}
