public import InterBroker
public import InterBrokerProtocol

/// Says which cluster a broker belongs to and where it believes the controllers to be.
public struct ControllerDiscoverHandler: InterBrokerRequestHandler {
    private let state: BrokerStateFile
    private let controllers: [InterBrokerTarget]

    /// Makes a handler that answers from what this broker was told.
    public init(state: BrokerStateFile, controllers: [InterBrokerTarget]) {
        self.state = state
        self.controllers = controllers
    }

    /// Answers; a broker does not know for certain who leads, so it names no leader.
    public func handle(
        _ request: ControllerDiscoverRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> ControllerDiscoverResponse {
        ControllerDiscoverResponse(
            clusterID: state.clusterID,
            epoch: state.controllerEpoch,
            members: Dictionary(
                (state.controllers + controllers).map { ("\($0.id)", $0.address) },
                uniquingKeysWith: { first, _ in first }
            )
        )
    }
}
