import Model
import Raft
import Testing

/// Raft thesis 4.
@Suite struct MembershipTests {
    private func change(_ text: String, _ transition: ConfChangeTransition = .auto) throws
        -> ConfChange
    {
        ConfChange(transition: transition, changes: try confChanges(text))
    }

    @Test func `a change takes effect when it is applied, everywhere`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        try cluster[1].proposeConfChange(change("r3"))
        #expect(cluster[1].confState().voters == [1, 2, 3])
        cluster.settle()
        cluster.tick(1)
        cluster.settle()
        for id: NodeID in [1, 2] { #expect(cluster[id].confState().voters == [1, 2]) }
    }

    @Test func `only one change may be under way`() throws {
        let solo = SoloNode()
        try solo.lead()
        try solo.acknowledge(2)
        try solo.node.proposeConfChange(change("l4"))
        try solo.node.proposeConfChange(change("l5"))
        solo.drain()
        #expect(solo.storage.entries.map(\.type) == [.normal, .confChangeV2, .normal])
    }

    @Test func `several voters change through a joint configuration that is left by itself`() throws
    {
        let cluster = TestCluster(3)
        cluster.elect(1)
        try cluster[1].proposeConfChange(change("r2 r3 l3"))
        cluster.settle()
        #expect(cluster[1].confState() == ConfState(voters: [1], learners: [3]))
        let kinds = cluster.applied(1).map(\.type)
        #expect(kinds == [.normal, .confChangeV2, .confChangeV2])
    }

    @Test func `an explicit joint configuration is left when it is asked for`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        try cluster[1].proposeConfChange(change("r3", .jointExplicit))
        cluster.settle()
        #expect(cluster[1].confState().votersOutgoing == [1, 2, 3])
        try cluster[1].proposeConfChange(ConfChange())
        cluster.settle()
        #expect(cluster[1].confState() == ConfState(voters: [1, 2]))
    }

    @Test func `a leader that is removed steps down if so configured`() throws {
        for stepsDown in [true, false] {
            let cluster = TestCluster(3, configure: { $0.stepDownOnRemoval = stepsDown })
            cluster.elect(1)
            try cluster[1].proposeConfChange(change("r1"))
            cluster.settle()
            #expect((cluster[1].role == .follower) == stepsDown)
            if !stepsDown {
                #expect(throws: RaftError.proposalDropped) { try cluster.propose(1, "x") }
            }
        }
    }

    @Test func `removing a slow member may commit what it held up`() throws {
        let solo = SoloNode(of: 2)
        try solo.lead(votes: [2])
        try solo.acknowledge(2)
        try solo.propose("x")
        solo.drain()
        #expect(solo.node.commit == 1)
        _ = solo.node.applyConfChange(try change("r2"))
        #expect(solo.node.commit == 2)
    }

    @Test func `a removed transferee ends the transfer`() throws {
        let solo = SoloNode()
        try solo.lead()
        solo.node.transferLeadership(to: 3)
        #expect(solo.node.status.transferee == 3)
        _ = solo.node.applyConfChange(try change("r3"))
        #expect(solo.node.status.transferee == .none)
    }

    @Test func `a change that is impossible changes nothing`() throws {
        let solo = SoloNode(of: 1)
        let before = solo.node.confState()
        #expect(solo.node.applyConfChange(try change("r1")) == before)
        #expect(solo.node.applyConfChange(ConfChange()) == before)
    }

    @Test func `a new member is sent everything`() throws {
        let cluster = TestCluster(4, learners: [4])
        cluster.elect(1)
        try cluster.propose(1, "x")
        try cluster[1].proposeConfChange(change("v4"))
        cluster.settle()
        cluster.tick(1)
        cluster.settle()
        #expect(cluster[4].confState().voters == [1, 2, 3, 4])
        #expect(cluster.texts(4) == ["x"])
    }

    @Test func `a change survives its bytes`() throws {
        let changes = [
            ConfChange(), try change("v1 l2 r3 u4", .jointExplicit),
            ConfChange(transition: .jointImplicit, context: [1, 2, 3]),
            try change("v18446744073709551615"),
        ]
        for change in changes {
            #expect(try ConfChange(bytes: change.bytes) == change)
            for count in 1..<max(2, change.bytes.count) where count < change.bytes.count {
                let short = Array(change.bytes.prefix(count))
                if let read = try? ConfChange(bytes: short) { #expect(read != change) }
            }
        }
    }

    @Test func `every reachable configuration survives its snapshot`() throws {
        var random = Random(seed: 4)
        for _ in 0..<200 {
            var changer = ConfChanger(
                ProgressTracker(inflightCountMax: 4, inflightBytesMax: 0),
                lastIndex: 10
            )
            try changer.simple(confChanges("v1"))
            for _ in 0..<12 {
                let changes = (0..<random.below(4)).map { _ in
                    ConfChangeSingle(
                        [.addNode, .removeNode, .addLearnerNode, .updateNode][random.below(4)],
                        NodeID(UInt64(1 + random.below(6)))
                    )
                }
                switch random.below(3) {
                case 0: try? changer.simple(changes)
                case 1: try? changer.enterJoint(autoLeave: random.below(2) == 0, changes)
                default: try? changer.leaveJoint()
                }
                var restored = ConfChanger(
                    ProgressTracker(inflightCountMax: 4, inflightBytesMax: 0),
                    lastIndex: 10
                )
                try restored.restore(changer.config.confState)
                #expect(restored.config == changer.config)
                #expect(restored.peers.map(\.id) == changer.peers.map(\.id))
                #expect(restored.peers.map(\.isLearner) == changer.peers.map(\.isLearner))
            }
        }
    }

    @Test func `a joint change and its simple steps lead to the same members`() throws {
        var random = Random(seed: 9)
        for _ in 0..<300 {
            var simple = ConfChanger(
                ProgressTracker(inflightCountMax: 4, inflightBytesMax: 0),
                lastIndex: 10
            )
            try simple.simple(confChanges("v1"))
            var joint = simple
            let steps = (0..<1 + random.below(5)).map { _ in
                ConfChangeSingle(
                    [.addNode, .removeNode, .addLearnerNode][random.below(3)],
                    NodeID(UInt64(2 + random.below(5)))
                )
            }
            for step in steps { try simple.simple([step]) }
            try joint.enterJoint(autoLeave: false, steps)
            try joint.leaveJoint()
            #expect(joint.config == simple.config)
        }
    }
}
