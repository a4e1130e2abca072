import NIOCore

/// The broker as other threads may hold it: a way to its event loop.
public struct BrokerReference: Sendable {
    private let bound: NIOLoopBound<Broker>
    private let eventLoop: any EventLoop

    init(_ broker: Broker) {
        eventLoop = broker.eventLoop
        bound = NIOLoopBound(broker, eventLoop: broker.eventLoop)
    }

    /// Runs a body on the broker's event loop and gives its result.
    func run<Value: Sendable>(_ body: @escaping @Sendable (Broker) -> Value) async throws -> Value {
        let bound = bound
        return try await eventLoop.submit { body(bound.value) }.get()
    }

    /// Runs a body on the broker's event loop that answers later.
    func wait<Value: Sendable>(
        _ body: @escaping @Sendable (Broker, @escaping @Sendable (Value) -> Void) -> Void
    ) async -> Value {
        let bound = bound
        let eventLoop = eventLoop
        return await withCheckedContinuation { continuation in
            eventLoop.execute { body(bound.value) { continuation.resume(returning: $0) } }
        }
    }
}
