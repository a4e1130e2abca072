import Metadata
import Model
import Raft
import Testing

@testable import BrokerServer

/// A partition's reassignment beside a group, as a leader sees them.
private struct Case {
    var info: PartitionInfo
    var view: GroupView

    /// All replicas lie on brokers of their own and are started, unless told otherwise.
    init(
        own: NodeID,
        voters: [NodeID],
        learners: [NodeID] = [],
        target: [NodeID],
        unstarted: [NodeID] = [],
        inactive: [NodeID] = [],
        behind: [NodeID] = []
    ) throws {
        let all = Set(voters + learners + target + [own]).sorted()
        info = try Self.partition(all, target, unstarted)
        view = GroupView(
            own: own,
            members: ConfState(voters: voters, learners: learners),
            accepted: 7,
            isSettled: true,
            mark: 100,
            progress: { node in
                (behind.contains(node) ? 99 : 100, !inactive.contains(node))
            }
        )
    }

    /// As the metadata give it, by way of their JSON.
    private static func partition(
        _ replicas: [NodeID],
        _ target: [NodeID],
        _ unstarted: [NodeID]
    ) throws -> PartitionInfo {
        let list = replicas.map { node in
            let directory = DirectoryID(UniqueID(high: 1, low: UInt64(node.owner)))
            return """
                {"node":\(node),"directory_id":"\(directory)",
                "started":\(!unstarted.contains(node)),"joins":true}
                """
        }
        let text = """
            {"partition":0,"group":1001,"replicas":[\(list.joined(separator: ","))],
            "next_incarnation":9,"reassignment":{"version":7,"original":[1],
            "target":[\(target.map(\.description).joined(separator: ","))]}}
            """
        return try JSONText.decode(PartitionInfo.self, text)
    }

    var step: ReassignmentStep? { ReassignmentStep.next(for: info, in: view) }
    var isNews: Bool { ReassignmentStep.isNews(info, view) }

    /// The members after a change, as the core reckons them; joint ones are left.
    func members(after changes: [ConfChangeSingle]) throws -> ConfState {
        var changer = try Self.changer(view.members)
        try changer.apply(ConfChange(changes: changes))
        if changer.config.voters.isJoint { try changer.leaveJoint() }
        return changer.config.confState
    }

    private static func changer(_ members: ConfState) throws -> ConfChanger {
        let empty = ProgressTracker(inflightCountMax: 1, inflightBytesMax: 1)
        var changer = ConfChanger(empty, lastIndex: 1)
        try changer.restore(members)
        return changer
    }
}

private func node(_ broker: Int32, _ incarnation: UInt32 = 1) -> NodeID {
    NodeID(owner: broker, incarnation: incarnation)
}

private let (n1, n2, n3, n4, n5) = (node(1), node(2), node(3), node(4), node(5))

@Suite struct ReassignmentStepTests {
    @Test func `a partition that is where it is to be has no step`() throws {
        var one = try Case(own: n1, voters: [n1, n2, n3], target: [n1, n2, n3])
        #expect(one.step == .finished && one.isNews)
        one.info.reassignment = nil
        #expect(one.step == nil && !one.isNews)
    }

    @Test func `the group accepts a target before anything moves, and never an older one`() throws {
        var one = try Case(own: n1, voters: [n1, n2, n3], target: [n1, n2, n4])
        one.view.accepted = 6
        #expect(one.step == .accept(7) && !one.isNews)
        one.view.accepted = 8
        #expect(one.step == .wait(.metadataOutdated) && !one.isNews)
        // A cancelled move that had not begun is accepted too: only then may anything be purged.
        one = try Case(own: n1, voters: [n1, n2, n3], target: [n1, n2, n3])
        one.view.accepted = 6
        #expect(one.step == .accept(7) && !one.isNews)
    }

    @Test func `nothing that has gone is reported before a majority of the rest knows of it`()
        throws
    {
        var done = try Case(own: n1, voters: [n1, n2, n3], target: [n1, n2, n3])
        done.view.isSettled = false
        #expect(done.step == .accept(7) && !done.isNews)
        var part = try Case(own: n1, voters: [n1, n2, n3, n4], target: [n1, n2, n4])
        part.view.members = ConfState(voters: [n1, n2], learners: [n4])
        #expect(part.isNews)
        part.view.isSettled = false
        #expect(part.step == .accept(7) && !part.isNews)
        // While nobody has gone, the next change need not wait for that.
        var first = try Case(own: n1, voters: [n1, n2, n3], target: [n1, n2, n4])
        first.view.isSettled = false
        #expect(first.step == .change([.init(.addLearnerNode, n4)]) && !first.isNews)
    }

