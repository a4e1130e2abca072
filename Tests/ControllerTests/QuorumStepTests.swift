import InterBrokerProtocol
import Metadata
import Model
import Raft
import Testing

@testable import Controller

private func node(_ id: Int32, _ incarnation: UInt32 = 1) -> NodeID {
    NodeID(owner: id, incarnation: incarnation)
}

private func replica(
    _ node: NodeID,
    _ state: ControllerReplica.State = .voting,
    directory number: Int32? = nil
) -> ControllerReplica {
    ControllerReplica(
        node: node,
        directoryID: number.map { directory($0) },
        address: "c\(node.owner):9190",
        state: state
    )
}

/// The group as its leader sees it: everybody has everything, but for those that are named.
private func group(
    _ voters: [NodeID],
    learners: [NodeID] = [],
    own: NodeID = node(1),
    silent: [NodeID] = [],
    behind: [NodeID] = []
) -> QuorumView {
    QuorumView(
        own: own,
        members: ConfState(voters: voters, learners: learners),
        lastIndex: 100,
        committed: 100,
        peers: (voters + learners).map {
            QuorumView.Peer(
                node: $0,
                match: behind.contains($0) ? 99 : 100,
                isActive: !silent.contains($0)
            )
        }
    )
}

@Suite struct QuorumStepTests {
    private let three = [node(1), node(2), node(3)]

    private func next(_ replicas: [ControllerReplica], _ view: QuorumView) -> QuorumStep? {
        QuorumStep.next(for: replicas, in: view, mark: 100)
    }

    @Test func `a controller that comes is filled, gets its vote, and is recorded`() {
        let wanted = [replica(node(1)), replica(node(2), .joining)]
        #expect(
            next(wanted, group([node(1)])) == .change([ConfChangeSingle(.addLearnerNode, node(2))])
        )
        let learner = [node(2)]
        #expect(
            next(wanted, group([node(1)], learners: learner, behind: learner))
                == .wait(.catchingUp(node(2)))
        )
        #expect(
            next(wanted, group([node(1)], learners: learner, silent: learner))
                == .wait(.catchingUp(node(2)))
        )
        #expect(
            next(wanted, group([node(1)], learners: learner))
                == .change([ConfChangeSingle(.addNode, node(2))])
        )
        let voters = [node(1), node(2)]
        #expect(next(wanted, group(voters)) == .record(ControllerMembers(voters: voters)))
        #expect(next([replica(node(1)), replica(node(2))], group(voters)) == nil)
    }

    @Test func `a lost one keeps its vote until its successor has everything, then both change`() {
        let wanted = [
            replica(node(1)), replica(node(2), .leaving), replica(node(2, 2), .joining),
            replica(node(3)),
        ]
        let lost = [node(2)]
        #expect(
            next(wanted, group(three, silent: lost))
                == .change([ConfChangeSingle(.addLearnerNode, node(2, 2))])
        )
        let learners = [node(2, 2)]
        #expect(
            next(wanted, group(three, learners: learners, silent: lost, behind: learners))
                == .wait(.catchingUp(node(2, 2)))
        )
        #expect(
            next(wanted, group(three, learners: learners, silent: lost))
                == .change([
                    ConfChangeSingle(.addNode, node(2, 2)), ConfChangeSingle(.removeNode, node(2)),
                ])
        )
    }

    @Test func `a leader that has to go hands over to one that has everything`() {
        let wanted = [replica(node(1), .leaving), replica(node(2)), replica(node(3))]
        #expect(next(wanted, group(three, behind: [node(2)])) == .transfer(node(3)))
        #expect(
            next(wanted, group(three, behind: [node(2), node(3)])) == .wait(.catchingUp(node(2)))
        )
        // Its successor lets it go.
        #expect(
            next(wanted, group(three, own: node(3)))
                == .change([ConfChangeSingle(.removeNode, node(1))])
        )
    }

    @Test func `nobody goes whom the others cannot do without`() {
        let wanted = [replica(node(1)), replica(node(2), .leaving), replica(node(3))]
        #expect(next(wanted, group(three, silent: [node(3)])) == .wait(.noMajority))
        #expect(next(wanted, group(three)) == .change([ConfChangeSingle(.removeNode, node(2))]))
    }

    @Test func `a joint configuration is left first, and learners that nobody wants go`() {
        let wanted = [replica(node(1)), replica(node(2), .leaving)]
        var view = group([node(1)], learners: [node(2)])
        #expect(next(wanted, view) == .change([ConfChangeSingle(.removeNode, node(2))]))
        view.members.votersOutgoing = [node(1)]
        #expect(next(wanted, view) == .wait(.leavingJoint))
        // It was never added: all that is to be done is to say that it is gone.
        #expect(
            next(wanted, group([node(1)])) == .record(ControllerMembers(voters: [node(1)]))
        )
    }

    @Test func `a removal that would leave no quorum is refused in plain words`() {
        let replicas = three.map { replica($0) }
        let text = QuorumStep.refusal(toRemove: 2, replicas, group(three, silent: [node(3)]))
        #expect(
            text == """
                without controller 2 only 1 of 2 controllers would answer, and 2 are needed: \
                first bring back, remove or replace controller 3
                """
        )
        #expect(QuorumStep.refusal(toRemove: 2, replicas, group(three)) == nil)
        #expect(
            QuorumStep.refusal(toRemove: 2, replicas, group(three, silent: [node(2)])) == nil,
            "one that is away is not missed"
        )
        #expect(
            QuorumStep.refusal(toRemove: 1, [replica(node(1))], group([node(1)]))
                == "controller 1 is the last one: without it there is no metadata"
        )
        // What never voted is not missed.
        let learning = [replica(node(1)), replica(node(2), .joining)]
        #expect(QuorumStep.refusal(toRemove: 2, learning, group([node(1)])) == nil)
    }
}

