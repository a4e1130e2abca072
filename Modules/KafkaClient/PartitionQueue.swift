import Compression
import DequeModule
import KafkaProtocol
import Model
import NIOCore
import RecordBatch

/// The records of one partition between `append` and their report.
///
/// - Thread: the client's event loop.
/// - Invariant: batches are sent in the order of `append`. After a failure nothing new is sent
///   until all that is in flight has been answered; then the failed batches go first again. With
///   idempotence a batch keeps its number for all its tries, so that a broker that has it already
///   says so. The number is only given up together with the producer's identity, and then batches
///   whose fate is unknown fail rather than being written twice.
final class PartitionQueue {
    let name: PartitionName
    private let producer: LoopProducer
    private let options: ProducerOptions

    private var open: RecordBatchBuilder?
    private var openTags: [UInt64] = []
    private var openDeadline = NIODeadline.distantFuture
    /// Counts the batches that were opened: a timer seals only the one that it was made for.
    private var opened: UInt64 = 0
    private var waiting: Deque<ProduceBatch> = []
    private var failed: [ProduceBatch] = []
    private var inFlight = 0
    private var identity: ProducerIdentity?
    private var nextSequence: Int32 = 0
    private var needsIdentity: Bool
    /// Something is under way that ends with a call of `pump`.
    private var isBusy = false
    /// A batch has failed, and the others in flight are still to be answered.
    private var isDraining = false
    /// The producer was closed: nothing goes again.
    private var isAbandoned = false

    init(_ name: PartitionName, producer: LoopProducer) {
        self.name = name
        self.producer = producer
        self.options = producer.options
        self.needsIdentity = producer.options.numbersBatches
    }

    /// Whether nothing is left that will be reported.
    var isEmpty: Bool { open == nil && unfinished == 0 }
    /// Batches that are whole and not reported.
    var unfinished: Int { waiting.count + failed.count + inFlight }

    // MARK: Filling

    /// Adds a record; gives the bytes that it takes.
    func append(_ record: OutgoingRecord) -> Int {
        if open == nil {
            open = RecordBatchBuilder(capacity: min(options.batchBytesMax + 1024, 1 << 20))
            openDeadline = .now() + options.deliveryTimeout
            planSeal()
        }
        let before = open?.size ?? 0
        open?.append(
            key: record.key,
            value: record.value,
            headers: record.headers,
            timestamp: record.timestamp
        )
        openTags.append(record.tag)
        let after = open?.size ?? 0
        if after >= options.batchBytesMax { seal() }
        return after - before
    }

    private func planSeal() {
        guard options.batchBytesMax > 1 else { return }
        opened += 1
        guard options.linger > .zero else {
            return producer.core.loop.assumeIsolated().execute { [self] in seal() }
        }
        let mine = opened
        producer.core.after(options.linger) { [self] in
            if opened == mine { seal() }
        }
    }

    /// Ends the open batch and sends it when its turn has come.
    func seal() {
        guard var builder = open else { return }
        open = nil
        let tags = openTags
        openTags.removeAll(keepingCapacity: true)
        var sequence: Int32?
        if let identity, !needsIdentity {
            sequence = nextSequence
            builder.producer = (identity.id, identity.epoch, nextSequence)
        }
        let size = builder.size - RecordBatchHeader.size
        producer.sealed()
        do {
            let bytes =
                options.codec == .none
                ? builder.build()
                : try builder.build(
                    codec: options.codec.rawValue,
                    compress: options.codec.compress
                )
            let batch = ProduceBatch(
                partition: name,
                bytes: bytes,
                tags: tags,
                bufferedBytes: size,
                deadline: openDeadline,
                sequence: sequence
            )
            if sequence != nil { advance(by: tags.count) }
            waiting.append(batch)
            pump()
        } catch {
            producer.report(
                DeliveryReport(
                    partition: name,
                    baseOffset: -1,
                    tags: tags,
                    error: .badRecords("\(error)"),
                    mayExist: false
                ),
                bytes: size
            )
        }
    }

    private func advance(by count: Int) {
        nextSequence = (nextSequence &+ Int32(count)) & Int32.max
    }

    // MARK: Sending

