public import InterBrokerProtocol
public import Model

/// How a role talks to other daemons; a test hands in another one.
///
/// - Invariant: stateless: no connection, pool or cache lives between two calls.
public protocol InterBrokerCommunicator: Sendable {
    /// Sends one request and gives its answer.
    func send<Request: InterBrokerRequest>(
        _ request: Request,
        to target: InterBrokerTarget,
        requestID: RequestID?
    ) async throws(InterBrokerError) -> Request.Response

    /// Sends several requests of one type over one connection; one result per request, in order.
    func send<Request: InterBrokerRequest>(
        batch requests: [Request],
        to target: InterBrokerTarget,
        requestIDs: [RequestID]?
    ) async -> [Result<Request.Response, InterBrokerError>]
}

extension InterBrokerCommunicator {
    /// Sends one request under a new request id.
    public func send<Request: InterBrokerRequest>(
        _ request: Request,
        to target: InterBrokerTarget
    ) async throws(InterBrokerError) -> Request.Response {
        try await send(request, to: target, requestID: nil)
    }

    /// Sends several requests under new request ids.
    public func send<Request: InterBrokerRequest>(
        batch requests: [Request],
        to target: InterBrokerTarget
    ) async -> [Result<Request.Response, InterBrokerError>] {
        await send(batch: requests, to: target, requestIDs: nil)
    }
}

/// The communicator of the daemons: nothing but a caller and its settings over the functions.
public struct SimpleBrokerCommunicator: InterBrokerCommunicator {
    /// Who calls.
    public var caller: InterBrokerCaller
    /// How calls are made.
    public var options: CallOptions

    /// Makes a communicator; a controller makes a new one for each epoch in which it leads.
    public init(caller: InterBrokerCaller, options: CallOptions = CallOptions()) {
        self.caller = caller
        self.options = options
    }

    /// Sends one request on a connection of its own.
    public func send<Request: InterBrokerRequest>(
        _ request: Request,
        to target: InterBrokerTarget,
        requestID: RequestID?
    ) async throws(InterBrokerError) -> Request.Response {
        try await callBroker(
            request,
            target,
            from: caller,
            requestID: requestID,
            options: options
        )
    }

    /// Sends several requests on one connection.
    public func send<Request: InterBrokerRequest>(
        batch requests: [Request],
        to target: InterBrokerTarget,
        requestIDs: [RequestID]?
    ) async -> [Result<Request.Response, InterBrokerError>] {
        await callBroker(
            batch: requests,
            target,
            from: caller,
            requestIDs: requestIDs,
            options: options
        )
    }
}
