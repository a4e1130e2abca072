import KafkaProtocol
import Model
import NIOCore
import RecordBatch

/// How a consumer fetches.
public struct ConsumerOptions: Sendable {
    /// How long a broker may wait for data before it answers; 500 ms.
    public var fetchWait = TimeAmount.milliseconds(500)
    /// The bytes for which a broker answers before that; 1.
    public var bytesMin = 1
    /// The bytes of one answer, 8 MiB; a batch that is larger comes alone.
    public var bytesMax = 8 << 20
    /// The bytes of one partition in an answer; 1 MiB.
    public var partitionBytesMax = 1 << 20
    /// Where to go on when the offset is not there any more; nil reports an error.
    public var resetTo: OffsetPosition?

    /// The defaults.
    public init() {}
}

/// What a consumer tells its handler.
public enum ConsumerEvent: Sendable {
    /// A batch, in the order of its partition's offsets.
    case batch(FetchedBatch)
    /// Everything up to the partition's end was given; more may come.
    case end(PartitionName, offset: Int64)
    /// The partition is given up.
    case failed(PartitionName, KafkaClientError)
}

/// Fetches partitions from their leaders: one request per broker at a time, the next one on its
/// way before the handler sees the last answer.
///
/// - Thread: the client's event loop.
final class LoopConsumer {
    private final class Position {
        let name: PartitionName
        var offset: Int64
        /// The offset up to which the end was told already.
        var toldEnd: Int64 = -1
        var isFetching = false
        /// Waits for a new leader, or for time to pass.
        var isHeld = false

        init(_ name: PartitionName, _ offset: Int64) {
            self.name = name
            self.offset = offset
        }
    }

    private let core: ClientCore
    private let options: ConsumerOptions
    private let handler: (ConsumerEvent) -> Void
    private var positions: [Position] = []
    private var byName: [PartitionName: Position] = [:]
    private var isStopped = false

    init(core: ClientCore, options: ConsumerOptions, handler: @escaping (ConsumerEvent) -> Void) {
        self.core = core
        self.options = options
        self.handler = handler
    }

    /// Adds partitions and starts to fetch.
    func start(_ partitions: [(PartitionName, Int64)]) {
        for (name, offset) in partitions where byName[name] == nil {
            let position = Position(name, offset)
            positions.append(position)
            byName[name] = position
            core.wantedTopics.insert(name.topic)
        }
        fetchAll()
    }

    /// Ends fetching; the handler is not called any more.
    func stop() {
        isStopped = true
        positions = []
        byName = [:]
    }

    // MARK: Fetching

    /// Sends a request to each leader that has none under way.
    private func fetchAll() {
        guard !isStopped else { return }
        var groups: [Address: [Position]] = [:]
        var busy: Set<Address> = []
        var isLost = false
        for position in positions where !position.isHeld {
            guard let leader = core.leader(of: position.name) else {
                hold(position)
                isLost = true
                continue
            }
            if position.isFetching {
                busy.insert(leader)
            } else {
                groups[leader, default: []] += [position]
            }
        }
        if isLost { return renew() }
        for (address, group) in groups where !busy.contains(address) {
            for position in group { position.isFetching = true }
            core.connection(to: address) { [self] result in
                switch result {
                case .success(let connection): fetch(group, over: connection)
                case .failure: retry(group)
                }
            }
        }
    }

    private func fetch(_ group: [Position], over connection: BrokerConnection) {
        guard !isStopped else { return }
        var request = FetchRequest()
        request.replicaId = -1
        request.maxWaitMs = Int32(clamping: options.fetchWait.nanoseconds / 1_000_000)
        request.minBytes = Int32(clamping: options.bytesMin)
        request.maxBytes = Int32(clamping: options.bytesMax)
        request.sessionEpoch = -1
        for position in group {
            var partition = FetchRequest.FetchTopic.FetchPartition()
            partition.partition = position.name.partition
            partition.fetchOffset = position.offset
            partition.partitionMaxBytes = Int32(clamping: options.partitionBytesMax)
            if request.topics.last?.topic == position.name.topic {
                request.topics[request.topics.count - 1].partitions.append(partition)
            } else {
                var topic = FetchRequest.FetchTopic()
                topic.topic = position.name.topic
                topic.partitions = [partition]
                request.topics.append(topic)
            }
        }
        let timeout = core.options.requestTimeout + options.fetchWait
        core.call(.fetch, request, over: connection, timeout: timeout) {
            [self] (result: Result<FetchResponse, KafkaClientError>) in
            guard !isStopped else { return }
            switch result {
            case .success(let response): take(response, group)
            case .failure(.unsupported(let api)): fail(group, .unsupported(api))
            case .failure: retry(group)
            }
        }
    }

