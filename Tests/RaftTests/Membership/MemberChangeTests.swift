import Model
import Testing

@testable import Raft

/// Raft thesis 4: what proposed and applied changes of members do to one replica.
@Suite struct MemberChangeTests {
    private func change(
        _ text: String,
        _ transition: ConfChangeTransition = .auto
    ) throws -> ConfChange {
        ConfChange(transition: transition, changes: try confChanges(text))
    }

    @Test func `a proposed change of members is appended and waited for`() throws {
        let solo = SoloNode(of: 2)
        try solo.lead(votes: [2])
        try solo.acknowledge(2)
        try solo.node.proposeConfChange(change("l3"), as: .confChange)
        #expect(solo.node.lastIndex == 2)
        #expect(solo.node.pendingConfIndex == 2)
        try solo.node.proposeConfChange(change("l4"), as: .confChange)
        #expect(solo.node.pendingConfIndex == 2)
        solo.drain()
        #expect(solo.storage.entries.map(\.type) == [.normal, .confChange, .normal])
        #expect(solo.storage.entries[2].payload.count == 0)
    }

    @Test func `a new leader takes its whole tail for a change that waits`() throws {
        let fresh = SoloNode(of: 2)
        try fresh.lead(votes: [2])
        #expect(fresh.node.pendingConfIndex == 0)
        let old = SoloNode(of: 2, terms: [1])
        try old.lead(votes: [2])
        #expect(old.node.pendingConfIndex == 1)
        try old.node.proposeConfChange(change("l3"))
        old.drain()
        #expect(old.storage.entries.map(\.type) == [.normal, .normal, .normal])
    }

    @Test func `members are added, promoted and demoted by applied changes`() throws {
        let solo = SoloNode(of: 1)
        #expect(solo.node.applyConfChange(try change("v2")).voters == [1, 2])
        #expect(solo.node.applyConfChange(try change("l3")).learners == [3])
        #expect(solo.node.progress(of: 3)?.isLearner == true)
        #expect(solo.node.applyConfChange(try change("v3")).voters == [1, 2, 3])
        #expect(solo.node.progress(of: 3)?.isLearner == false)
        let demoted = solo.node.applyConfChange(try change("l1"))
        #expect(demoted == ConfState(voters: [2, 3], learners: [1]))
        #expect(solo.node.isPromotable == false)
        #expect(solo.node.applyConfChange(try change("v1")).learners.isEmpty)
        #expect(solo.node.isPromotable == true)
    }

    @Test func `voters and learners are removed, the last voter is not`() throws {
        let solo = SoloNode(of: 3, learners: [3])
        #expect(solo.node.applyConfChange(try change("r3")).learners.isEmpty)
        #expect(solo.node.progress(of: 3) == nil)
        #expect(solo.node.applyConfChange(try change("r2")).voters == [1])
        #expect(solo.node.applyConfChange(try change("r1")).voters == [1])
    }

    @Test(arguments: [[1, 2, 3], [3, 2, 1]] as [[NodeID]])
    func `members are known in the order of their ids`(voters: [NodeID]) {
        let solo = SoloNode(storage: MemoryStorage(confState: ConfState(voters: voters)))
        #expect(solo.node.confState().voters == [1, 2, 3])
        #expect(solo.node.tracker.peers.map(\.id) == [1, 2, 3])
    }

    // Thesis 6.2: nobody had the time to hear from a member that was just added.
    @Test func `a member that is added does not fail the next check of the quorum`() throws {
        let solo = SoloNode(of: 1, configure: { $0.checkQuorum = true })
        try solo.lead(votes: [])
        solo.tick(9)
        _ = solo.node.applyConfChange(try change("v2"))
        solo.tick(1)
        #expect(solo.node.role == .leader)
        solo.tick(10)
        #expect(solo.node.role == .follower)
    }

