import CoreMetrics
import Model
import NIOCore
import RaftHost

/// The stream from one peer: frames in, messages out, in order.
///
/// - Thread: the transport's event loop.
/// - Invariant: once `isRetired`, nothing more is delivered.
final class IncomingStream: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    let owner: Int32
    let session: SessionID
    private let transport: StreamTransport
    private let metrics: PeerMetrics
    private let reader: RecordReader
    private var frames: FrameReader
    private var messages: [ReceivedMessage] = []
    private var channel: (any Channel)?
    private(set) var isRetired = false

    init(
        owner: Int32,
        session: SessionID,
        channel: any Channel,
        transport: StreamTransport
    ) {
        self.owner = owner
        self.session = session
        self.channel = channel
        self.transport = transport
        self.metrics = transport.metrics(of: owner)
        self.reader = RecordReader(sender: owner, receiver: transport.identity.id)
        self.frames = FrameReader(allocator: channel.allocator)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isRetired else { return }
        let bytes = unwrapInboundIn(data)
        metrics.receivedBytes.increment(by: bytes.readableBytes)
        frames.append(bytes)
        do throws(StreamError) {
            while !isRetired, let records = try frames.next() { try deliver(records) }
        } catch {
            LogLines.damaged(transport.name(of: owner), error, transport.logger)
            context.close(promise: nil)
            end()
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
        end()
    }

    private func deliver(_ records: ByteBuffer) throws(StreamError) {
        messages.removeAll(keepingCapacity: true)
        let dropped = try reader.read(records, into: &messages)
        if dropped > 0 { metrics.lose(.unacceptable, dropped) }
        metrics.received.increment(by: messages.count)
        if !messages.isEmpty { transport.sink?.receive(messages) }
    }

    /// Reports the end, once, and not if a newer stream has taken this one's place.
    private func end() {
        guard !isRetired else { return }
        retire()
        transport.streamEnded(self)
    }

    private func retire() {
        isRetired = true
        channel = nil
        messages = []
    }

    /// Ends the stream without a report.
    func close() {
        let open = channel
        retire()
        open?.close(promise: nil)
    }
}
