import InterBroker
import InterBrokerProtocol
import Model
import NIOCore
import NIOPosix
import Synchronization
import Testing

@Suite struct RaftStreamTests {
    /// Echoes what comes on a stream.
    private final class Echo: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            context.writeAndFlush(wrapOutboundOut(unwrapInboundIn(data)), promise: nil)
        }
    }

    private struct Acceptor: RaftStreamAcceptor {
        let refused: SessionID?

        func admit(
            _ hello: RaftStreamRequest,
            _ context: RequestContext
        ) async throws(Refusal) -> RaftStreamResponse {
            if hello.session == refused { throw Refusal("older session") }
            return RaftStreamResponse(session: SessionID(UniqueID(high: 4, low: 4)))
        }

        func accept(
            _ channel: any Channel,
            _ hello: RaftStreamRequest,
            from header: RequestHeader
        ) {
            try? channel.pipeline.syncOperations.addHandler(Echo())
        }
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let promise: EventLoopPromise<ByteBuffer>

        init(_ promise: EventLoopPromise<ByteBuffer>) {
            self.promise = promise
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            promise.succeed(unwrapInboundIn(data))
        }
    }

    private static let good = SessionID(UniqueID(high: 5, low: 5))
    private static let bad = SessionID(UniqueID(high: 6, low: 6))
    private let table = [RequestConfig(raftStream: Acceptor(refused: bad))]

    private func hello(
        _ session: SessionID,
        version: Int = RaftStreamRequest.currentFormatVersion
    ) -> RaftStreamRequest {
        RaftStreamRequest(session: session, formatVersion: version)
    }

    @Test func `a stream carries bare bytes both ways after its answer`() async throws {
        try await Peers.with(table) { peers in
            let (channel, answer) = try await openRaftStream(
                peers.target,
                hello: hello(Self.good),
                from: Peers.broker,
                options: peers.call
            )
            #expect(answer.session == SessionID(UniqueID(high: 4, low: 4)))
            let echoed = channel.eventLoop.makePromise(of: ByteBuffer.self)
            try await channel.eventLoop.submit {
                try channel.pipeline.syncOperations.addHandler(Collector(echoed))
            }.get()
            try await channel.writeAndFlush(ByteBuffer(string: "no frame at all"))
            #expect(try await echoed.futureResult.get() == ByteBuffer(string: "no frame at all"))
            #expect(peers.metrics.requests(1014, "client", "ok") == 1)
            #expect(peers.metrics.requests(1014, "server", "ok") == 1)
            try await channel.close()
        }
    }

    @Test func `a stream outlives the limits of requests`() async throws {
        let change: (inout ListenerOptions, inout PeerChecks) -> Void = { options, _ in
            options.idleTimeout = .milliseconds(300)
            options.requestTimeout = .milliseconds(300)
        }
        try await Peers.with(table, change: change) { peers in
            var options = peers.call
            options.deadline = .milliseconds(500)
            let (stream, _) = try await openRaftStream(
                peers.target,
                hello: hello(Self.good),
                from: Peers.broker,
                options: options
            )
            // A plain connection, opened later, is closed for being idle: so would the stream be.
            let raw = try await RawPeer(to: peers.address)
            #expect(try await raw.closed() == "")
            let late = try await RawServer(answering: nil)
            options.deadline = .milliseconds(250)
            await #expect(throws: InterBrokerError.self) {
                try await sendControllerDiscoverRequest(
                    .init(),
                    to: .init(id: 1, address: late.address),
                    from: Peers.broker,
                    options: options
                )
            }
            #expect(stream.isActive)
            try await late.close()
            try await stream.close()
        }
    }

    @Test func `a stream may be refused by its receiver`() async throws {
        try await Peers.with(table) { peers in
            await #expect(throws: InterBrokerError.refused(Refusal("older session"))) {
                try await openRaftStream(
                    peers.target,
                    hello: hello(Self.bad),
                    from: Peers.broker,
                    options: peers.call
                )
            }
        }
    }

    @Test func `a controller gets no stream to a broker`() async throws {
        try await Peers.with(table) { peers in
            await #expect(
                throws: InterBrokerError.refused(
                    Refusal("request type RaftStream not allowed for controller")
                )
            ) {
                try await openRaftStream(
                    peers.target,
                    hello: hello(Self.good),
                    from: Peers.controller,
                    options: peers.call
                )
            }
        }
    }

    @Test func `a stream of another version is refused by its sender already`() async throws {
        try await Peers.with(table) { peers in
            let error = await #expect(throws: InterBrokerError.self) {
                try await openRaftStream(
                    peers.target,
                    hello: hello(Self.good, version: 9),
                    from: Peers.broker,
                    options: peers.call
                )
            }
            #expect(error?.description.contains("unsupported Raft stream version 9") == true)
        }
    }

    @Test func `bytes behind the request end the connection`() async throws {
        try await Peers.with(table) { peers in
            let raw = try await RawPeer(to: peers.address)
            let id = "00000000-0000-0001-0000-000000000001"
            let version = RaftStreamRequest.currentFormatVersion
            let body =
                #"{"cluster_id":"\#(id)","sender_role":"broker","sender_id":3,"target_id":2,"#
                + #""request_id":"\#(id)","session":"\#(id)","format_version":\#(version),"#
                + #""lane":"live"}"#
            var bytes = ByteBuffer()
            try RequestFrame(type: .raftStream, body: ByteBuffer(string: body)).write(to: &bytes)
            bytes.writeString("x")
            await raw.send(bytes)
            #expect(try await raw.closed() == "")
        }
    }
}
