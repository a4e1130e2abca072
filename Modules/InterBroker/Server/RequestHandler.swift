import InterBrokerProtocol
import NIOCore

/// One connection of a listener: cuts it into requests and answers them one after the other.
///
/// - Thread: the connection's event loop; checks and handlers run in a task of their own, which
///   the connection owns.
/// - Invariant: at most one task runs; answers leave in the order of the requests. After `close`
///   nothing is read, queued or answered any more.
final class RequestHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let shared: ListenerShared
    private let peer: String
    private var decoder: RequestFrameDecoder
    private var waiting = CircularBuffer<RequestFrame>()
    private var running: Task<Void, Never>?
    private var timer: Scheduled<Void>?
    private var isTimingHalfRequest = false
    private var isReadWithheld = false
    private var isClosing = false
    private var countedBytes = 0
    private var context: ChannelHandlerContext?

    init(shared: ListenerShared, peer: String) {
        self.shared = shared
        self.peer = peer
        self.decoder = RequestFrameDecoder(limit: shared.options.frameBytesMax)
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        updateTimer()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        tearDown()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        if !isClosing, decoder.pendingBytes > 0 {
            refuse(.halfRequest, "connection ended within a request")
        }
        tearDown()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        close()
    }

    func read(context: ChannelHandlerContext) {
        if waiting.count >= shared.options.waitingRequestsMax {
            isReadWithheld = true
        } else {
            context.read()
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        decoder.append(unwrapInboundIn(data))
        do {
            while let frame = try decoder.next() { waiting.append(frame) }
        } catch {
            refuse(.badFrame, error.description)
            // What came whole before is not answered: this peer does not speak our language.
            waiting.removeAll()
            write(.refuse(Refusal(error.description), "bad_request"))
            return close()
        }
        guard count() else {
            refuse(.memory, "requests hold too much memory")
            return close()
        }
        startNext()
        updateTimer()
    }

    /// Takes the next request, if none is being handled.
    private func startNext() {
        guard running == nil, !isClosing, let frame = waiting.popFirst() else { return }
        if isReadWithheld {
            isReadWithheld = false
            context?.read()
        }
        guard let eventLoop = context?.eventLoop else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let shared = shared
        let peer = peer
        InterBrokerLogLines.handling(frame.type, from: peer, shared.logger)
        running = Task {
            let reply = await Reply(to: frame, from: peer, shared)
            eventLoop.execute { bound.value.finish(reply) }
        }
    }

    private func finish(_ reply: Reply) {
        running = nil
        // Counted even if the peer has not waited for the answer.
        if let refusal = reply.refusal { shared.refusals.record(refusal, from: peer) }
        guard !isClosing, context != nil else { return }
        _ = count()
        switch reply.next {
        case .close:
            write(reply.outcome)
            close()
        case .continue:
            write(reply.outcome)
            startNext()
            updateTimer()
        case .stream(let acceptor, let hello, let header):
            guard waiting.isEmpty, decoder.pendingBytes == 0 else {
                refuse(.badFrame, "bytes behind a RaftStream request")
                return close()
            }
            write(reply.outcome)
            handOver(to: acceptor, hello, header)
        }
    }

    private func handOver(
        to acceptor: any RaftStreamAcceptor,
        _ hello: RaftStreamRequest,
        _ header: RequestHeader
    ) {
        guard let channel = context?.channel else { return }
        tearDown()
        let bound = NIOLoopBound(self, eventLoop: channel.eventLoop)
        channel.pipeline.syncOperations.removeHandler(self).assumeIsolated().whenComplete { _ in
            // A read that was withheld must not be lost with the handler that withheld it.
            if bound.value.isReadWithheld { channel.read() }
            acceptor.accept(channel, hello, from: header)
        }
    }

    private func write(_ outcome: RequestConfig.Outcome) {
        var buffer = ByteBuffer()
        do {
            try writeResponseFrame(outcome.json, to: &buffer)
            context?.writeAndFlush(wrapOutboundOut(buffer), promise: nil)
        } catch {
            close()
        }
    }

    private func refuse(_ reason: PeerRefusal.Reason, _ text: String) {
        shared.refusals.record(PeerRefusal(reason, text), from: peer)
    }

    private func close() {
        tearDown()
        context?.close(promise: nil)
    }

    private func tearDown() {
        isClosing = true
        timer?.cancel()
        timer = nil
        running?.cancel()
        running = nil
        waiting.removeAll()
        _ = shared.countBuffered(-countedBytes)
        countedBytes = 0
    }

    /// Tells the listener how much this connection holds; false if all hold too much.
    private func count() -> Bool {
        let bytes = waiting.reduce(decoder.pendingBytes) { $0 + $1.body.readableBytes }
        defer { countedBytes = bytes }
        return shared.countBuffered(bytes - countedBytes)
    }
}

// MARK: Time limits

extension RequestHandler {
    /// Limits how long the rest of a request may take, or else how long none may come.
    ///
    /// The limit of a half-sent request runs from its first byte: more bytes do not prolong it.
    private func updateTimer() {
        let isBusy = running != nil || !waiting.isEmpty
        let isHalf = decoder.pendingBytes > 0
        if isBusy || isClosing {
            timer?.cancel()
            timer = nil
        } else if timer == nil || isTimingHalfRequest != isHalf {
            timer?.cancel()
            isTimingHalfRequest = isHalf
            let options = shared.options
            schedule(isHalf ? options.requestTimeout : options.idleTimeout)
        }
    }

    private func schedule(_ time: Duration) {
        guard let eventLoop = context?.eventLoop else { return }
        timer = eventLoop.assumeIsolated().scheduleTask(in: TimeAmount(time)) {
            self.expire()
        }
    }

    private func expire() {
        timer = nil
        if isTimingHalfRequest {
            refuse(.halfRequest, "half a request and no more of it in time")
        }
        close()
    }
}
