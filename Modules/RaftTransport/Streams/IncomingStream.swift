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

    let key: StreamKey
    let session: SessionID
    private let transport: StreamTransport
    private let metrics: PeerMetrics
    private let reader: RecordReader
    private var frames: FrameReader
    private var contents = FrameContents()
    private var large = PieceCollector()
    private var channel: (any Channel)?
    private(set) var isRetired = false

    init(
        _ key: StreamKey,
        session: SessionID,
        channel: any Channel,
        transport: StreamTransport
    ) {
        self.key = key
        self.session = session
        self.channel = channel
        self.transport = transport
        self.metrics = transport.metrics(of: key.peer)
        self.reader = RecordReader(sender: key.peer, receiver: transport.identity.id)
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
            LogLines.damaged(transport.name(of: key), error, transport.logger)
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
        contents.removeAll()
        try reader.read(records, into: &contents)
        for piece in contents.pieces {
            guard let record = try large.take(piece) else { continue }
            try reader.readWhole(record, into: &contents)
        }
        if contents.dropped > 0 { metrics.lose(.unacceptable, contents.dropped) }
        metrics.received.increment(by: contents.count)
        guard let sink = transport.sink else { return }
        if !contents.messages.isEmpty { sink.receive(contents.messages) }
        for round in contents.heartbeats { sink.receive(round, from: key.peer) }
        for answers in contents.answers { sink.receive(answers, from: key.peer) }
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
        contents = FrameContents()
        large = PieceCollector()
    }

    /// Ends the stream without a report.
    func close() {
        let open = channel
        retire()
        open?.close(promise: nil)
    }
}
