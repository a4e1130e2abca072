import Model
import Raft
import Testing

/// Raft thesis 3.4 and 3.6: elections in whole groups, one after the other or against each other.
@Suite struct ContestTests {
    private func plain(_ count: Int, preVote: Bool = false) -> TestCluster {
        TestCluster(count) {
            $0.makePlain()
            $0.preVote = preVote
        }
    }

    @Test(
        arguments: [
            (3, [], .leader, 1), (3, [3], .leader, 1), (3, [2, 3], .candidate, 1),
            (4, [2, 3], .candidate, 1), (5, [2, 3], .leader, 1),
        ] as [(Int, [NodeID], RaftRole, Term)],
        [false, true]
    )
    func `whoever reaches a majority leads, whoever does not goes on asking`(
        expected: (count: Int, dead: [NodeID], role: RaftRole, term: Term),
        preVote: Bool
    ) {
        let cluster = plain(expected.count, preVote: preVote)
        cluster.loses = { expected.dead.contains($0.to) || expected.dead.contains($0.from) }
        cluster.campaign(1)
        let isUndecided = preVote && expected.role == .candidate
        #expect(cluster[1].role == (isUndecided ? .preCandidate : expected.role))
        #expect(cluster[1].term == (isUndecided ? 0 : expected.term))
    }

    @Test(arguments: [false, true])
    func `a candidate whose log is older than a majority's follows again`(preVote: Bool) {
        let cluster = plain(5, preVote: preVote)
        for (id, terms) in [(2, [1]), (3, [1]), (4, [1, 1])] as [(NodeID, [Term])] {
            cluster.preload(id, terms, term: 1)
        }
        cluster.campaign(1)
        #expect(cluster[1].role == .follower)
        #expect(cluster[1].term == 1)
    }

    @Test(arguments: [false, true])
    func `every member can be elected in turn`(preVote: Bool) {
        let cluster = plain(3, preVote: preVote)
        for id: NodeID in [1, 2, 3] {
            cluster.campaign(id)
            let expected = ([1, 2, 3] as [NodeID]).map { $0 == id ? RaftRole.leader : .follower }
            #expect(cluster.roles == expected)
        }
        #expect(cluster.terms == [3, 3, 3])
    }

    @Test(arguments: [false, true])
    func `a single voter elects itself and commits alone`(preVote: Bool) throws {
        let cluster = plain(1, preVote: preVote)
        cluster.campaign(1)
        #expect(cluster[1].role == .leader)
        try cluster.propose(1, "a")
        try cluster.propose(1, "b")
        cluster.settle()
        #expect(cluster[1].commit == 3)
        #expect(cluster.texts(1) == ["a", "b"])
    }

    // Thesis 3.6: replica 3 led term 2 and has an entry of it that nobody else has.
    @Test(arguments: [false, true])
    func `a leader replaces uncommitted entries of a higher term by its own older ones`(
        preVote: Bool
    ) {
        let cluster = plain(5, preVote: preVote)
        cluster.preload(1, [1], term: 1)
        cluster.preload(2, [1], term: 1)
        cluster.preload(3, [2], term: 2)
        cluster.preload(4, [], term: 2, vote: 3)
        cluster.preload(5, [], term: 2, vote: 3)
        cluster.campaign(1)
        #expect(cluster[1].role == .follower, "a majority knows of term 2")
        #expect(cluster[1].term == 2)
        cluster.campaign(1)
        #expect(cluster[1].role == .leader)
        #expect(cluster[1].term == 3)
        for id: NodeID in [1, 2, 3, 4, 5] {
            #expect(cluster.storage(id).entries.map(\.term) == [1, 3])
        }
    }

    @Test func `a candidate that comes back with a higher term disturbs, then follows`() {
        let cluster = plain(3)
        cluster.cut((1, 3))
        cluster.campaign(1)
        cluster.campaign(3)
        #expect(cluster.roles == [.leader, .follower, .candidate])
        cluster.heal()
        cluster.campaign(3)
        #expect(cluster.roles == [.follower, .follower, .follower])
        #expect(cluster.terms == [2, 2, 2])
        #expect(cluster[1].lastIndex == 1)
        #expect(cluster[2].lastIndex == 1)
        #expect(cluster[3].lastIndex == 0)
    }

