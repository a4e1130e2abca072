import KafkaProtocol
public import NIOCore

/// A producer as it is seen on its event loop: nothing waits, nothing is copied for a thread.
///
/// - Thread: the client's event loop only, inside ``Producer/onLoop(_:)`` or the report handler.
public final class LoopProducer {
    /// How it sends.
    public let options: ProducerOptions
    /// Bytes of records that are accepted and not yet reported.
    public private(set) var bufferedBytes = 0
    let core: ClientCore
    private let onReport: (LoopProducer, DeliveryReport) -> Void
    private var queues: [PartitionName: PartitionQueue] = [:]
    private var last: PartitionQueue?
    private var sharedIdentity: ProducerIdentity?
    private var identityWaiters: [ClientCore.Completion<ProducerIdentity>] = []
    private var roomWaiters: [() -> Void] = []
    private var flushWaiters: [() -> Void] = []
    private var isClosed = false

    init(
        core: ClientCore,
        options: ProducerOptions,
        onReport: @escaping (LoopProducer, DeliveryReport) -> Void
    ) {
        self.core = core
        self.options = options
        self.onReport = onReport
    }

    /// The loop, for timers of the caller's own.
    public var loop: any EventLoop { core.loop }

    /// Whether `append` refuses for the moment.
    public var isFull: Bool { bufferedBytes >= options.bufferedBytesMax }

    /// Batches that are whole and not reported yet, of all partitions.
    public private(set) var unfinishedBatches = 0

    /// Takes a record, whose fate is reported later; false when the buffer is full.
    public func append(_ record: OutgoingRecord) -> Bool {
        guard !isFull, !isClosed else { return false }
        bufferedBytes += queue(of: record.partition).append(record)
        return true
    }

    /// Ends all open batches, so that they are sent although there is room in them.
    public func sealAll() {
        for queue in queues.values { queue.seal() }
    }

    private func queue(of name: PartitionName) -> PartitionQueue {
        if let last, last.name == name { return last }
        let queue: PartitionQueue
        if let known = queues[name] {
            queue = known
        } else {
            queue = PartitionQueue(name, producer: self)
            queues[name] = queue
            core.wantedTopics.insert(name.topic)
        }
        last = queue
        return queue
    }

    // MARK: Reports

    /// Counts a batch that will be reported.
    func sealed() { unfinishedBatches += 1 }

    func report(_ report: DeliveryReport, bytes: Int) {
        bufferedBytes -= bytes
        unfinishedBatches -= 1
        onReport(self, report)
        if bufferedBytes <= options.bufferedBytesMax / 2, !roomWaiters.isEmpty {
            let waiters = roomWaiters
            roomWaiters = []
            for waiter in waiters { waiter() }
        }
        guard !flushWaiters.isEmpty, queues.values.allSatisfy(\.isEmpty) else { return }
        let waiters = flushWaiters
        flushWaiters = []
        for waiter in waiters { waiter() }
    }

    /// Calls back when there is room again.
    func whenRoom(_ body: @escaping () -> Void) {
        if isClosed || !isFull { return body() }
        roomWaiters.append(body)
    }

    /// Calls back when everything was reported.
    func whenEmpty(_ body: @escaping () -> Void) {
        sealAll()
        if queues.values.allSatisfy(\.isEmpty) { return body() }
        flushWaiters.append(body)
    }

    /// Fails what is not in flight; what is fails with its connection.
    func close() {
        isClosed = true
        for queue in queues.values { queue.abandon() }
        let waiters = roomWaiters + flushWaiters
        roomWaiters = []
        flushWaiters = []
        for waiter in waiters { waiter() }
        queues = [:]
        last = nil
    }

    // MARK: Identity

    /// Gives the producer's number; a fresh one in place of one that is spoilt.
    func identity(
        replacing old: ProducerIdentity?,
        _ completion: @escaping ClientCore.Completion<ProducerIdentity>
    ) {
        if let sharedIdentity, sharedIdentity != old {
            return completion(.success(sharedIdentity))
        }
        identityWaiters.append(completion)
        guard identityWaiters.count == 1 else { return }
        core.newProducerIdentity { [self] result in
            if case .success(let identity) = result { sharedIdentity = identity }
            let waiters = identityWaiters
            identityWaiters = []
            for waiter in waiters { waiter(result) }
        }
    }
}

extension ClientCore {
    /// Asks any broker for a producer id.
    func newProducerIdentity(_ completion: @escaping Completion<ProducerIdentity>) {
        anyConnection { [self] result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let connection):
                var request = InitProducerIdRequest()
                request.transactionTimeoutMs = Int32.max
                call(.initProducerID, request, over: connection) {
                    (result: Result<InitProducerIdResponse, KafkaClientError>) in
                    completion(
                        result.flatMap { answer in
                            if let error = KafkaClientError(code: answer.errorCode) {
                                return .failure(error)
                            }
                            let identity = ProducerIdentity(
                                id: answer.producerId,
                                epoch: answer.producerEpoch
                            )
                            return .success(identity)
                        }
                    )
                }
            }
        }
    }
}