    @Test func `a replica comes as a learner once it runs, others are not held up by it`() throws {
        var one = try Case(
            own: n1,
            voters: [n1, n2, n3],
            target: [n1, n4, n5],
            unstarted: [n4]
        )
        #expect(one.step == .change([.init(.addLearnerNode, n5)]))
        one.view.members.learners = [n5]
        #expect(one.step == .wait(.notStarted(n4)))
    }

    @Test func `votes are exchanged at once when all have caught up`() throws {
        let behind = try Case(
            own: n1,
            voters: [n1, n2, n3],
            learners: [n4, n5],
            target: [n1, n4, n5],
            behind: [n5]
        )
        #expect(behind.step == .wait(.catchingUp(n5)))
        let away = try Case(
            own: n1,
            voters: [n1, n2, n3],
            learners: [n4, n5],
            target: [n1, n4, n5],
            inactive: [n4]
        )
        #expect(away.step == .wait(.catchingUp(n4)))
        let ready = try Case(
            own: n1,
            voters: [n1, n2, n3],
            learners: [n4, n5],
            target: [n1, n4, n5],
            inactive: [n2]
        )
        #expect(
            ready.step
                == .change([
                    .init(.addNode, n4), .init(.addNode, n5), .init(.removeNode, n2),
                    .init(.removeNode, n3),
                ])
        )
    }

    @Test func `a leader that has to go votes until another one leads`() throws {
        let exchange = try Case(
            own: n3,
            voters: [n1, n2, n3],
            learners: [n4],
            target: [n4, n1, n2]
        )
        #expect(exchange.step == .change([.init(.addNode, n4)]))
        let handOver = try Case(own: n3, voters: [n1, n2, n3, n4], target: [n4, n1, n2])
        #expect(handOver.step == .transfer(n4), "the preferred leader")
        let slow = try Case(
            own: n3,
            voters: [n1, n2, n3, n4],
            target: [n4, n1, n2],
            behind: [n4]
        )
        #expect(slow.step == .transfer(n1))
        let successor = try Case(own: n1, voters: [n1, n2, n3, n4], target: [n4, n1, n2])
        #expect(successor.step == .change([.init(.removeNode, n3)]))
        // All others are new: only then has the old one gone.
        let whole = try Case(own: n1, voters: [n1, n4], target: [n4])
        #expect(whole.step == .transfer(n4))
    }

    @Test func `a joint configuration is left before anything else`() throws {
        var one = try Case(own: n1, voters: [n1, n2, n4], target: [n1, n2, n4])
        one.view.members = ConfState(voters: [n1, n2, n4], votersOutgoing: [n1, n2, n3])
        #expect(one.step == .wait(.leavingJoint) && !one.isNews)
        // Also when another target is wanted by now.
        one = try Case(own: n1, voters: [n1, n2, n4], target: [n1, n2, n5])
        one.view.members = ConfState(voters: [n1, n2, n4], votersOutgoing: [n1, n2, n3])
        #expect(one.step == .wait(.leavingJoint) && !one.isNews)
    }

    @Test func `a learner that nobody wants any more goes first`() throws {
        let one = try Case(
            own: n1,
            voters: [n1, n2, n3],
            learners: [n4, n5],
            target: [n1, n2, n5],
            behind: [n5]
        )
        #expect(one.step == .change([.init(.removeNode, n4)]))
    }

    @Test func `a damaged replica leaves before its successor comes, if a majority is left`()
        throws
    {
        let successor = node(2, 2)
        let target = [n1, successor, n3]
        let one = try Case(own: n1, voters: [n1, n2, n3], target: target, unstarted: [successor])
        #expect(one.step == .change([.init(.removeNode, n2)]))
        let few = try Case(
            own: n1,
            voters: [n1, n2, n3],
            target: target,
            unstarted: [successor],
            inactive: [n3]
        )
        #expect(few.step == .wait(.noMajority))
        let gone = try Case(own: n1, voters: [n1, n3], target: target, unstarted: [successor])
        #expect(gone.step == .wait(.notStarted(successor)))
        #expect(!gone.isNews, "nothing that has gone stands in the metadata")
        var told = try Case(
            own: n1,
            voters: [n1, n2, n3],
            target: target,
            unstarted: [successor]
        )
        told.view.members = ConfState(voters: [n1, n3])
        #expect(told.isNews, "its data may be deleted now")
        let lead = try Case(own: n2, voters: [n1, n2, n3], target: target, unstarted: [successor])
        #expect(lead.step == .transfer(n1))
        let only = try Case(own: n2, voters: [n2], target: [successor], unstarted: [successor])
        #expect(only.step == .wait(.noMajority))
    }

    @Test func `a lost replica in another directory is exchanged like any other`() throws {
        let successor = node(2, 2)
        var one = try Case(
            own: n1,
            voters: [n1, n2, n3],
            target: [n1, successor, n3],
            unstarted: [successor],
            inactive: [n2]
        )
        let lost = try #require(one.info.replicas.firstIndex { $0.node == n2 })
        one.info.replicas[lost].directoryID = DirectoryID(UniqueID(high: 9, low: 9))
        #expect(one.step == .wait(.notStarted(successor)))
        one.view.members.learners = [successor]
        #expect(
            one.step == .change([.init(.addNode, successor), .init(.removeNode, n2)])
        )
    }
}

