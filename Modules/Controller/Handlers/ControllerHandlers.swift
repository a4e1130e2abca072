import InterBroker
import InterBrokerProtocol
import Metadata
import Model

/// Says which cluster this controller belongs to and who leads it.
struct ControllerDiscoverHandler: InterBrokerRequestHandler {
    let id: ControllerID
    let controllers: [InterBrokerTarget]
    let store: MetadataStore

    func handle(
        _ request: ControllerDiscoverRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> ControllerDiscoverResponse {
        let leadership = store.leadership
        // A leader that is not confirmed yet cannot answer; who asks tries again in a moment.
        let leader = leadership.leader == id && !leadership.isConfirmed ? nil : leadership.leader
        let cluster = store.clusterID
        return ControllerDiscoverResponse(
            controllerID: id,
            clusterID: cluster,
            leaderID: leader,
            leaderAddress: controllers.first { $0.id == leader?.rawValue }?.address,
            epoch: leadership.epoch,
            members: Dictionary(
                controllers.map { ("\($0.id)", $0.address) },
                uniquingKeysWith: { first, _ in first }
            ),
            joined: cluster == nil ? nil : store.metadata.controllers
        )
    }
}

/// Says whether this controller leads its cluster.
struct ControllerVerifyHandler: InterBrokerRequestHandler {
    let id: ControllerID
    let store: MetadataStore

    func handle(
        _ request: ControllerVerifyRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> ControllerVerifyResponse {
        let leadership = store.leadership
        return ControllerVerifyResponse(
            controllerID: id,
            clusterID: store.clusterID,
            isLeader: leadership.isConfirmed,
            epoch: leadership.epoch
        )
    }
}
