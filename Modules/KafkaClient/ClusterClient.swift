import KafkaProtocol
public import Model
import NIOCore
import NIOPosix

/// A client of one cluster.
///
/// Everything happens on one of NIO's shared event loops. `close()` ends the connections, and what
/// is asked afterwards fails with ``KafkaClientError/closed``.
public final class ClusterClient: Sendable {
    /// How the client behaves.
    public let options: ClientOptions
    let loop: any EventLoop
    private let core: NIOLoopBoundBox<ClientCore>

    /// Makes a client; nothing is connected before the first call.
    public init(bootstrap: [Address], options: ClientOptions = ClientOptions()) {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        self.loop = loop
        self.options = options
        self.core = .makeBoxSendingValue(
            ClientCore(loop: loop, bootstrap: bootstrap, options: options),
            eventLoop: loop
        )
    }

    /// Closes all connections.
    public func close() async {
        await onLoop { core, done in
            core.close()
            done(())
        }
    }

    /// Runs `body` on the event loop and waits until it calls `done`.
    func onLoop<T: Sendable>(
        _ body: @escaping @Sendable (ClientCore, @escaping @Sendable (T) -> Void) -> Void
    ) async -> T {
        await withCheckedContinuation { continuation in
            loop.execute { [core] in
                body(core.value) { continuation.resume(returning: $0) }
            }
        }
    }

    /// Runs one operation on the loop; nothing is tried twice.
    func once<T: Sendable>(
        _ body: @escaping @Sendable (ClientCore, @escaping ClientCore.Completion<T>) -> Void
    ) async throws(KafkaClientError) -> T {
        let result: Result<T, KafkaClientError> = await onLoop { core, done in
            body(core) { done($0) }
        }
        return try result.get()
    }

    /// Tries an operation until it succeeds, cannot succeed, or the deadline has passed.
    ///
    /// Between tries the metadata is renewed. The last failure is thrown.
    func retrying<T: Sendable>(
        _ body: @escaping @Sendable (ClientCore, @escaping ClientCore.Completion<T>) -> Void
    ) async throws(KafkaClientError) -> T {
        let end = NIODeadline.now() + options.deadline
        while true {
            do throws(KafkaClientError) {
                return try await once(body)
            } catch {
                guard error.isRetriable, .now() + options.retryPause < end else { throw error }
            }
            do {
                try await Task.sleep(for: .nanoseconds(options.retryPause.nanoseconds))
            } catch {
                throw .closed
            }
            _ = try? await once { core, done in core.refresh(done) }
        }
    }
}
