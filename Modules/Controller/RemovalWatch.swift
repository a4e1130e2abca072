public import InterBroker
import InterBrokerProtocol
public import Logging
import Metadata
public import Model
import Raft

/// Notices that this controller is no member any more.
///
/// The leader tells one that has gone nothing any more, perhaps not even that it has gone; and it
/// may have been away. So a controller asks the others when it hears of no leader for a while, or
/// does not stand among the members that it knows. That alone says nothing: one that joins learns
/// of its own place last.
public struct RemovalWatch: Sendable {
    private let id: ControllerID
    private let store: MetadataStore
    private let communicator: any InterBrokerCommunicator
    private let clock: any ControllerClock
    private let logger: Logger

    /// The time between two looks; 1 s.
    static let interval = Duration.seconds(1)
    /// So many looks without a leader or a place, and the others are asked.
    static let patience = 3

    /// Describes whose membership is watched.
    public init(
        id: ControllerID,
        store: MetadataStore,
        communicator: any InterBrokerCommunicator,
        clock: any ControllerClock,
        logger: Logger
    ) {
        self.id = id
        self.store = store
        self.communicator = communicator
        self.clock = clock
        self.logger = logger
    }

    /// Returns when this controller was removed.
    ///
    /// - Throws: `CancellationError` if it must stop.
    public func run() async throws {
        var looks = 0
        while true {
            try await clock.sleep(for: Self.interval)
            guard let node = store.node else { continue }
            if Self.isGone(node, store.metadata) { break }
            let isAlone = store.leadership.leader == nil || !store.members.holds(node)
            looks = isAlone ? looks + 1 : 0
            if looks >= Self.patience, await wasRemoved(node) { break }
        }
        LogLines.removedHere(id, logger)
    }

    private func wasRemoved(_ node: NodeID) async -> Bool {
        for target in store.controllers where target.id != id.rawValue {
            let answer = try? await communicator.send(ControllerDiscoverRequest(), to: target)
            if let answer, Self.isGone(node, answer, store.clusterID) { return true }
        }
        return false
    }

    /// Whether the metadata had given this replica its place, and do not hold it any more.
    ///
    /// They are committed, so that it does not matter how old they are.
    static func isGone(_ node: NodeID, _ metadata: ClusterMetadata) -> Bool {
        let known = metadata.controllerIncarnations.first { $0.id.rawValue == node.owner }
        return known.map { $0.last >= node.incarnation } == true
            && !metadata.controllerReplicas.contains { $0.node == node }
    }

    /// The same, as another controller of the same cluster tells it.
    static func isGone(
        _ node: NodeID,
        _ answer: ControllerDiscoverResponse,
        _ cluster: ClusterID?
    ) -> Bool {
        guard answer.clusterID == cluster, !answer.replicas.isEmpty,
            let last = answer.incarnations["\(node.owner)"]
        else { return false }
        return last >= node.incarnation && !answer.replicas.contains { $0.node == node }
    }
}

extension ConfState {
    fileprivate func holds(_ node: NodeID) -> Bool {
        [voters, votersOutgoing, learners].contains { $0.contains(node) }
    }
}
