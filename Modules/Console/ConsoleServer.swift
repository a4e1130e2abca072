public import Model
public import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
public import Telemetry

/// The HTTP listener: `GET /metrics` (Prometheus text) and `GET /health` (JSON, 200 or 503).
///
/// It belongs on loopback or a management network: there is no authentication, and nothing that it
/// answers changes anything.
///
/// - Thread: any. Requests are answered on the loops of `group`.
public final class ConsoleServer: Sendable {
    /// Bounds of one connection and of all of them.
    public struct Limits: Sendable {
        /// The largest request body, in bytes; no request needs one.
        public var bodyBytesMax = 4 * 1024
        /// The largest sum of header names and values, in bytes.
        public var headerBytesMax = 16 * 1024
        /// Connections open at once; further ones are closed.
        public var connectionsMax = 64
        /// Time for a request to arrive whole, and the longest pause between two.
        public var requestTimeout = TimeAmount.seconds(30)

        /// The defaults.
        public init() {}
    }

    private let group: any EventLoopGroup
    private let metrics: MetricsRegistry
    private let limits: Limits
    private let health: @Sendable () -> HealthReport
    private let listener = Mutex<(any Channel)?>(nil)
    private let connections: GaugeMetric

    /// Describes the listener; ``bind(_:)`` opens it.
    ///
    /// - Parameters:
    ///   - group: The loops that answer.
    ///   - metrics: What `/metrics` shows.
    ///   - limits: Bounds against clients that send too much or too slowly.
    ///   - health: Called for each `/health` on the loop that answers; must not block.
    public init(
        group: any EventLoopGroup,
        metrics: MetricsRegistry = .process,
        limits: Limits = Limits(),
        health: @escaping @Sendable () -> HealthReport
    ) {
        self.group = group
        self.metrics = metrics
        self.limits = limits
        self.health = health
        connections = metrics.gauge(.connections, ["listener": "http"])
    }

    /// Listens on an address and returns the one that was bound (port 0 asks for any).
    public func bind(_ address: Address) async throws -> Address {
        let channel = try await bootstrap().bind(host: address.host, port: address.port).get()
        return keep(channel, address)
    }

    /// Listens on a socket that the service manager has passed in.
    public func adopt(descriptor: NIOBSDSocket.Handle, address: Address) async throws -> Address {
        keep(try await bootstrap().withBoundSocket(descriptor).get(), address)
    }

    /// Stops listening; open connections end with their request.
    public func close() async {
        let channel = listener.withLock { listener in
            defer { listener = nil }
            return listener
        }
        try? await channel?.close().get()
    }

    private func keep(_ channel: any Channel, _ address: Address) -> Address {
        listener.withLock { $0 = channel }
        return Address(host: address.host, port: channel.localAddress?.port ?? address.port)
    }

    private func bootstrap() -> ServerBootstrap {
        let (metrics, limits, health) = (metrics, limits, health)
        let connections = connections
        return ServerBootstrap(group: group)
            .serverChannelOption(ChannelOptions.backlog, value: 64)
            .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                connections.add(1)
                channel.closeFuture.whenComplete { _ in connections.add(-1) }
                // Several loops may let in one too many at the same moment, which does no harm.
                guard Int(connections.value) <= limits.connectionsMax else {
                    return channel.close()
                }
                var decoder = NIOHTTPDecoderLimitConfiguration()
                decoder.maxHeaderFieldSize = limits.headerBytesMax
                decoder.maxHeaderListSize = limits.headerBytesMax
                return channel.pipeline.configureHTTPServerPipeline(
                    withErrorHandling: false,
                    withDecoderLimitConfiguration: decoder
                ).flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(
                        ConsoleHandler(metrics: metrics, limits: limits, health: health)
                    )
                }
            }
    }
}
