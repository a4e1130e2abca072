import KafkaProtocol
import Logging
import NIOCore

/// One client's connection: cuts frames, dispatches requests, sends answers in order.
///
/// - Thread: the broker's event loop.
/// - Invariant: answers leave in the order of their requests, whatever the order in which they
///   are ready. While more than `inFlightBytesMax` of requests are unanswered, or the client does
///   not read its answers, nothing more is read or dispatched: what it sends waits in its socket.
final class KafkaConnection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// The client's address without its port, as the limits count it.
    let peer: String
    /// What the last ApiVersions said of the client's software; empty before it.
    var softwareName = ""
    /// The version that came with `softwareName`.
    var softwareVersion = ""
    /// The topic that was looked up last, and the table's generation then.
    var cachedTopic: (topic: HostedTopic, generation: UInt64)?

    private unowned let broker: Broker
    private let limits: ListenerLimits
    private var context: ChannelHandlerContext?
    private var splitter: KafkaFrameSplitter
    private var order = ResponseOrder<KafkaResponse>()
    private var inFlightBytes = 0
    private var isClosing = false
    private var isPumping = false
    private var wantsRead = false
    private var isInFlushQueue = false
    /// Fetches of this connection that wait; given up when it closes.
    var parkedFetches: [ParkedFetch] = []
    private(set) var lastActivity = NIODeadline.now()

    init(broker: Broker, peer: String, limits: ListenerLimits) {
        self.broker = broker
        self.peer = peer
        self.limits = limits
        self.splitter = KafkaFrameSplitter(limit: limits.frameBytesMax)
    }

    /// Whether the client waits for nothing.
    var isQuiet: Bool { order.count == 0 }
    /// Whether the connection is closed or about to be.
    var isClosed: Bool { isClosing || context == nil }
}

// MARK: Reading

extension KafkaConnection {
    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    func channelInactive(context: ChannelHandlerContext) {
        isClosing = true
        self.context = nil
        broker.connectionClosed(self)
        for fetch in parkedFetches { broker.purgatory.cancel(fetch) }
        parkedFetches = []
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        var bytes = unwrapInboundIn(data)
        // A small read would keep the whole receive buffer alive as long as the log's tail does.
        if bytes.readableBytes < bytes.capacity / 4 {
            bytes = ByteBuffer(bytes: bytes.readableBytesView)
        }
        splitter.append(bytes)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        lastActivity = .now()
        pump()
        sendReady()
    }

    func read(context: ChannelHandlerContext) {
        if mayDispatch { context.read() } else { wantsRead = true }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable { resume() }
        context.fireChannelWritabilityChanged()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        LogLines.connectionFailed(peer, error, broker.logger)
        isClosing = true
        context.close(promise: nil)
    }

    private var mayDispatch: Bool {
        inFlightBytes <= limits.inFlightBytesMax
            && order.count < limits.requestsInFlightMax
            && context?.channel.isWritable == true
    }

    /// Dispatches the frames that have arrived, as long as the limits allow.
    private func pump() {
        guard !isPumping else { return }
        isPumping = true
        defer { isPumping = false }
        while !isClosing, mayDispatch {
            do {
                guard let frame = try splitter.next() else { return }
                dispatch(frame)
            } catch {
                return close(.frame(error))
            }
        }
    }

    private func resume() {
        guard !isClosing, !isPumping, mayDispatch else { return }
        pump()
        sendReady()
        if wantsRead, mayDispatch {
            wantsRead = false
            context?.read()
        }
    }

    private func dispatch(_ frame: ByteBuffer) {
        let bytes = frame.readableBytes
        var reader = KafkaReader(frame)
        do {
            let rawKey = try reader.readInteger(as: Int16.self)
            let version = try reader.readInteger(as: Int16.self)
            let correlationID = try reader.readInteger(as: Int32.self)
            guard let api = ApiKey(rawValue: rawKey), let entry = KafkaRequests.entry(of: api)
            else { return close(.unknownAPI(rawKey)) }
            let isKnown = entry.served.contains(version)
            guard isKnown || api == .apiVersions else {
                return close(.unsupportedVersion(api, version))
            }
            let clientID = try reader.readNullableString(flexible: false) ?? ""
            if isKnown, version >= KafkaVersions.firstFlexible(api) {
                try reader.skipTaggedFields()
            }
            let request = KafkaRequest(
                api: api,
                version: version,
                correlationID: correlationID,
                clientID: clientID,
                connection: self,
                slot: order.open(),
                bytes: bytes,
                arrival: lastActivity
            )
            inFlightBytes += bytes
            broker.metrics.requested(api)
            try entry.handle(broker, request, &reader)
        } catch {
            close(.malformed("\(error)"))
        }
    }
}

// MARK: Answering

extension KafkaConnection {
    /// Takes a request's answer; nil if it is owed none.
    func complete(_ request: KafkaRequest, _ response: KafkaResponse?) {
        inFlightBytes -= request.bytes
        broker.metrics.answered(request.api, after: .now() - request.arrival)
        order.fill(request.slot, response)
        guard !isClosed, !isPumping, !isInFlushQueue else { return }
        isInFlushQueue = true
        broker.flushLater(self)
    }

    /// Sends what became ready during this turn of the loop; called by the broker once a turn.
    func flushTurn() {
        isInFlushQueue = false
        sendReady()
        resume()
    }

    private func sendReady() {
        guard let context, !isClosing else { return }
        var small: ByteBuffer?
        var isWritten = false
        while let response = order.release() {
            isWritten = true
            if response.tail.isEmpty, response.head.readableBytes <= Self.coalesceBytesMax {
                if small == nil {
                    small = response.head
                } else {
                    small?.writeImmutableBuffer(response.head)
                }
                continue
            }
            if let gathered = small { context.write(wrapOutboundOut(gathered), promise: nil) }
            small = nil
            context.write(wrapOutboundOut(response.head), promise: nil)
            for part in response.tail { context.write(wrapOutboundOut(part), promise: nil) }
        }
        if let gathered = small { context.write(wrapOutboundOut(gathered), promise: nil) }
        if isWritten { context.flush() }
    }

    /// Answers up to this size are copied into one buffer instead of being written each alone.
    private static let coalesceBytesMax = 4096

    /// Closes the connection and says why; answers that are ready and in order still leave.
    func close(_ reason: KafkaCloseReason) {
        guard !isClosing else { return }
        sendReady()
        isClosing = true
        broker.metrics.closed(reason)
        LogLines.connectionClosed(peer, reason, broker.logger)
        context?.close(promise: nil)
    }
}

/// The limits of the client listener.
public struct ListenerLimits: Sendable {
    /// The largest request frame; Kafka's `socket.request.max.bytes`, 100 MiB.
    public var frameBytesMax = KafkaFrameSplitter.frameBytesMax
    /// Bytes of unanswered requests of one connection before it is read no further; 32 MiB.
    public var inFlightBytesMax = 32 << 20
    /// Unanswered requests of one connection before it is read no further; 10,000.
    public var requestsInFlightMax = 10_000
    /// Client connections in total; 10,000.
    public var connectionsMax = 10_000
    /// Client connections from one address; 2,000.
    public var connectionsPerAddressMax = 2_000
    /// Files that the process may have open, clients' connections among them; by default no limit.
    public var descriptorLimit = Int.max
    /// A connection on which nothing happens for this long is closed; 10 min, as in Kafka.
    public var idleMax: TimeAmount = .minutes(10)

    /// The defaults.
    public init() {}
}
