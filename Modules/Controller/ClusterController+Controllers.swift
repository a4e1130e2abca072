import InterBroker
import InterBrokerProtocol
import Metadata
import Model
import Raft

// The controllers themselves: who belongs to them, who is to come and who is to go.
extension ClusterController {
    /// What a leader remembers of a change of the controllers that is under way.
    struct QuorumWatch {
        /// Whether a look at the group is under way.
        var isLooking = false
        /// The end of the log a while ago, and when that was.
        var mark: (index: LogIndex, at: Duration)?
        /// The members at the last look, and since when they are so.
        var members: (state: ConfState, since: Duration)?
        /// When leadership was handed over last.
        var transferred: Duration?
        /// What the log was told last.
        var logged: QuorumStep?
    }

    /// How old the mark may be that a replica must have reached: a second.
    private static let markAge = Duration.seconds(1)
    /// Until every replica has heard of new members; one that has not could not take over.
    private static let newsTime = Duration.milliseconds(300)
    /// Between two attempts to hand over leadership: a second.
    private static let transferPause = Duration.seconds(1)
    /// How long a controller that is asked who it is may take: 2 s.
    private static let questionMax = Duration.seconds(2)

    /// Looks at the controllers' group while something about it is not recorded or not done.
    func watchControllers() {
        let metadata = store.metadata
        let replicas = metadata.controllerReplicas
        let isDue =
            replicas.isEmpty
            || replicas.contains {
                $0.state != .voting || !metadata.controllers.contains($0.id)
            }
        guard isDue, reign?.quorum.isLooking == false else { return }
        reign?.quorum.isLooking = true
        own { controller in
            await controller.lookAtControllers()
            await controller.looked()
        }
    }

    private func looked() { reign?.quorum.isLooking = false }

    private func lookAtControllers() async {
        guard let view = await proposer.quorum() else { return }
        guard !store.metadata.controllerReplicas.isEmpty else { return await recordFounders(view) }
        let recorded = store.metadata.controllers
        for peer in view.peers where peer.match > 0 {
            // So that one that loses its disk is recognised.
            let id = ControllerID(peer.node.owner)
            if !recorded.contains(id) { await commit(.controllerJoined(id)) }
        }
        guard let mark = mark(view) else { return }
        let replicas = store.metadata.controllerReplicas
        guard let step = QuorumStep.next(for: replicas, in: view, mark: mark) else { return }
        if reign?.quorum.logged != step { LogLines.controllerStep(step, logger) }
        reign?.quorum.logged = step
        switch step {
        case .wait: break
        case .record(let members): await commit(.controllersChanged(members))
        case .change(let changes): await proposer.changeMembers(changes)
        case .transfer(let node): await transfer(to: node)
        }
    }

    private func recordFounders(_ view: QuorumView) async {
        let founders = view.members.voters.compactMap { node in
            store.address(of: ControllerID(node.owner)).map {
                ControllerReplica(node: node, directoryID: nil, address: $0, state: .voting)
            }
        }
        guard founders.count == view.members.voters.count else { return }
        await commit(.controllersFounded(founders))
    }

    /// Notes where the log ends and who the members are; nil if the reign is over.
    private func mark(_ view: QuorumView) -> LogIndex? {
        guard var watch = reign?.quorum else { return nil }
        let now = clock.now
        let isOld = watch.mark.map { now - $0.at >= Self.markAge } ?? true
        let mark = isOld ? (index: view.lastIndex, at: now) : watch.mark
        watch.mark = mark
        if watch.members?.state != view.members { watch.members = (view.members, now) }
        reign?.quorum = watch
        return mark?.index
    }

    private func transfer(to node: NodeID) async {
        guard let watch = reign?.quorum, let members = watch.members else { return }
        let now = clock.now
        guard now - members.since >= Self.newsTime,
            watch.transferred.map({ now - $0 >= Self.transferPause }) ?? true
        else { return }
        reign?.quorum.transferred = now
        await proposer.transferLeadership(to: node)
    }

    // MARK: Requests

    /// Gives a controller a place, or finds that it has one, and may wait until it votes.
    func addController(
        _ request: AddControllerRequest
    ) async throws(Refusal) -> ControllerChangeResponse {
        let reign = try requireReign()
        do throws(ControllerFailure) {
            try await admit(request, reign)
        } catch {
            return ControllerChangeResponse(
                errorCode: error.code.rawValue,
                message: error.message
            )
        }
        return try await finish(request.timeoutMs) { metadata in
            let replicas = metadata.controllerReplicas(of: request.id)
            return replicas.allSatisfy { $0.state == .voting }
        }
    }

