import InterBroker
import InterBrokerProtocol
import Metadata
import Model

/// Says which cluster this controller belongs to and who leads it.
struct ControllerDiscoverHandler: InterBrokerRequestHandler {
    let id: ControllerID
    let directoryID: DirectoryID
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
            leaderAddress: leader.flatMap { store.address(of: $0) },
            epoch: leadership.epoch,
            members: Dictionary(
                store.controllers.map { ("\($0.id)", $0.address) },
                uniquingKeysWith: { first, _ in first }
            ),
            joined: cluster == nil ? nil : store.metadata.controllers,
            directoryID: directoryID,
            nodeID: store.node,
            replicas: cluster == nil ? [] : store.places,
            incarnations: Dictionary(
                store.metadata.controllerIncarnations.map { ("\($0.id)", $0.last) },
                uniquingKeysWith: { first, _ in first }
            )
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

/// Lets a controller belong to the controllers.
struct AddControllerHandler: InterBrokerRequestHandler {
    let controller: ClusterController

    func handle(
        _ request: AddControllerRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> ControllerChangeResponse {
        try await controller.addController(request)
    }
}

/// Lets a controller go.
struct RemoveControllerHandler: InterBrokerRequestHandler {
    let controller: ClusterController

    func handle(
        _ request: RemoveControllerRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> ControllerChangeResponse {
        try await controller.removeController(request)
    }
}

/// Says who the controllers are and how far each of them is.
struct DescribeControllersHandler: InterBrokerRequestHandler {
    let controller: ClusterController

    func handle(
        _ request: DescribeControllersRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> DescribeControllersResponse {
        try await controller.describeControllers()
    }
}

/// Says whether a daemon may stop.
struct ControlledShutdownHandler: InterBrokerRequestHandler {
    let controller: ClusterController

    func handle(
        _ request: ControlledShutdownRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> ControlledShutdownResponse {
        let header = context.header
        return try await controller.controlledShutdown(
            request,
            of: header.senderRole,
            header.senderID
        )
    }
}
