import InterBroker
import InterBrokerProtocol

/// Creates topics.
struct CreateTopicsHandler: InterBrokerRequestHandler {
    let controller: ClusterController

    func handle(
        _ request: CreateTopicsRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> CreateTopicsResponse {
        try await controller.createTopics(request)
    }
}

/// Deletes topics.
struct DeleteTopicsHandler: InterBrokerRequestHandler {
    let controller: ClusterController

    func handle(
        _ request: DeleteTopicsRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> DeleteTopicsResponse {
        try await controller.deleteTopics(request)
    }
}

/// Adds partitions to topics.
struct CreatePartitionsHandler: InterBrokerRequestHandler {
    let controller: ClusterController

    func handle(
        _ request: CreatePartitionsRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> CreatePartitionsResponse {
        try await controller.createPartitions(request)
    }
}

/// Changes what is configured for topics.
struct AlterConfigsHandler: InterBrokerRequestHandler {
    let controller: ClusterController

    func handle(
        _ request: AlterConfigsRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> AlterConfigsResponse {
        try await controller.alterConfigs(request)
    }
}

/// Moves replicas of partitions.
struct ReassignPartitionsHandler: InterBrokerRequestHandler {
    let controller: ClusterController

    func handle(
        _ request: ReassignPartitionsRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> ReassignPartitionsResponse {
        try await controller.reassignPartitions(request)
    }
}
