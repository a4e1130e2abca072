import Glibc
import InterBrokerProtocol
import Logging
import Model
public import NIOCore
import NIOPosix
import Synchronization

/// Opens a connection to a daemon's peer listener: the only way in which one is opened.
///
/// The connection belongs to the caller, who closes it when the call is over.
///
/// A cancelled task's attempt is given up at once.
///
/// - Throws: `missingAddress` or `connectFailed`, whose descriptions are fixed:
///   "failed to connect to broker: missing address" and
///   "failed to connect to broker ADDRESS: REASON".
public func connectToSpecificBroker(
    _ address: String,
    timeout: Duration = .seconds(10),
    on group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
) async throws(InterBrokerError) -> BrokerConnection {
    guard !address.isEmpty else { throw .missingAddress }
    guard let parsed = Address(address) else {
        throw .connectFailed(address: address, reason: "not of the form host:port")
    }
    guard timeout > .zero else {
        throw .connectFailed(address: address, reason: "deadline exceeded")
    }
    let dial = Dial()
    let bootstrap = ClientBootstrap(group: group)
        .connectTimeout(TimeAmount(timeout))
        .channelOption(.tcpOption(.tcp_nodelay), value: 1)
        .channelInitializer { channel in
            dial.tries(channel)
            return channel.eventLoop.makeCompletedFuture {
                try channel.pipeline.syncOperations.addHandler(AnswerHandler(address: address))
            }
        }
    do {
        let channel = try await withTaskCancellationHandler {
            try await bootstrap.connect(to: parsed).get()
        } onCancel: {
            dial.cancel()
        }
        return BrokerConnection(channel: channel, address: address)
    } catch {
        if Task.isCancelled { throw .connectFailed(address: address, reason: "cancelled") }
        throw .connectFailed(address: address, reason: reason(of: error, timeout))
    }
}

/// The connections that one attempt tries, so that they can be given up before one is open.
private final class Dial: Sendable {
    private struct State {
        var channels: [any Channel] = []
        var isCancelled = false
    }
    private let state = Mutex(State())

    func tries(_ channel: any Channel) {
        let isLate = state.withLock { state in
            state.channels.append(channel)
            return state.isCancelled
        }
        if isLate { channel.close(promise: nil) }
    }

    func cancel() {
        let channels = state.withLock { state in
            state.isCancelled = true
            return state.channels
        }
        for channel in channels { channel.close(promise: nil) }
    }
}

extension ClientBootstrap {
    /// Connects; a number that stands for a host need not be looked up, on threads of their own.
    fileprivate func connect(to address: Address) -> EventLoopFuture<any Channel> {
        guard let number = try? SocketAddress(ipAddress: address.host, port: address.port) else {
            return connect(host: address.host, port: address.port)
        }
        return connect(to: number)
    }
}

/// What a person reads of a failed dial: one reason, not one per address that was tried.
private func reason(of error: any Error, _ timeout: Duration) -> String {
    switch error {
    case let error as NIOConnectionError:
        if let attempt = error.connectionErrors.first { return reason(of: attempt.error, timeout) }
        if error.dnsAError != nil || error.dnsAAAAError != nil { return "cannot resolve host name" }
        return "no address to connect to"
    case let error as IOError: return String(cString: strerror(error.errnoCode)).lowercasedFirst
    case ChannelError.connectTimeout: return "no connection within \(timeout)"
    default: return "\(error)"
    }
}

extension String {
    fileprivate var lowercasedFirst: String { prefix(1).lowercased() + dropFirst() }
}

/// An open connection to a daemon, for the time of one call.
public struct BrokerConnection: Sendable {
    /// The connection; its last handler is the one that reads answers.
    public let channel: any Channel
    /// The address that was dialled.
    public let address: String

    /// Lets the connection end at a time, whatever waits on it.
    func expire(at time: NIODeadline) {
        let channel = channel
        channel.eventLoop.execute {
            let handler = try? channel.pipeline.syncOperations.handler(type: AnswerHandler.self)
            handler?.expire(at: time, channel: channel)
        }
    }

    /// Sends a frame; the future gets its answer's JSON.
    ///
    /// Answers come in the order in which frames were sent.
    func send(_ frame: ByteBuffer) -> EventLoopFuture<ByteBuffer> {
        let channel = channel
        let address = address
        let promise = channel.eventLoop.makePromise(of: ByteBuffer.self)
        channel.eventLoop.execute {
            do {
                let handler = try channel.pipeline.syncOperations.handler(
                    type: AnswerHandler.self
                )
                handler.send(frame, promise, channel: channel)
            } catch {
                promise.fail(InterBrokerError.connectionClosed(address: address))
            }
        }
        return promise.futureResult
    }

    /// Ends the connection without waiting for it.
    public func close() {
        channel.close(promise: nil)
    }
}
