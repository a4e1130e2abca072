public import InterBrokerProtocol
public import Model
import NIOCore

/// Sends one request on a connection of its own and gives the answer.
///
/// Connect, send, receive, close: nothing is kept for a later call and nothing is tried twice.
///
/// - Parameter requestID: the id of a request that is sent again; a new one if nil.
/// - Throws: `refused` if the peer said no; any other error if it said nothing.
public func callBroker<Request: InterBrokerRequest>(
    _ request: Request,
    _ target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> Request.Response {
    let results = await callBroker(
        batch: [request],
        target,
        from: caller,
        requestIDs: requestID.map { [$0] },
        options: options
    )
    guard let result = results.first else {
        preconditionFailure("one request gave \(results.count) results")
    }
    return try result.get()
}

/// Sends several requests of one type on one connection; they are answered in order.
///
/// Gives one result per request, in the order of the requests. Those after a failure of the
/// connection fail with it; a request that is refused does not keep the others from their answers.
///
/// - Parameter requestIDs: one id per request, for requests that are sent again; new ones if nil.
public func callBroker<Request: InterBrokerRequest>(
    batch requests: [Request],
    _ target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestIDs: [RequestID]? = nil,
    options: CallOptions = CallOptions()
) async -> [Result<Request.Response, InterBrokerError>] {
    precondition(
        requestIDs == nil || requestIDs?.count == requests.count,
        "\(requests.count) requests, \(requestIDs?.count ?? 0) ids"
    )
    guard !requests.isEmpty else { return [] }
    let clock = ContinuousClock()
    let start = clock.now
    for request in requests { logSending(request, to: target.address, options) }
    let ids = requestIDs ?? requests.map { _ in newRequestID() }
    var frames: [Result<ByteBuffer, InterBrokerError>] = []
    for (request, id) in zip(requests, ids) {
        frames.append(frame(request, caller.header(target: target.id, requestID: id)))
    }
    let results = await exchange(frames, Request.self, target.address, options)
    let metrics = CallMetrics(factory: options.metrics, side: "client")
    for result in results {
        var label = "ok"
        if case .failure(let error) = result {
            label = error.result
            InterBrokerLogLines.callFailed(
                Request.type,
                to: target.address,
                error,
                options.logger
            )
        }
        metrics.record(Request.type, result: label, duration: clock.now - start)
    }
    return results
}

private func logSending(
    _ request: some InterBrokerRequest,
    to address: String,
    _ options: CallOptions
) {
    switch request {
    case let request as StartPartitionRaftGroupRequest:
        InterBrokerLogLines.sending(request, to: address, options.logger)
    case let request as StopPartitionRaftGroupRequest:
        InterBrokerLogLines.sending(request, to: address, options.logger)
    default: break
    }
}

func newRequestID() -> RequestID {
    var generator = SystemRandomNumberGenerator()
    return RequestID(using: &generator)
}

func frame<Request: InterBrokerRequest>(
    _ request: Request,
    _ header: RequestHeader
) -> Result<ByteBuffer, InterBrokerError> {
    if let refusal = request.validate() { return .failure(.badRequest(refusal.description)) }
    do {
        let body = try InterBrokerJSON.encode(RequestEnvelope(header: header, body: request))
        var buffer = ByteBuffer()
        buffer.reserveCapacity(body.readableBytes + InterBrokerLimits.requestHeaderBytes)
        try RequestFrame(type: Request.type, body: body).write(to: &buffer)
        return .success(buffer)
    } catch {
        return .failure(.badRequest("\(error)"))
    }
}

/// Connects, sends every good frame at once, and takes the answers in order.
private func exchange<Request: InterBrokerRequest>(
    _ frames: [Result<ByteBuffer, InterBrokerError>],
    _ type: Request.Type,
    _ address: String,
    _ options: CallOptions
) async -> [Result<Request.Response, InterBrokerError>] {
    let connection: BrokerConnection
    let deadline = NIODeadline.now() + TimeAmount(options.deadline)
    do {
        connection = try await connectToSpecificBroker(
            address,
            timeout: min(options.connectTimeout, options.deadline),
            on: options.group
        )
    } catch {
        return frames.map { _ in .failure(error) }
    }
    InterBrokerLogLines.connected(to: address, for: type.type, options.logger)
    connection.expire(at: deadline)
    defer { connection.close() }
    return await withTaskCancellationHandler {
        let answers = frames.map { frame in frame.map { connection.send($0) } }
        var results: [Result<Request.Response, InterBrokerError>] = []
        for answer in answers {
            switch answer {
            case .success(let future):
                results.append(await response(future, type, address))
            case .failure(let error): results.append(.failure(error))
            }
        }
        return results
    } onCancel: {
        connection.close()
    }
}

func response<Request: InterBrokerRequest>(
    _ future: EventLoopFuture<ByteBuffer>,
    _ type: Request.Type,
    _ address: String
) async -> Result<Request.Response, InterBrokerError> {
    do {
        let bytes = try await future.get()
        switch try InterBrokerJSON.decode(Answer<Request.Response>.self, from: bytes) {
        case .success(let response): return .success(response)
        case .refused(let refusal): return .failure(.refused(refusal))
        }
    } catch let error as InterBrokerError {
        return .failure(error)
    } catch {
        return .failure(.badAnswer(address: address, reason: "\(error)"))
    }
}
