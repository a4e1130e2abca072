import CoreMetrics
import InterBroker
import InterBrokerProtocol
import Model
import NIOCore
import NIOPosix
import Raft
import RaftHost

/// A stream to one peer: opened when something is to be sent, and again when it is lost.
///
/// - Thread: the transport's event loop.
/// - Invariant: `queuedBytes` exceeds its limit by one message at most.
final class PeerStream {
    private enum State {
        /// Nothing is to be sent, or the pause after a failure is over.
        case idle
        case opening(Task<Void, Never>)
        case open(any Channel)
        /// A failure was a short time ago: until then, messages are dropped.
        case pausing(Scheduled<Void>)
        case shutDown
    }

    let key: StreamKey
    var isUnflushed = false
    private unowned let transport: StreamTransport
    private let metrics: PeerMetrics
    private var state = State.idle
    private var writer = FrameWriter(allocator: ByteBufferAllocator())
    /// The bytes that the channel held when it was last asked.
    private var channelBytes = 0
    private var pause: TimeAmount
    private var openedAt = NIODeadline.uptimeNanoseconds(0)
    /// Where snapshots were sent on this stream: if it is lost, their senders must be told, since
    /// nothing else would ever end their wait.
    private var snapshots: [RaftGroupID: Message] = [:]
    /// Whether the failure of this time is in the log already.
    private var isFailureLogged = false

    init(_ key: StreamKey, transport: StreamTransport, metrics: PeerMetrics) {
        self.key = key
        self.transport = transport
        self.metrics = metrics
        self.pause = transport.options.backoffMin
    }

    private var queuedBytes: Int { writer.bytes + channelBytes }

    /// How many bytes wait now.
    func countQueuedBytes() -> Int {
        if case .open(let channel) = state { countChannelBytes(channel) }
        return queuedBytes
    }

    func send(_ group: RaftGroupID, _ message: Message, chain: UInt64?) {
        if let loss = admit() { return drop(group, message, loss) }
        guard writer.append(group, message, chain: chain) else {
            LogLines.tooLarge(transport.name(of: key), group, transport.logger)
            return drop(group, message, .tooLarge)
        }
        if message.type == .snapshot {
            // The receiver counts, and not the bytes that may have arrived long ago.
            snapshots[group] = Message(type: .snapshot, to: message.to)
        }
    }

    func send(_ round: HeartbeatRound) {
        if let loss = admit() { return metrics.lose(loss) }
        if !writer.append(round) { metrics.lose(.tooLarge) }
    }

    func send(_ answers: HeartbeatAnswers) {
        if let loss = admit() { return metrics.lose(loss) }
        if !writer.append(answers) { metrics.lose(.tooLarge) }
    }

    /// Why nothing can be queued now, or nil if it can; opens the stream if there is none.
    private func admit() -> PeerMetrics.Loss? {
        switch state {
        case .idle:
            open()
            return nil
        case .opening:
            let limit = min(
                transport.options.connectingBytesMax,
                transport.options.queueBytesMax
            )
            return writer.bytes < limit ? nil : .overflow
        case .open(let channel):
            guard queuedBytes >= transport.options.queueBytesMax else { return nil }
            countChannelBytes(channel)
            return queuedBytes < transport.options.queueBytesMax ? nil : .overflow
        case .pausing, .shutDown: return .notConnected
        }
    }

    func flush() {
        guard case .open(let channel) = state, !writer.isEmpty else { return }
        metrics.sent.increment(by: writer.messages)
        metrics.sentBytes.increment(by: writer.bytes)
        for part in writer.take() { channel.write(part, promise: nil) }
        channel.flush()
        countChannelBytes(channel)
        metrics.showQueue(channelBytes, on: key.lane)
    }

    func shutdown() {
        switch state {
        case .opening(let task): task.cancel()
        case .open(let channel): channel.close(promise: nil)
        case .pausing(let pause): pause.cancel()
        case .idle, .shutDown: break
        }
        state = .shutDown
        writer.removeAll()
    }

    /// Ends the pause after a failure.
    func retryNow() {
        guard case .pausing(let scheduled) = state else { return }
        scheduled.cancel()
        pause = transport.options.backoffMin
        state = .idle
    }

    private func drop(_ group: RaftGroupID, _ message: Message, _ loss: PeerMetrics.Loss) {
        metrics.lose(loss)
        transport.reportLoss(group, of: message)
    }

    private func countChannelBytes(_ channel: any Channel) {
        let bytes = try? channel.syncOptions?.getOption(.bufferedWritableBytes)
        channelBytes = bytes ?? 0
    }
}

