import BrokerServer
import KafkaProtocol
import NIOCore
import NIOPosix

/// A Kafka client over a real socket, as small as a test needs it.
final class TestClient: Sendable {
    private let channel: any Channel
    private let group: any EventLoopGroup

    enum Failure: Error { case closed }

    private init(channel: any Channel, group: any EventLoopGroup) {
        self.channel = channel
        self.group = group
    }

    static func connect(port: Int) async throws -> TestClient {
        let group = MultiThreadedEventLoopGroup.singleton
        let channel = try await ClientBootstrap(group: group)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AnswerCollector())
                }
            }
            .connect(host: "127.0.0.1", port: port).get()
        return TestClient(channel: channel, group: group)
    }

    /// Sends a request and gives a future answer: the bytes behind the correlation id.
    func send(_ bytes: ByteBuffer) -> EventLoopFuture<ByteBuffer> { send(bytes, answers: 1)[0] }

    /// Sends several requests as one piece; every one of them is owed an answer.
    func send(_ bytes: ByteBuffer, answers: Int) -> [EventLoopFuture<ByteBuffer>] {
        let channel = channel
        let promises = (0..<answers).map { _ in
            channel.eventLoop.makePromise(of: ByteBuffer.self)
        }
        channel.eventLoop.execute {
            do {
                let collector = try channel.pipeline.syncOperations.handler(
                    type: AnswerCollector.self
                )
                for promise in promises { collector.expect(promise) }
                channel.writeAndFlush(bytes, promise: nil)
            } catch {
                for promise in promises { promise.fail(Failure.closed) }
            }
        }
        return promises.map(\.futureResult)
    }

    /// Sends bytes that are owed no answer.
    func push(_ bytes: ByteBuffer) async throws { try await channel.writeAndFlush(bytes) }

    /// Returns once the other side has closed the connection.
    func waitForClose() async throws { try await channel.closeFuture.get() }

    func close() async { try? await channel.close() }

    /// A request's frame, size and header included.
    static func frame(
        _ api: ApiKey,
        _ version: Int16,
        _ request: some KafkaMessage,
        correlation: Int32 = 7
    ) -> ByteBuffer {
        var writer = KafkaWriter()
        writer.writeInteger(Int32(0))
        RequestHeader(
            apiKey: api.rawValue,
            apiVersion: version,
            correlationID: correlation,
            clientID: "test"
        ).write(to: &writer)
        request.write(to: &writer, version: version)
        writer.setInteger(Int32(writer.count - 4), at: 0)
        return writer.buffer
    }

    static func decode<Response: KafkaMessage>(
        _ bytes: ByteBuffer,
        _ api: ApiKey,
        _ version: Int16,
        _ type: Response.Type
    ) throws -> Response {
        var reader = KafkaReader(bytes)
        _ = try ResponseHeader(reading: &reader, api: api, version: version)
        let response = try Response(reading: &reader, version: version)
        try reader.expectEnd()
        return response
    }

    func call<Response: KafkaMessage>(
        _ api: ApiKey,
        _ version: Int16,
        _ request: some KafkaMessage,
        _ type: Response.Type
    ) async throws -> Response {
        let bytes = try await send(Self.frame(api, version, request)).get()
        return try Self.decode(bytes, api, version, type)
    }
}

/// Hands answers to their requests, in order.
private final class AnswerCollector: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private var splitter = KafkaFrameSplitter()
    private var waiting: [EventLoopPromise<ByteBuffer>] = []
    private var isClosed = false

    func expect(_ promise: EventLoopPromise<ByteBuffer>) {
        if isClosed { promise.fail(TestClient.Failure.closed) } else { waiting.append(promise) }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        splitter.append(unwrapInboundIn(data))
        do {
            while let frame = try splitter.next() {
                if waiting.isEmpty { return context.close(promise: nil) }
                waiting.removeFirst().succeed(frame)
            }
        } catch {
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        isClosed = true
        for promise in waiting { promise.fail(TestClient.Failure.closed) }
        waiting = []
        context.fireChannelInactive()
    }
}