    private func admit(
        _ request: AddControllerRequest,
        _ reign: Reign
    ) async throws(ControllerFailure) {
        try requireFounders()
        let found = await ask(request.id, at: request.address, reign)
        switch ControllerAdmission.judge(request, found, store.metadata, store.clusterID) {
        case .isPlaced: return
        case .refuse(let failure): throw failure
        case .place(let placement): try await commitChange(.placeController(placement))
        case .ask(let former, then: let placement):
            let answer = await ask(former.id, at: former.address, reign)
            guard answer?.nodeID != former.node else { throw ControllerAdmission.isAlive(former) }
            try await commitChange(.placeController(placement))
        }
    }

    /// Asks who answers at an address; nil if nobody does.
    private func ask(
        _ id: ControllerID,
        at address: String,
        _ reign: Reign
    ) async -> ControllerDiscoverResponse? {
        let target = InterBrokerTarget(id: id.rawValue, address: address)
        return try? await communicator(reign, limit: Self.questionMax).send(
            ControllerDiscoverRequest(),
            to: target
        )
    }

    /// Lets a controller go, or finds that it is gone, and may wait until it is.
    func removeController(
        _ request: RemoveControllerRequest
    ) async throws(Refusal) -> ControllerChangeResponse {
        _ = try requireReign()
        do throws(ControllerFailure) {
            try await dismiss(request)
        } catch {
            return ControllerChangeResponse(
                errorCode: error.code.rawValue,
                message: error.message
            )
        }
        return try await finish(request.timeoutMs) { metadata in
            metadata.controllerReplicas(of: request.id).isEmpty
        }
    }

    private func dismiss(_ request: RemoveControllerRequest) async throws(ControllerFailure) {
        try requireFounders()
        let metadata = store.metadata
        let replicas = metadata.controllerReplicas(of: request.id)
        if replicas.isEmpty,
            metadata.controllerIncarnations.contains(where: { $0.id == request.id })
        {
            return
        }
        let isMeant = replicas.contains {
            request.directoryID == nil || request.directoryID == $0.directoryID
        }
        guard isMeant else {
            throw ControllerFailure(
                .voterNotFound,
                "there is no controller \(request.id)"
                    + (request.directoryID.map { " with data directory \($0)" } ?? "")
            )
        }
        guard replicas.contains(where: { $0.state != .leaving }) else { return }
        guard let view = await proposer.quorum() else {
            throw ControllerFailure(.requestTimedOut, "the controllers are changing their leader")
        }
        if let text = QuorumStep.refusal(
            toRemove: request.id,
            metadata.controllerReplicas,
            view
        ) {
            throw ControllerFailure(.invalidRequest, text)
        }
        try await commitChange(.removeController(request.id))
    }

    /// For a moment a new cluster does not know its controllers; whoever asks tries again.
    private func requireFounders() throws(ControllerFailure) {
        guard store.metadata.controllerReplicas.isEmpty else { return }
        throw ControllerFailure(.requestTimedOut, "the controllers are not recorded yet")
    }

    private func commitChange(_ command: MetadataCommand) async throws(ControllerFailure) {
        let effects: [Effect]
        do {
            effects = try await proposer.propose(command)
        } catch {
            throw ControllerFailure(.requestTimedOut, "\(error)")
        }
        for case .refused(let reason) in effects {
            throw ControllerFailure(.invalidRequest, reason.description)
        }
    }

    /// Waits until something is so, but no longer than the sender does.
    private func finish(
        _ timeoutMs: Int32,
        _ isDone: @escaping (ClusterMetadata) -> Bool
    ) async throws(Refusal) -> ControllerChangeResponse {
        let limit = min(.milliseconds(max(0, timeoutMs)), configuration.topicWaitMax)
        let isFinished = await wait(until: clock.now + limit) { metadata, _ in isDone(metadata) }
        // A leader that has to go is none any more before the end: its successor is to be asked.
        if !isFinished { _ = try requireReign() }
        return ControllerChangeResponse(errorCode: 0, isFinished: isFinished)
    }

    /// Who the controllers are, and how far each of them is.
    func describeControllers() async throws(Refusal) -> DescribeControllersResponse {
        let reign = try requireReign()
        guard let view = await proposer.quorum() else { throw notLeading() }
        let voters = view.members.voters + view.members.votersOutgoing
        return DescribeControllersResponse(
            leaderID: configuration.id,
            epoch: reign.epoch,
            committed: view.committed,
            unixMilliseconds: clock.unixMilliseconds,
            controllers: store.metadata.controllerReplicas.map { replica in
                ControllerDescription(
                    node: replica.node,
                    directoryID: replica.directoryID,
                    address: replica.address,
                    // What is not recorded may still be undone.
                    isVoter: replica.state != .joining && voters.contains(replica.node),
                    isActive: view.isActive(replica.node),
                    match: view.peer(replica.node)?.match ?? 0
                )
            }
        )
    }
}