// MARK: Opening

extension PeerStream {
    private func open() {
        guard let address = transport.address(of: key.peer) else { return startPause() }
        let identity = transport.identity
        let caller = InterBrokerCaller(
            role: identity.role,
            id: identity.id,
            clusterID: identity.clusterID()
        )
        let hello = RaftStreamRequest(
            session: identity.session,
            formatVersion: RaftStreamRequest.currentFormatVersion,
            lane: key.lane.name
        )
        let eventLoop = transport.eventLoop
        var options = CallOptions(logger: transport.logger)
        options.connectTimeout = transport.options.openTimeout
        options.deadline = transport.options.openTimeout
        options.group = eventLoop
        options.metrics = transport.options.metrics
        let target = InterBrokerTarget(id: key.peer, address: address)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let call = options
        state = .opening(
            Task {
                do throws(InterBrokerError) {
                    let (channel, _) = try await openRaftStream(
                        target,
                        hello: hello,
                        from: caller,
                        options: call
                    )
                    eventLoop.execute { bound.value.opened(channel, address) }
                } catch {
                    eventLoop.execute { bound.value.openFailed(error) }
                }
            }
        )
    }

    private func opened(_ channel: any Channel, _ address: String) {
        guard case .opening = state, channel.isActive else {
            channel.close(promise: nil)
            if case .opening = state { lost() }
            return
        }
        do {
            let bound = NIOLoopBound(self, eventLoop: transport.eventLoop)
            try channel.pipeline.syncOperations.addHandler(
                EndWatcher { bound.value.channelEnded(channel) }
            )
        } catch {
            channel.close(promise: nil)
            return lost()
        }
        limitSilence(channel, transport.options.silenceMax)
        state = .open(channel)
        openedAt = .now()
        isFailureLogged = false
        LogLines.opened(transport.name(of: key), address, transport.logger)
        flush()
    }

    private func openFailed(_ error: InterBrokerError) {
        guard case .opening = state else { return }
        if !isFailureLogged {
            isFailureLogged = true
            LogLines.openFailed(transport.name(of: key), error, transport.logger)
        }
        lost()
    }

    private func channelEnded(_ ended: any Channel) {
        guard case .open(let channel) = state, channel === ended else { return }
        LogLines.lost(transport.name(of: key), transport.logger)
        // A stream that worked for a while was no failure: the peer may be back at once.
        if NIODeadline.now() - openedAt > transport.options.backoffMax {
            pause = transport.options.backoffMin
        }
        lost()
    }

    private func lost() {
        metrics.lose(.notConnected, writer.messages)
        for (group, message) in snapshots { transport.reportLoss(group, of: message) }
        snapshots = [:]
        channelBytes = 0
        startPause()
    }

    private func startPause() {
        writer.removeAll()
        let bound = NIOLoopBound(self, eventLoop: transport.eventLoop)
        state = .pausing(
            transport.eventLoop.scheduleTask(in: pause) { bound.value.pauseEnded() }
        )
        pause = min(pause * 2, transport.options.backoffMax)
    }

    private func pauseEnded() {
        if case .pausing = state { state = .idle }
    }
}

/// Tells when a stream ends; what its receiver may say on it has no meaning yet.
private final class EndWatcher: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    private let ended: () -> Void

    init(ended: @escaping () -> Void) {
        self.ended = ended
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {}

    func channelInactive(context: ChannelHandlerContext) {
        ended()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}

/// Lets the kernel end a connection whose peer acknowledges nothing any more, or is gone.
func limitSilence(_ channel: any Channel, _ limit: TimeAmount) {
    guard let options = channel.syncOptions else { return }
    let seconds = max(1, limit.nanoseconds / 1_000_000_000)
    func set(_ name: CInt, _ value: Int64) {
        let option = ChannelOptions.Types.SocketOption(
            level: .tcp,
            name: NIOBSDSocket.Option(rawValue: name)
        )
        // A kernel without the option only notices later.
        try? options.setOption(option, value: SocketOptionValue(clamping: value))
    }
    try? options.setOption(.socketOption(.so_keepalive), value: 1)
    set(TCPOption.keepIdle, max(1, seconds / 2))
    set(TCPOption.keepInterval, 1)
    set(TCPOption.keepCount, max(1, seconds / 2))
    set(TCPOption.userTimeout, seconds * 1000)
}

/// Linux's numbers for options that NIO has no names for.
private enum TCPOption {
    static let keepIdle: CInt = 4
    static let keepInterval: CInt = 5
    static let keepCount: CInt = 6
    static let userTimeout: CInt = 18
}
