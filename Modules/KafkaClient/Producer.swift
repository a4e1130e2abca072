import NIOCore

/// Sends records, from any thread.
public final class Producer: Sendable {
    private let client: ClusterClient
    private let bound: NIOLoopBoundBox<LoopProducer?>

    /// Makes a producer; `onReport` is called on the client's event loop, once per batch.
    ///
    /// The handler may append further records; it must not block.
    public init(
        _ client: ClusterClient,
        options: ProducerOptions = ProducerOptions(),
        onReport: @escaping @Sendable (LoopProducer, DeliveryReport) -> Void
    ) async {
        self.client = client
        self.bound = .makeEmptyBox(valueType: LoopProducer.self, eventLoop: client.loop)
        let bound = self.bound
        await client.onLoop { core, done in
            bound.value = LoopProducer(core: core, options: options, onReport: onReport)
            done(())
        }
    }

    /// Runs `body` on the event loop, where records are taken without waiting.
    public func onLoop(_ body: @escaping @Sendable (LoopProducer) -> Void) {
        let bound = self.bound
        client.loop.execute {
            if let producer = bound.value { body(producer) }
        }
    }

    /// Hands records over, waiting for room in the buffer; their fate is reported later.
    ///
    /// - Throws: ``KafkaClientError/closed`` after `close()`.
    public func send(_ records: [OutgoingRecord]) async throws(KafkaClientError) {
        var next = 0
        while next < records.count {
            let start = next
            let accepted = await onLoopWaiting(0) { producer, done in
                producer.whenRoom {
                    var position = start
                    while position < records.count, producer.append(records[position]) {
                        position += 1
                    }
                    done(position - start)
                }
            }
            guard accepted > 0 else { throw .closed }
            next += accepted
        }
    }

    /// Sends what is buffered and waits until everything was reported.
    public func flush() async {
        await onLoopWaiting(()) { producer, done in producer.whenEmpty { done(()) } }
    }

    /// Ends the producer; what was not written is reported as failed.
    public func close() async {
        let bound = self.bound
        await onLoopWaiting(()) { producer, done in
            producer.close()
            bound.value = nil
            done(())
        }
    }

    private func onLoopWaiting<T: Sendable>(
        _ otherwise: T,
        _ body: @escaping @Sendable (LoopProducer, @escaping @Sendable (T) -> Void) -> Void
    ) async -> T {
        let bound = self.bound
        return await client.onLoop { _, done in
            guard let producer = bound.value else { return done(otherwise) }
            body(producer, done)
        }
    }
}