    /// Sends what may be sent now.
    func pump() {
        guard !isBusy, !isDraining, !isAbandoned, !waiting.isEmpty else { return }
        if needsIdentity { return fetchIdentity() }
        guard let address = producer.core.leader(of: name) else { return findLeader() }
        while inFlight < options.window, !waiting.isEmpty, !isDraining {
            guard let connection = producer.core.openConnection(to: address) else {
                return connect(to: address)
            }
            guard let batch = waiting.popFirst() else { return }
            send(batch, over: connection)
        }
    }

    private func send(_ batch: ProduceBatch, over connection: BrokerConnection) {
        inFlight += 1
        let timeout = producer.core.options.requestTimeout
        let version = connection.version(of: .produce) ?? 0
        connection.send(
            .produce,
            capacity: batch.bytes.count + name.topic.utf8.count + 64,
            timeout: timeout + .seconds(2),
            expectsAnswer: options.acks != .none
        ) { writer, version in
            batch.writeRequest(
                to: &writer,
                version: version,
                acks: options.acks,
                timeoutMilliseconds: Int32(clamping: timeout.nanoseconds / 1_000_000)
            )
        } completion: { [self] result in
            answered(batch, read(result, version, connection))
        }
    }

    private func read(
        _ result: Result<KafkaReader, KafkaClientError>,
        _ version: Int16,
        _ connection: BrokerConnection
    ) -> Result<Int64, KafkaClientError> {
        if options.acks == .none { return result.map { _ in -1 } }
        let response: Result<ProduceResponse, KafkaClientError> = ClientCore.read(
            .produce,
            version,
            result,
            connection
        )
        return response.flatMap { response in
            guard let answer = response.responses.first?.partitionResponses.first else {
                return .failure(connection.bad("produce without partition"))
            }
            // Written by an earlier try, whose answer was lost.
            if answer.errorCode == KafkaError.duplicateSequenceNumber.rawValue {
                return .success(-1)
            }
            if let error = KafkaClientError(code: answer.errorCode, message: answer.errorMessage) {
                return .failure(error)
            }
            return .success(answer.baseOffset)
        }
    }

    // MARK: Answers

    private func answered(_ batch: ProduceBatch, _ result: Result<Int64, KafkaClientError>) {
        inFlight -= 1
        switch result {
        case .success(let offset): report(batch, offset: offset, error: nil)
        case .failure(let error): take(error, for: batch)
        }
        if isDraining {
            if inFlight == 0 { drained() }
        } else {
            pump()
        }
    }

    private func take(_ error: KafkaClientError, for batch: ProduceBatch) {
        batch.lastError = error
        batch.mayExist = Self.mayHaveWritten(error) || (batch.mayExist && error.isRetriable)
        if isAbandoned { return report(batch, offset: -1, error: error) }
        switch error {
        case .refused(.outOfOrderSequenceNumber, _) where isDraining && batch.sequence != nil:
            // Only because an earlier batch has failed.
            failed.append(batch)
        case .refused(.unknownProducerID, _) where batch.sequence != nil,
            .refused(.invalidProducerEpoch, _) where batch.sequence != nil:
            // The broker has forgotten us: it did not write the batch. Start over by another name.
            needsIdentity = true
            failed.append(batch)
        case _ where error.isRetriable && batch.deadline > .now():
            failed.append(batch)
        default:
            if batch.sequence != nil { needsIdentity = true }
            report(batch, offset: -1, error: error)
            // Without numbers the batches behind it do not depend on it.
            guard batch.sequence != nil else { return }
        }
        isDraining = true
    }

    /// Whether the broker may have written the batch although it says this.
    private static func mayHaveWritten(_ error: KafkaClientError) -> Bool {
        switch error {
        case .disconnected, .timedOut, .badAnswer, .closed: true
        case .refused(.notLeaderOrFollower, _), .refused(.requestTimedOut, _),
            .refused(.notEnoughReplicasAfterAppend, _), .refused(.networkException, _),
            .refused(.kafkaStorageError, _), .refused(.unknownServerError, _):
            true
        default: false
        }
    }

