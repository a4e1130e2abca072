import Controller
import Daemon
import InterBroker
import InterBrokerProtocol
import Model
import NIOCore
import Raft
import RaftHost
import RaftLog
import RaftTransport
import ServiceLifecycle
import Settings
import Synchronization

// As what this controller belongs to a cluster: a founder, one that was added, or one that is gone.
extension ControllerDaemon {
    /// Bootstraps or joins a cluster unless this directory belongs to one already.
    ///
    /// A controller that only a command can help is ready nevertheless: ``work()`` goes on asking.
    func joinCluster() async throws {
        guard try !recovered().isRecovered else { return }
        try await begin(try await bootstrap(waitsForPlace: false))
    }

    private func bootstrap(waitsForPlace: Bool) async throws -> ControllerStart {
        let parts = try recovered()
        var random = SystemRandomNumberGenerator()
        let bootstrap = ControllerBootstrap(
            own: InterBrokerTarget(
                id: settings.controllerID.rawValue,
                address: settings.advertised.peer.description
            ),
            directory: parts.directory.directoryID,
            controllers: targets,
            communicator: communicator(),
            clock: clock,
            logger: logger
        )
        do {
            return try await bootstrap.run(
                known: parts.directory.cluster,
                waitsForPlace: waitsForPlace,
                random: &random
            )
        } catch let refusal as BootstrapRefusal {
            throw DaemonFailure(status: .config, reason: refusal.description)
        }
    }

    private func begin(_ start: ControllerStart) async throws {
        switch start {
        case .notAdded: isWaiting.store(true, ordering: .relaxed)
        case .founder(let cluster):
            let members = settings.peers.controllers.map {
                GroupIdentity.Member(
                    node: NodeID(owner: $0.id.rawValue, incarnation: 1),
                    address: $0.address.description
                )
            }
            let node = NodeID(owner: settings.controllerID.rawValue, incarnation: 1)
            try await startGroup(cluster, node, members, join: false)
        case .replica(let cluster, let node, let places):
            let members = places.map {
                GroupIdentity.Member(node: $0.node, address: $0.address)
            }
            try await startGroup(cluster, node, members, join: true)
        }
    }

    private func startGroup(
        _ cluster: ClusterID,
        _ node: NodeID,
        _ members: [GroupIdentity.Member],
        join: Bool
    ) async throws {
        let parts = try recovered()
        try parts.directory.adopt(cluster)
        let identity = GroupIdentity(
            group: .metadata,
            topicID: TopicID(UniqueID(high: 0, low: 1)),
            topicName: "__cluster_metadata",
            partition: 0,
            node: node,
            members: members
        )
        store.setConfigured(configured(and: identity))
        let started = parts.manager.eventLoop.flatSubmit { () -> EventLoopFuture<Void> in
            let promise = parts.manager.eventLoop.makePromise(of: Void.self)
            parts.manager.value.startRaftGroup(
                identity,
                stateMachine: parts.machine.value,
                join: join
            ) { promise.completeWith($0.mapError { $0 as any Error }) }
            return promise.futureResult.map { self.campaignIfAlone(parts.manager.value) }
        }
        try await started.get()
        store.setNode(node)
        // Said to others only now: what they join must be on this controller's disk.
        store.setClusterID(cluster)
        isWaiting.store(false, ordering: .relaxed)
    }

    /// Where to look for controllers: as the settings say, then as this replica was told.
    func configured(and identity: GroupIdentity?) -> [InterBrokerTarget] {
        let told = identity?.members.map {
            InterBrokerTarget(id: $0.node.owner, address: $0.address)
        }
        return targets + (told ?? []).filter { !targets.contains($0) }
    }

    /// Nobody else can lead: there is no election timeout to wait for.
    func campaignIfAlone(_ manager: RaftManager) {
        guard let replica = manager.replica(.metadata),
            replica.configuration.voters == [replica.nodeID]
        else { return }
        manager.campaign(.metadata)
    }

    func work() async throws {
        let parts = try recovered()
        try await cancelWhenGracefulShutdown { [self] in
            do {
                if isWaiting.load(ordering: .relaxed) {
                    try await begin(try await bootstrap(waitsForPlace: true))
                }
            } catch is CancellationError {
                return
            }
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await parts.controller.run(self.events) }
                group.addTask { await self.watchForRemoval(parts) }
                await group.waitForAll()
            }
        }
    }

    /// Once this controller is removed, it has no streams to the others any more: another one may
    /// have taken its number.
    private func watchForRemoval(_ parts: Parts) async {
        let watch = RemovalWatch(
            id: settings.controllerID,
            store: store,
            communicator: communicator(),
            clock: clock,
            logger: logger
        )
        guard (try? await watch.run()) != nil else { return }
        isRemoved.store(true, ordering: .relaxed)
        try? await parts.transport.eventLoop.submit { parts.transport.value.shutdown() }.get()
    }

    /// Whether the controllers would lose their quorum with this one, in words; nil if not.
    ///
    /// The others are asked themselves: only a leader hears all of them, and it is about to go.
    func stopObstacle() async -> String? {
        guard let node = store.node else { return nil }
        let obstacle = await controllersAway(node)
        let answer = await mayStop(ControlledShutdownRequest(isHindered: obstacle != nil))
        let isUnsure = stopPatience.waits(isAnswered: answer != nil)
        switch answer?.verdict {
        case .everybodyStops: return nil
        case .wait where obstacle == nil: return answer?.reason
        case .wait, .granted: return obstacle
        case nil:
            guard obstacle == nil, isUnsure, store.members.voters.count > 2 else { return obstacle }
            return "no controller leader answers, and others may be about to stop"
        }
    }

    /// What the leader says to a stop; nil if none answers.
    private func mayStop(
        _ request: ControlledShutdownRequest
    ) async -> ControlledShutdownResponse? {
        let own = settings.controllerID
        guard let leader = store.leadership.leader else { return nil }
        if leader == own {
            let controller = try? recovered().controller
            return try? await controller?.controlledShutdown(request, of: .controller, own.rawValue)
        }
        guard let address = store.address(of: leader) else { return nil }
        let target = InterBrokerTarget(id: leader.rawValue, address: address)
        return try? await communicator().send(request, to: target)
    }

    private func controllersAway(_ node: NodeID) async -> String? {
        let members = store.members
        let live = await withTaskGroup(of: NodeID?.self) { group in
            for other in Set(members.voters + members.votersOutgoing) where other != node {
                group.addTask { await self.answers(other) ? other : nil }
            }
            return await group.reduce(into: Set<NodeID>()) { live, node in
                if let node { live.insert(node) }
            }
        }
        let missed = members.votersMissed(whenStopping: node) { live.contains($0) }
        guard !missed.isEmpty else { return nil }
        let away = missed.map { "\($0.owner)" }.joined(separator: ", ")
        return "without this one the controllers would lose their quorum while \(away) is away"
    }

    /// Whether a controller of this cluster answers under another one's number.
    private func answers(_ node: NodeID) async -> Bool {
        guard let address = store.address(of: ControllerID(node.owner)) else { return false }
        let target = InterBrokerTarget(id: node.owner, address: address)
        let answer = try? await communicator().send(ControllerDiscoverRequest(), to: target)
        return answer.map { $0.clusterID == store.clusterID } ?? false
    }

    /// For questions to other controllers: who they are, and what they know.
    private func communicator() -> SimpleBrokerCommunicator {
        SimpleBrokerCommunicator(
            caller: InterBrokerCaller(
                role: .controller,
                id: settings.controllerID.rawValue,
                clusterID: store.clusterID
            ),
            options: callOptions(.seconds(2))
        )
    }
}