/// Every group of up to five replicas, with every target.
@Suite struct ReassignmentCourseTests {
    private static let nodes = [n1, n2, n3, n4, n5]

    private static func subsets(_ nodes: [NodeID]) -> [[NodeID]] {
        (0..<1 << nodes.count).map { bits in
            nodes.indices.filter { bits & 1 << $0 != 0 }.map { nodes[$0] }
        }
    }

    /// Every pair of voters and learners, and every target.
    private func forEach(
        _ body: (_ voters: [NodeID], _ learners: [NodeID], _ target: [NodeID]) throws -> Void
    ) rethrows {
        for voters in Self.subsets(Self.nodes) where !voters.isEmpty {
            for learners in Self.subsets(Self.nodes.filter { !voters.contains($0) }) {
                for target in Self.subsets(Self.nodes) where !target.isEmpty {
                    try body(voters, learners, target)
                }
            }
        }
    }

    @Test func `whoever leads, and wherever it begins, the group comes to its target`() throws {
        try forEach { voters, learners, target in
            for leader in voters {
                var one = try Case(own: leader, voters: voters, learners: learners, target: target)
                var steps = 0
                while let step = one.step, step != .finished, steps < 20 {
                    steps += 1
                    switch step {
                    case .change(let changes):
                        #expect(!changes.contains { $0.node == one.view.own }, "\(changes)")
                        one.view.members = try one.members(after: changes)
                        one.view.isSettled = false
                    case .transfer(let next):
                        #expect(one.view.members.voters.contains(next) && target.contains(next))
                        one.view.own = next
                        one.view.isSettled = false
                    case .accept: one.view.isSettled = true
                    default: Issue.record("\(step) at \(one.view.members) for \(target)")
                    }
                    if case .wait = step { break }
                }
                #expect(one.view.members == ConfState(voters: target), "after \(steps) steps")
                #expect(one.isNews)
            }
        }
    }

    @Test func `no change leaves a majority that does not answer, and none is without need`() throws
    {
        try forEach { voters, learners, target in
            let leader = voters[0]
            for inactive in Self.subsets(Self.nodes.filter { $0 != leader }) {
                let one = try Case(
                    own: leader,
                    voters: voters,
                    learners: learners,
                    target: target,
                    inactive: inactive
                )
                switch one.step {
                case .change(let changes):
                    let after = try one.members(after: changes)
                    let answering = after.voters.count { !inactive.contains($0) }
                    let isWanted = after.voters != voters
                    #expect(!isWanted || answering > after.voters.count / 2, "\(changes)")
                    for change in changes {
                        let isTarget = target.contains(change.node)
                        #expect(isTarget == (change.type != .removeNode), "\(changes)")
                    }
                case .transfer(let next): #expect(!inactive.contains(next))
                case .finished: #expect(Set(voters) == Set(target) && learners.isEmpty)
                default: break
                }
            }
        }
    }
}
