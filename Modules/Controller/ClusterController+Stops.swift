import InterBroker
public import InterBrokerProtocol
import Metadata
import Model
import Raft

// Daemons that want to stop: one after another, as far as quorums need them.
extension ClusterController {
    /// Says to a broker or controller whether it may stop now.
    ///
    /// Also called by this daemon itself, when it is the one that is to stop.
    public func controlledShutdown(
        _ request: ControlledShutdownRequest,
        of sender: SenderRole,
        _ id: Int32
    ) async throws(Refusal) -> ControlledShutdownResponse {
        let verdict =
            switch sender {
            case .broker: try brokerWantsToStop(id, request.isHindered)
            case .controller: try await controllerWantsToStop(id, request.isHindered)
            }
        switch verdict {
        case .granted: return ControlledShutdownResponse(verdict: .granted)
        case .everybodyStops: return ControlledShutdownResponse(verdict: .everybodyStops)
        case .settling:
            return ControlledShutdownResponse(
                verdict: .wait,
                reason: """
                    controller \(configuration.id) leads only since a moment ago, and may not have \
                    heard yet of others that stop
                    """
            )
        case .wait(let groups, let missed):
            let reason = Self.reason(sender, groups, missed)
            return ControlledShutdownResponse(verdict: .wait, reason: reason)
        }
    }

    private func brokerWantsToStop(
        _ id: Int32,
        _ isHindered: Bool
    ) throws(Refusal) -> StopQueue.Verdict {
        _ = try requireReign()
        let metadata = store.metadata
        guard metadata.broker(BrokerID(id)) != nil else { throw Self.notRegistered }
        let groups = metadata.partitions(on: BrokerID(id)).map { hosted in
            let adding = hosted.info.adding.map(\.node)
            let voters = hosted.info.replicas.map(\.node).filter { !adding.contains($0) }
            return StopQueue.Group(
                name: "\(hosted.topic)-\(hosted.info.partition)",
                members: ConfState(voters: voters)
            )
        }
        let verdict = reign?.brokerStops.ask(
            id,
            isHindered: isHindered,
            groups: groups,
            now: clock.now
        ) { other in
            let broker = metadata.broker(BrokerID(other))
            return broker.flatMap { $0.isOnline ? $0.session : nil }
        }
        return verdict ?? .settling
    }

    private func controllerWantsToStop(
        _ id: Int32,
        _ isHindered: Bool
    ) async throws(Refusal) -> StopQueue.Verdict {
        _ = try requireReign()
        guard let view = await proposer.quorum() else { throw notLeading() }
        let group = StopQueue.Group(name: "metadata", members: view.members)
        let verdict = reign?.controllerStops.ask(
            id,
            isHindered: isHindered,
            groups: [group],
            now: clock.now
        ) { other in
            let peer = view.peers.first { $0.node.owner == other && view.isActive($0.node) }
            return peer.map { $0.session ?? StopQueue.unknownRun }
        }
        return verdict ?? .settling
    }

    private static func reason(_ role: SenderRole, _ groups: [String], _ missed: [Int32]) -> String
    {
        guard !groups.isEmpty else { return "" }
        let others = missed.map { "\($0)" }.joined(separator: ", ")
        switch role {
        case .controller:
            return "without this one the controllers would lose their quorum while \(others) stops"
        case .broker:
            let shown = groups.prefix(3) + (groups.count > 3 ? ["..."] : [])
            let count = groups.count == 1 ? "1 partition" : "\(groups.count) partitions"
            return """
                without this broker \(count) would lose the quorum while broker \(others) stops: \
                \(shown.joined(separator: ", "))
                """
        }
    }
}