    @Test func `a member that exists may be added again`() throws {
        let cluster = TestCluster(1)
        cluster.elect(1)
        for text in ["v1", "v1", "l2"] {
            try cluster[1].proposeConfChange(change(text), as: .confChange)
            cluster.settle()
        }
        #expect(cluster[1].confState() == ConfState(voters: [1], learners: [2]))
        #expect(
            cluster.storage(1).entries.map(\.type)
                == [.normal, .confChange, .confChange, .confChange]
        )
    }

    /// A change that a single voter proposes, and the members it goes through.
    struct Course: Sendable {
        let text: String
        var transition = ConfChangeTransition.auto
        let first: ConfState
        var second: ConfState?
    }

    @Test(arguments: [
        Course(text: "l2", first: ConfState(voters: [1], learners: [2])),
        Course(
            text: "l2",
            transition: .jointExplicit,
            first: ConfState(voters: [1], votersOutgoing: [1], learners: [2]),
            second: ConfState(voters: [1], learners: [2])
        ),
        Course(
            text: "l2",
            transition: .jointImplicit,
            first: ConfState(voters: [1], votersOutgoing: [1], learners: [2], autoLeave: true),
            second: ConfState(voters: [1], learners: [2])
        ),
        Course(
            text: "v2 l1 l3",
            first: ConfState(
                voters: [2],
                votersOutgoing: [1],
                learners: [3],
                learnersNext: [1],
                autoLeave: true
            ),
            second: ConfState(voters: [2], learners: [1, 3])
        ),
        Course(
            text: "v2 l1 l3",
            transition: .jointExplicit,
            first: ConfState(
                voters: [2],
                votersOutgoing: [1],
                learners: [3],
                learnersNext: [1]
            ),
            second: ConfState(voters: [2], learners: [1, 3])
        ),
    ])
    func `a change goes at once or through a joint configuration that is left`(
        course: Course
    ) throws {
        let solo = SoloNode(of: 1, configure: { $0.stepDownOnRemoval = false })
        try solo.lead(votes: [])
        try solo.propose("some data")
        try solo.node.proposeConfChange(change(course.text, course.transition))
        solo.drain()
        #expect(solo.confStates.first == course.first)
        guard let second = course.second else {
            return #expect(solo.confStates.count == 1)
        }
        if !course.first.autoLeave {
            #expect(solo.confStates.count == 1)
            #expect(solo.node.lastIndex == 3)
            try solo.node.proposeConfChange(ConfChange(context: [1]))
            solo.drain()
        }
        // To leave, both halves must agree; the new one may not be this replica.
        if course.first.voters == [2] {
            #expect(solo.confStates.count == 1)
            try solo.acknowledge(2)
        }
        #expect(solo.confStates == [course.first, second])
        #expect(
            solo.applied.map(\.type) == [.normal, .normal, .confChangeV2, .confChangeV2]
        )
    }

    @Test func `whoever leads at the next applied entry leaves the joint configuration`() throws {
        let solo = SoloNode(of: 1)
        try solo.lead(votes: [])
        // Deposed before the change is applied.
        solo.isApplyingStalled = true
        try solo.node.proposeConfChange(change("l2", .jointImplicit))
        solo.drain()
        try solo.step(Message(type: .heartbeat, from: 2, term: 2, commit: 2))
        solo.isApplyingStalled = false
        solo.apply()
        solo.drain()
        let joint = ConfState(voters: [1], votersOutgoing: [1], learners: [2], autoLeave: true)
        #expect(solo.confStates == [joint])
        #expect(solo.node.role == .follower)
        #expect(solo.node.lastIndex == 2, "a follower proposes nothing")
        #expect(solo.node.pendingConfIndex == 0)
        try solo.lead(votes: [])
        #expect(solo.confStates == [joint, ConfState(voters: [1], learners: [2])])
        #expect(solo.storage.entries.last == Entry(term: 3, index: 4, type: .confChangeV2))
    }

    // The index stays behind no proposal that never entered the log.
    @Test func `a refused proposal of a change does not hold up the next one`() throws {
        let solo = SoloNode(configure: { $0.maxUncommittedBytes = 100 })
        try solo.lead()
        try solo.acknowledge(2)
        try solo.node.propose([Payload(Array(repeating: 0, count: 100))])
        var refused = try change("l4")
        refused.context = [1]
        #expect(throws: RaftError.proposalDropped) {
            try solo.node.proposeConfChange(refused)
        }
        solo.drain()
        // Only now is there room; the next entry takes the place of the refused one.
        try solo.acknowledge(2)
        try solo.node.proposeConfChange(refused)
        solo.drain()
        #expect(solo.storage.entries.map(\.type) == [.normal, .normal, .confChangeV2])
    }
}
