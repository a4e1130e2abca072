import InterBroker
import InterBrokerProtocol
import Model

/// Takes a broker into the cluster.
struct RegisterBrokerHandler: InterBrokerRequestHandler {
    let controller: ClusterController

    func handle(
        _ request: RegisterBrokerRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> RegisterBrokerResponse {
        guard Address(request.peerAddress) != nil else { throw .invalidField("peer_address") }
        guard !request.clientHost.isEmpty else { throw .invalidField("client_host") }
        return try await controller.register(request, of: BrokerID(context.header.senderID))
    }
}

/// Notes that a broker lives.
struct BrokerHeartbeatHandler: InterBrokerRequestHandler {
    let controller: ClusterController

    func handle(
        _ request: BrokerHeartbeatRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> BrokerHeartbeatResponse {
        try await controller.heartbeat(request, of: BrokerID(context.header.senderID))
    }
}

/// Takes the news about partitions that a broker leads.
struct ReportLeadersHandler: InterBrokerRequestHandler {
    let controller: ClusterController

    func handle(
        _ request: ReportLeadersRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> ReportLeadersResponse {
        try await controller.reportLeaders(request, of: BrokerID(context.header.senderID))
    }
}

/// Gives a block of producer ids to a broker.
struct AllocateProducerIDsHandler: InterBrokerRequestHandler {
    let controller: ClusterController

    func handle(
        _ request: AllocateProducerIDsRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> AllocateProducerIDsResponse {
        try await controller.allocateProducerIDs(request)
    }
}
