import Glibc
import InterBrokerProtocol
public import Logging
public import Model
public import NIOCore
import NIOPosix
public import Security
import Synchronization

/// Answers the requests of other daemons on one address.
///
/// - Invariant: only the types of its table are answered, only to peers that pass the checks, and
///   within the limits of its options.
public final class InterBrokerListener: Sendable {
    private let address: Address
    private let group: any EventLoopGroup
    private let shared: ListenerShared
    private let server = Mutex<(any Channel)?>(nil)

    /// Makes a listener; nothing is bound before `start`.
    ///
    /// - Precondition: no type stands in `requestConfigs` twice.
    public init(
        address: Address,
        requestConfigs: [RequestConfig],
        checks: PeerChecks,
        options: ListenerOptions = ListenerOptions(),
        group: any EventLoopGroup,
        logger: Logger
    ) {
        self.address = address
        self.group = group
        self.shared = ListenerShared(
            table: requestConfigs,
            checks: checks,
            options: options,
            logger: logger
        )
    }

    /// Binds and begins to accept; returns the address, with the port that the kernel chose for 0.
    ///
    /// - Throws: `cannotListen`, also for an address that other machines could reach unless
    ///   `insecurePeers` is set.
    @discardableResult
    public func start() async throws(InterBrokerError) -> Address {
        do {
            let resolved = try SocketAddress.makeAddressResolvingHost(
                address.host,
                port: address.port
            )
            try ListenerPolicy.validate(resolved, insecurePeers: shared.options.insecurePeers)
            return try await started(bootstrap().bind(to: resolved).get())
        } catch {
            throw .cannotListen(address: address.description, reason: reason(of: error))
        }
    }

    /// Begins to accept on a listening socket that was passed in, for instance by systemd.
    @discardableResult
    public func start(
        onListeningSocket descriptor: NIOBSDSocket.Handle
    ) async throws(InterBrokerError) -> Address {
        do {
            let channel = try await bootstrap().withBoundSocket(descriptor).get()
            if let bound = channel.localAddress {
                do {
                    try ListenerPolicy.validate(
                        bound,
                        insecurePeers: shared.options.insecurePeers
                    )
                } catch {
                    try? await channel.close()
                    throw error
                }
            }
            return try started(channel)
        } catch {
            throw .cannotListen(address: address.description, reason: "\(error)")
        }
    }

    private func started(_ channel: any Channel) throws -> Address {
        server.withLock { $0 = channel }
        let bound = Address(
            host: channel.localAddress?.ipAddress ?? address.host,
            port: channel.localAddress?.port ?? address.port
        )
        InterBrokerLogLines.listening(on: bound.description, shared.logger)
        return bound
    }

    /// Accepts nothing more and closes every connection, Raft streams included.
    public func shutdown() async {
        let channel = server.withLock { server in
            defer { server = nil }
            return server
        }
        try? await channel?.close()
        for connection in shared.stop() { try? await connection.close() }
    }

    /// Changes who may connect, and closes the connections of those who no longer may.
    ///
    /// - Thread: any.
    public func use(_ allowList: IPAllowList) {
        for connection in shared.use(allowList) {
            shared.refusals.record(.notAllowed, from: peerName(connection.remoteAddress))
            connection.close(promise: nil)
        }
    }

    /// How many connections are open.
    public var connectionCount: Int { shared.connectionCount }

    private func bootstrap() -> ServerBootstrap {
        let shared = shared
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AcceptErrorHandler(logger: shared.logger)
                    )
                }
            }
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let peer = peerName(channel.remoteAddress)
                    do throws(PeerRefusal) {
                        try shared.admit(channel)
                    } catch {
                        shared.refusals.record(error, from: peer)
                        throw error
                    }
                    try channel.pipeline.syncOperations.addHandler(
                        RequestHandler(shared: shared, peer: peer)
                    )
                }
            }
    }
}

/// The system's own words for its errors, without NIO's around them.
private func reason(of error: any Error) -> String {
    guard let error = error as? IOError else { return "\(error)" }
    return String(cString: strerror(error.errnoCode))
}

/// `10.0.0.1:40212`, as log lines name a peer.
private func peerName(_ address: SocketAddress?) -> String {
    guard let address, let host = address.ipAddress, let port = address.port else {
        return "unknown"
    }
    return Address(host: host, port: port).description
}

/// Keeps a listener alive when one accept fails: a want of descriptors passes.
private final class AcceptErrorHandler: ChannelInboundHandler {
    typealias InboundIn = any Channel
    private let logger: Logger

    init(logger: Logger) {
        self.logger = logger
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // A refused connection has its own line, which is limited in number.
        if error is PeerRefusal { return }
        InterBrokerLogLines.acceptFailed(error, logger)
    }
}

/// What a listener's connections share.
final class ListenerShared: Sendable {
    let checks: PeerChecks
    let options: ListenerOptions
    let logger: Logger
    let metrics: CallMetrics
    let refusals: RefusalLog
    private let table: [InterBrokerRequestType: RequestConfig]
    private let state: Mutex<State>

    private struct State {
        var isStopped = false
        var allowList: IPAllowList
        var connections: [ObjectIdentifier: any Channel] = [:]
        var bufferedBytes = 0
    }

    init(
        table: [RequestConfig],
        checks: PeerChecks,
        options: ListenerOptions,
        logger: Logger
    ) {
        self.table = Dictionary(
            table.map { ($0.type, $0) },
            uniquingKeysWith: { row, _ in
                preconditionFailure("\(row.name) stands in the request table twice")
            }
        )
        self.state = Mutex(State(allowList: checks.allowList))
        self.checks = checks
        self.options = options
        self.logger = logger
        self.metrics = CallMetrics(factory: options.metrics, side: "server")
        self.refusals = RefusalLog(metrics: metrics, logger: logger)
    }

    func row(_ type: InterBrokerRequestType) -> RequestConfig? { table[type] }

    var connectionCount: Int { state.withLock { $0.connections.count } }

    /// Counts a new connection in until it closes, or throws why it must not stay.
    func admit(_ channel: any Channel) throws(PeerRefusal) {
        let key = ObjectIdentifier(channel)
        let limit = options.connectionsMax
        let address = channel.remoteAddress
        // Checked and noted under one lock, so that no connection slips past a changed list.
        let refusal = state.withLock { state -> PeerRefusal? in
            guard state.allowList.allows(address) else { return .notAllowed }
            guard !state.isStopped, state.connections.count < limit else {
                return PeerRefusal(.tooManyConnections, "more than \(limit) connections")
            }
            state.connections[key] = channel
            return nil
        }
        if let refusal { throw refusal }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { $0.connections[key] = nil }
        }
    }

    /// Counts bytes that requests hold; false when all connections together hold too many.
    func countBuffered(_ change: Int) -> Bool {
        state.withLock { state in
            state.bufferedBytes += change
            return change <= 0 || state.bufferedBytes <= options.bufferedBytesMax
        }
    }

    /// Changes who may connect; returns the connections that now may not.
    func use(_ allowList: IPAllowList) -> [any Channel] {
        state.withLock { state in
            state.allowList = allowList
            return state.connections.values.filter { !allowList.allows($0.remoteAddress) }
        }
    }

    func stop() -> [any Channel] {
        state.withLock { state in
            state.isStopped = true
            return Array(state.connections.values)
        }
    }
}