    /// Everything in flight was answered: put the failed batches in front and go on after a pause.
    private func drained() {
        isDraining = false
        // Sorted before anything is reported: a flush that waits looks after each report, and must
        // see neither a batch that is done with nor miss one that goes again.
        let batches = failed
        failed = []
        let lost = batches.filter { needsIdentity && $0.mayExist }
        for batch in batches.reversed() where !(needsIdentity && batch.mayExist) {
            waiting.prepend(batch)
        }
        for batch in lost { report(batch, offset: -1, error: batch.lastError) }
        guard !waiting.isEmpty else { return }
        pause { [self] in renewLeader() }
    }

    private func report(_ batch: ProduceBatch, offset: Int64, error: KafkaClientError?) {
        producer.report(
            DeliveryReport(
                partition: name,
                baseOffset: offset,
                tags: batch.tags,
                error: error,
                mayExist: error != nil && batch.mayExist
            ),
            bytes: batch.bufferedBytes
        )
    }

    // MARK: Finding the way

    private func pause(_ body: @escaping () -> Void) {
        isBusy = true
        producer.core.after(producer.core.options.retryPause) { [self] in
            isBusy = false
            expire()
            body()
        }
    }

    private func renewLeader() {
        guard !waiting.isEmpty else { return }
        isBusy = true
        producer.core.refresh { [self] _ in
            isBusy = false
            expire()
            pump()
        }
    }

    private func findLeader() {
        isBusy = true
        producer.core.refresh { [self] result in
            isBusy = false
            expire(reason: result.failure ?? noLeaderReason)
            guard !waiting.isEmpty else { return }
            if producer.core.leader(of: name) != nil { return pump() }
            pause { [self] in pump() }
        }
    }

    private var noLeaderReason: KafkaClientError {
        guard let topic = producer.core.topics[name.topic], !topic.partitions.isEmpty else {
            return .unknownTopic(name.topic)
        }
        guard producer.core.partition(name) != nil else {
            return .unknownPartition(topic: name.topic, partition: name.partition)
        }
        return .refused(.leaderNotAvailable, message: "partition \(name) has no leader")
    }

    private func connect(to address: Address) {
        isBusy = true
        producer.core.connection(to: address) { [self] result in
            isBusy = false
            guard case .failure(let error) = result else { return pump() }
            expire(reason: error)
            pause { [self] in renewLeader() }
        }
    }

    private func fetchIdentity() {
        guard inFlight == 0 else { return }
        isBusy = true
        producer.identity(replacing: identity) { [self] result in
            isBusy = false
            switch result {
            case .success(let identity):
                self.identity = identity
                needsIdentity = false
                nextSequence = 0
                for batch in waiting {
                    batch.number(identity, sequence: nextSequence)
                    advance(by: batch.recordCount)
                }
                pump()
            case .failure(let error):
                expire(reason: error)
                pause { [self] in pump() }
            }
        }
    }

    // MARK: Giving up

    /// Fails what has waited for too long; the reason is for batches that were never sent.
    func expire(reason: KafkaClientError? = nil) {
        if let reason {
            for batch in waiting where batch.lastError == nil { batch.lastError = reason }
        }
        let now = NIODeadline.now()
        while inFlight == 0, !isDraining, let first = waiting.first, first.deadline <= now {
            waiting.removeFirst()
            if first.sequence != nil { needsIdentity = true }
            let error = first.lastError ?? .timedOut("no answer from the leader of \(name)")
            report(first, offset: -1, error: error)
        }
        guard needsIdentity, inFlight == 0, !isDraining else { return }
        for batch in waiting where !batch.mayExist { batch.forgetNumber() }
        let lost = waiting.filter(\.mayExist)
        guard !lost.isEmpty else { return }
        waiting.removeAll(where: \.mayExist)
        for batch in lost { report(batch, offset: -1, error: batch.lastError) }
    }

    /// Fails everything but what is in flight, which is reported when it is answered.
    func abandon() {
        isAbandoned = true
        seal()
        let rest = failed + waiting
        failed = []
        waiting = []
        for batch in rest { report(batch, offset: -1, error: .closed) }
    }
}

extension Result {
    fileprivate var failure: Failure? {
        guard case .failure(let error) = self else { return nil }
        return error
    }
}
