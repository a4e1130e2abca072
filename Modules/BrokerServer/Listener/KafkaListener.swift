import Logging
public import Model
public import NIOCore
import NIOPosix

/// The listener for Kafka clients: accepts, counts and sets up their connections.
public enum KafkaListener {
    /// Binds to an address and serves clients until the returned channel is closed.
    ///
    /// - Thread: `broker`'s event loop serves the listener and every connection of it.
    public static func bind(
        _ address: Address,
        broker: Broker
    ) -> EventLoopFuture<any Channel> {
        listening(bootstrap(broker).bind(host: address.host, port: address.port), broker)
    }

    /// Serves clients on a socket that was passed in, bound and listening.
    public static func adopt(_ socket: NIOBSDSocket.Handle, broker: Broker) -> EventLoopFuture<
        any Channel
    > {
        listening(bootstrap(broker).withBoundSocket(socket), broker)
    }

    private static func listening(
        _ channel: EventLoopFuture<any Channel>,
        _ broker: Broker
    ) -> EventLoopFuture<any Channel> {
        let logger = broker.logger
        return channel.map { channel in
            let bound = channel.localAddress
            let address = bound?.ipAddress.map { Address(host: $0, port: bound?.port ?? 0) }
            LogLines.serving(address?.description ?? "a passed socket", logger)
            return channel
        }
    }

    private static func bootstrap(_ broker: Broker) -> ServerBootstrap {
        let bound = NIOLoopBound(broker, eventLoop: broker.eventLoop)
        return ServerBootstrap(group: broker.eventLoop)
            .serverChannelOption(.backlog, value: 1024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.maxMessagesPerRead, value: 4)
            .childChannelOption(
                .recvAllocator,
                value: FixedSizeRecvByteBufferAllocator(capacity: 256 << 10)
            )
            .childChannelOption(
                .writeBufferWaterMark,
                value: ChannelOptions.Types.WriteBufferWaterMark(low: 1 << 20, high: 8 << 20)
            )
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try bound.value.accept(channel)
                }
            }
    }
}

extension Channel {
    /// The number of the connection's socket; 0 where there is none, as in tests.
    var descriptor: Int {
        get throws {
            let descriptor = try pipeline.syncOperations.withUnsafeTransportIfAvailable(
                of: NIOBSDSocket.Handle.self
            ) { Int($0) }
            return descriptor ?? 0
        }
    }
}
