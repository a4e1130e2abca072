import InterBrokerProtocol
import NIOCore

/// Gives each answer of a connection to the request that was sent first and is not answered yet.
///
/// - Thread: the connection's event loop.
/// - Invariant: once `failure` is set, no promise waits.
final class AnswerHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let address: String
    private var decoder = ResponseFrameDecoder()
    private var waiting = CircularBuffer<EventLoopPromise<ByteBuffer>>()
    private var failure: InterBrokerError?
    private var deadline: Scheduled<Void>?

    init(address: String) {
        self.address = address
    }

    /// Sends a request; the promise gets its answer's JSON.
    func send(
        _ frame: ByteBuffer,
        _ promise: EventLoopPromise<ByteBuffer>,
        channel: any Channel
    ) {
        if let failure { return promise.fail(failure) }
        waiting.append(promise)
        channel.writeAndFlush(frame, promise: nil)
    }

    /// Ends the connection and fails what waits when the time has come.
    func expire(at time: NIODeadline, channel: any Channel) {
        let bound = NIOLoopBound(self, eventLoop: channel.eventLoop)
        let address = address
        deadline = channel.eventLoop.assumeIsolated().scheduleTask(deadline: time) {
            bound.value.fail(.deadlineExceeded(address: address))
            channel.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard failure == nil else { return }
        decoder.append(unwrapInboundIn(data))
        do {
            while let answer = try decoder.next() {
                guard let promise = waiting.popFirst() else {
                    throw UnexpectedAnswer()
                }
                promise.succeed(answer)
            }
        } catch {
            fail(.badAnswer(address: address, reason: "\(error)"))
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.connectionClosed(address: address))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(.connectionClosed(address: address))
        context.close(promise: nil)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        fail(.connectionClosed(address: address))
    }

    private func fail(_ error: InterBrokerError) {
        deadline?.cancel()
        guard failure == nil else { return }
        failure = error
        while let promise = waiting.popFirst() { promise.fail(error) }
    }
}

private struct UnexpectedAnswer: Error, CustomStringConvertible {
    var description: String { "an answer that nobody asked for" }
}