    private func take(_ response: FetchResponse, _ group: [Position]) {
        for position in group { position.isFetching = false }
        guard response.errorCode == 0 else { return retry(group) }
        var events: [ConsumerEvent] = []
        var mustRenew = false
        for topic in response.responses {
            for answer in topic.partitions {
                let name = PartitionName(topic.topic, answer.partitionIndex)
                guard let position = byName[name] else { continue }
                if let error = KafkaClientError(code: answer.errorCode) {
                    mustRenew = take(error, position, &events) || mustRenew
                } else {
                    take(answer, position, &events)
                }
            }
        }
        // The next request is under way while the handler works.
        if mustRenew { renew() } else { fetchAll() }
        for event in events where !isStopped { handler(event) }
    }

    private func take(
        _ answer: FetchResponse.FetchableTopicResponse.PartitionData,
        _ position: Position,
        _ events: inout [ConsumerEvent]
    ) {
        do {
            let batches = try FetchedBatch.split(
                answer.records ?? ByteBuffer(),
                partition: position.name,
                start: position.offset,
                highWatermark: answer.highWatermark
            )
            for batch in batches { events.append(.batch(batch)) }
            if let last = batches.last { position.offset = last.header.lastOffset.rawValue + 1 }
            if position.offset >= answer.highWatermark, position.toldEnd < position.offset {
                position.toldEnd = position.offset
                events.append(.end(position.name, offset: position.offset))
            }
        } catch {
            remove(position)
            events.append(.failed(position.name, error))
        }
    }

    // MARK: Errors

    /// Holds or removes a partition; tells whether the metadata must be renewed.
    private func take(
        _ error: KafkaClientError,
        _ position: Position,
        _ events: inout [ConsumerEvent]
    ) -> Bool {
        if case .refused(.offsetOutOfRange, _) = error {
            guard let place = options.resetTo else {
                remove(position)
                events.append(.failed(position.name, error))
                return false
            }
            reset(position, to: place)
            return false
        }
        guard error.isRetriable else {
            remove(position)
            events.append(.failed(position.name, error))
            return false
        }
        hold(position)
        return true
    }

    private func reset(_ position: Position, to place: OffsetPosition) {
        hold(position)
        let timestamp: Int64 = if case .latest = place { -1 } else { -2 }
        core.offset(of: position.name, at: timestamp) { [self] result in
            if case .success(let offset) = result { position.offset = offset }
            release(after: core.options.retryPause)
        }
    }

    private func hold(_ position: Position) { position.isHeld = true }

    private func remove(_ position: Position) {
        positions.removeAll { $0 === position }
        byName[position.name] = nil
    }

    private func fail(_ group: [Position], _ error: KafkaClientError) {
        for position in group {
            remove(position)
            handler(.failed(position.name, error))
        }
    }

    private func retry(_ group: [Position]) {
        for position in group {
            position.isFetching = false
            hold(position)
        }
        renew()
    }

    /// Renews the metadata and goes on with what was held; the others go on meanwhile.
    private func renew() {
        core.after(core.options.retryPause) { [self] in
            guard !isStopped else { return }
            core.refresh { [self] _ in release(after: .zero) }
        }
        if positions.contains(where: { !$0.isHeld && !$0.isFetching }) { fetchAll() }
    }

    private func release(after pause: TimeAmount) {
        core.after(pause) { [self] in
            for position in positions { position.isHeld = false }
            fetchAll()
        }
    }
}

/// Reads partitions from given offsets on.
public final class Consumer: Sendable {
    private let client: ClusterClient
    private let bound: NIOLoopBoundBox<LoopConsumer?>

    /// Starts to read; the handler is called on the client's event loop and may block it, which
    /// holds back the brokers.
    public init(
        _ client: ClusterClient,
        from partitions: [(PartitionName, Int64)],
        options: ConsumerOptions = ConsumerOptions(),
        handler: @escaping @Sendable (ConsumerEvent) -> Void
    ) async {
        self.client = client
        self.bound = .makeEmptyBox(valueType: LoopConsumer.self, eventLoop: client.loop)
        let bound = self.bound
        await client.onLoop { core, done in
            let consumer = LoopConsumer(core: core, options: options, handler: handler)
            bound.value = consumer
            consumer.start(partitions)
            done(())
        }
    }

    /// Ends reading; afterwards the handler is not called any more.
    public func stop() async {
        let bound = self.bound
        await client.onLoop { _, done in
            bound.value?.stop()
            bound.value = nil
            done(())
        }
    }
}
