import Glibc
import InterBrokerProtocol
import Model
import NIOCore
import NIOPosix
import Synchronization

/// A connection that sends whatever bytes a test wants and keeps what comes back.
final class RawPeer: Sendable {
    let channel: any Channel
    private let collected: Collected

    private final class Collected: Sendable {
        let bytes = Mutex<ByteBuffer>(ByteBuffer())
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let collected: Collected

        init(_ collected: Collected) {
            self.collected = collected
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            _ = collected.bytes.withLock { $0.writeImmutableBuffer(bytes) }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    init(to address: Address) async throws {
        let collected = Collected()
        self.collected = collected
        channel = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Collector(collected))
                }
            }
            .connect(host: address.host, port: address.port).get()
    }

    /// Sends bytes; an error means that the other side has closed, which tests see at `closed`.
    func send(_ bytes: ByteBuffer) async { try? await channel.writeAndFlush(bytes) }

    func send(type: Int32, length: Int32, _ body: String = "") async {
        var bytes = ByteBuffer()
        bytes.writeInteger(type)
        bytes.writeInteger(length)
        bytes.writeString(body)
        await send(bytes)
    }

    func send(_ type: InterBrokerRequestType, _ body: String) async {
        await send(type: type.rawValue, length: Int32(body.utf8.count), body)
    }

    /// Returns what has come back once the other side has closed.
    func closed() async throws -> String {
        try await channel.closeFuture.get()
        return answers().joined(separator: "\n")
    }

    /// The whole answers so far.
    func answers() -> [String] {
        var decoder = ResponseFrameDecoder()
        decoder.append(collected.bytes.withLock { $0 })
        var found: [String] = []
        while let answer = try? decoder.next() { found.append(String(buffer: answer)) }
        return found
    }

    func close() async { try? await channel.close() }
}

/// A server that answers nobody, or with fixed bytes.
struct RawServer {
    let channel: any Channel
    var address: String { "127.0.0.1:\(channel.localAddress?.port ?? 0)" }

    private final class Fixed: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        let answer: ByteBuffer?
        let closes: Bool

        init(_ answer: ByteBuffer?, _ closes: Bool) {
            self.answer = answer
            self.closes = closes
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if let answer { context.writeAndFlush(wrapOutboundOut(answer), promise: nil) }
            if closes { context.close(promise: nil) }
        }
    }

    init(answering answer: ByteBuffer?, thenCloses closes: Bool = false) async throws {
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Fixed(answer, closes))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
    }

    func close() async throws { try await channel.close() }
}

/// A port whose queue of connections is full: who dials it hears nothing.
struct FullListener {
    let address: String
    private let descriptors: [Int32]

    init() {
        var name = sockaddr_in()
        name.sin_family = sa_family_t(AF_INET)
        name.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var descriptors = [listener]
        withUnsafeMutablePointer(to: &name) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                precondition(bind(listener, name, length) == 0 && listen(listener, 0) == 0)
                precondition(getsockname(listener, name, &length) == 0)
                // One is queued; the system may take another before it begins to drop.
                for _ in 0..<4 {
                    let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
                    let client = socket(AF_INET, type, 0)
                    _ = connect(client, name, length)
                    descriptors.append(client)
                }
            }
        }
        self.descriptors = descriptors
        address = "127.0.0.1:\(UInt16(bigEndian: name.sin_port))"
    }

    func close() {
        for descriptor in descriptors { _ = Glibc.close(descriptor) }
    }
}