@Suite struct ControllerAdmissionTests {
    private let cluster = ClusterID(UniqueID(high: 9, low: 9))
    private let request = AddControllerRequest(id: 2, address: "c2:9190")

    private func metadata(_ commands: MetadataCommand...) -> ClusterMetadata {
        var metadata = ClusterMetadata()
        let founders = MetadataCommand.controllersFounded([replica(node(1)), replica(node(3))])
        for command in [founders] + commands {
            _ = metadata.apply(command, at: metadata.version + 1)
        }
        return metadata
    }

    private func found(
        _ id: Int32 = 2,
        _ number: Int32 = 20,
        node: NodeID? = nil,
        cluster: ClusterID? = nil
    ) -> ControllerDiscoverResponse {
        ControllerDiscoverResponse(
            controllerID: ControllerID(id),
            clusterID: cluster,
            directoryID: directory(number),
            nodeID: node
        )
    }

    private func placement(_ number: Int32, node: NodeID? = nil) -> ControllerPlacement {
        ControllerPlacement(
            id: 2,
            node: node,
            directoryID: directory(number),
            address: "c2:9190"
        )
    }

    private func code(_ verdict: ControllerAdmission.Verdict) -> ControllerErrorCode? {
        guard case .refuse(let failure) = verdict else { return nil }
        return failure.code
    }

    @Test func `what answers at the address has to be that controller, without another cluster`() {
        func judge(_ answer: ControllerDiscoverResponse?) -> ControllerAdmission.Verdict {
            ControllerAdmission.judge(request, answer, metadata(), cluster)
        }
        #expect(judge(found()) == .place(placement(20)))
        #expect(judge(found(cluster: cluster)) == .place(placement(20)))
        #expect(code(judge(nil)) == .brokerNotAvailable)
        #expect(code(judge(found(4))) == .invalidRequest)
        #expect(code(judge(ControllerDiscoverResponse())) == .invalidRequest, "a broker")
        let other = ClusterID(UniqueID(high: 8, low: 8))
        #expect(code(judge(found(cluster: other))) == .inconsistentClusterID)
        var exact = request
        exact.directoryID = directory(21)
        #expect(
            code(ControllerAdmission.judge(exact, found(), metadata(), cluster)) == .invalidRequest
        )
    }

    @Test func `one that is on its way need not answer at the moment`() {
        let placed = metadata(.placeController(placement(20)))
        #expect(ControllerAdmission.judge(request, nil, placed, cluster) == .isPlaced)
        var elsewhere = request
        elsewhere.address = "other:9190"
        #expect(
            code(ControllerAdmission.judge(elsewhere, nil, placed, cluster)) == .brokerNotAvailable
        )
    }

    @Test func `a number is taken over elsewhere only after its owner was asked`() {
        let settled = metadata(
            .placeController(placement(20)),
            .controllersChanged(ControllerMembers(voters: [node(1), node(2), node(3)]))
        )
        // At the same address there is only one, and it is another directory.
        #expect(
            ControllerAdmission.judge(request, found(2, 21), settled, cluster)
                == .place(placement(21))
        )
        var elsewhere = request
        elsewhere.address = "other:9190"
        let verdict = ControllerAdmission.judge(elsewhere, found(2, 21), settled, cluster)
        guard case .ask(let former, then: let placement) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(former.node == node(2) && former.address == "c2:9190")
        #expect(placement.address == "other:9190" && placement.directoryID == directory(21))
        // It has only moved, with its data.
        #expect(
            ControllerAdmission.judge(elsewhere, found(2, 20, node: node(2)), settled, cluster)
                == .place(
                    ControllerPlacement(
                        id: 2,
                        node: node(2),
                        directoryID: directory(20),
                        address: "other:9190"
                    )
                )
        )
    }
}