    // Thesis 9.6.
    @Test func `a pre-candidate that comes back disturbs nobody`() {
        let cluster = plain(3, preVote: true)
        cluster.cut((1, 3))
        cluster.campaign(1)
        cluster.campaign(3)
        #expect(cluster.roles == [.leader, .follower, .follower])
        cluster.heal()
        cluster.campaign(3)
        #expect(cluster.roles == [.leader, .follower, .follower])
        #expect(cluster.terms == [1, 1, 1])
        #expect(cluster[3].lastIndex == 0)
    }

    @Test func `a candidate that was cut off concedes to the leader of its term`() throws {
        let cluster = plain(3)
        cluster.isolate(1)
        cluster.campaign(1)
        cluster.campaign(3)
        #expect(cluster.roles == [.candidate, .follower, .leader])
        cluster.heal()
        cluster.tick(3)
        cluster.settle()
        try cluster.propose(3, "force follower")
        cluster.settle()
        cluster.tick(3)
        cluster.settle()
        #expect(cluster.roles == [.follower, .follower, .leader])
        #expect(cluster.terms == [1, 1, 1])
        for id: NodeID in [1, 2, 3] { #expect(cluster.texts(id) == ["force follower"]) }
    }

    @Test(arguments: [MessageType.heartbeat, .append])
    func `a candidate of an old term follows whoever leads a newer one`(type: MessageType) {
        let cluster = plain(3)
        cluster.campaign(1)
        cluster.isolate(3)
        cluster.campaign(2)
        cluster.campaign(1)
        #expect(cluster.terms == [3, 3, 1])
        cluster.tick(3, 19)
        cluster.settle()
        #expect(cluster.roles == [.leader, .follower, .candidate])
        cluster.heal()
        cluster.step(Message(type: type, to: 3, from: 1, term: 3))
        #expect(cluster.roles == [.leader, .follower, .follower])
        #expect(cluster.terms == [3, 3, 3])
        #expect(cluster[3].leader == 1)
    }

    // Thesis 4.2.1: who was promoted votes and may lead.
    @Test func `a learner that was promoted can win an election`() throws {
        let cluster = TestCluster(2, learners: [2]) { $0.makePlain() }
        cluster.campaign(1)
        #expect(cluster.roles == [.leader, .follower])
        cluster.tick(2, 40)
        cluster.settle()
        #expect(cluster.roles == [.leader, .follower])
        let change = ConfChange(changes: try confChanges("v2"))
        try cluster[1].proposeConfChange(change)
        cluster.settle()
        cluster.tick(1)
        cluster.settle()
        #expect(cluster[2].confState().voters == [1, 2])
        cluster.tick(2, 19)
        cluster.settle()
        #expect(cluster.roles == [.follower, .leader])
    }

    // Thesis 4.2.2: a committed change that is not applied leaves open who must vote.
    @Test(arguments: [EntryType.confChange, .confChangeV2])
    func `nobody stands for election before a committed change of members is applied`(
        type: EntryType
    ) throws {
        let cluster = TestCluster(3) { $0.makePlain() }
        cluster.campaign(1)
        cluster.stalledApplies = [1, 2, 3]
        try cluster[1].proposeConfChange(
            ConfChange(changes: try confChanges("r2")),
            as: type
        )
        cluster.settle()
        #expect(cluster[2].commit == 2)
        cluster.tick(2, 19)
        cluster.settle()
        #expect(cluster[2].role == .follower)
        cluster[1].transferLeadership(to: 2)
        cluster.settle()
        #expect(cluster.roles == [.leader, .follower, .follower])
        cluster.tick(1, 10)
        cluster.settle()
        // Replica 2 applies its removal only later: the others wait for that too.
        cluster.stalledApplies = [1, 2]
        cluster.settle()
        cluster[1].transferLeadership(to: 3)
        cluster.settle()
        #expect(cluster.roles == [.follower, .follower, .leader])
        cluster.tick(1, 19)
        cluster.settle()
        #expect(cluster[1].role == .follower)
        cluster.stalledApplies = []
        cluster.settle()
        cluster.tick(1, 19)
        #expect(cluster[1].role == .candidate)
    }
}
