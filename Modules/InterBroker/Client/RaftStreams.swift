public import InterBrokerProtocol
public import NIOCore

/// Opens a stream of Raft messages to a daemon of the caller's kind.
///
/// Gives the connection after a successful answer, with all handlers of requests and answers
/// taken out, and the session of the process that answered. It lives on a loop of
/// `options.group`, and the caller closes it.
///
/// - Throws: as `callBroker`; the connection is closed then.
public func openRaftStream(
    _ target: InterBrokerTarget,
    hello: RaftStreamRequest,
    from caller: InterBrokerCaller,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> (channel: any Channel, answer: RaftStreamResponse) {
    let metrics = CallMetrics(factory: options.metrics, side: "client")
    let clock = ContinuousClock()
    let start = clock.now
    do {
        let opened = try await open(target, hello, caller, options)
        metrics.record(.raftStream, result: "ok", duration: clock.now - start)
        return opened
    } catch {
        metrics.record(.raftStream, result: error.result, duration: clock.now - start)
        InterBrokerLogLines.callFailed(.raftStream, to: target.address, error, options.logger)
        throw error
    }
}

private func open(
    _ target: InterBrokerTarget,
    _ hello: RaftStreamRequest,
    _ caller: InterBrokerCaller,
    _ options: CallOptions
) async throws(InterBrokerError) -> (channel: any Channel, answer: RaftStreamResponse) {
    let deadline = NIODeadline.now() + TimeAmount(options.deadline)
    let header = caller.header(target: target.id, requestID: newRequestID())
    let bytes = try frame(hello, header).get()
    let connection = try await connectToSpecificBroker(
        target.address,
        timeout: min(options.connectTimeout, options.deadline),
        on: options.group
    )
    InterBrokerLogLines.connected(to: target.address, for: .raftStream, options.logger)
    connection.expire(at: deadline)
    do {
        let answer = try await response(
            connection.send(bytes),
            RaftStreamRequest.self,
            target.address
        ).get()
        let channel = connection.channel
        try await channel.eventLoop.submit {
            let handlers = channel.pipeline.syncOperations
            return handlers.removeHandler(try handlers.handler(type: AnswerHandler.self))
        }.flatMap { $0 }.get()
        return (channel, answer)
    } catch let error as InterBrokerError {
        connection.close()
        throw error
    } catch {
        connection.close()
        throw .connectionClosed(address: target.address)
    }
}
