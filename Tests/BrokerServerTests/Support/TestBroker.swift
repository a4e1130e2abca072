import Disk
import InterBrokerProtocol
import KafkaProtocol
import Logging
import Metadata
import Model
import NIOCore
import NIOPosix
import RaftHost
import RaftLog
import RecordBatch
import Synchronization
import Telemetry

@testable import BrokerServer

/// A whole broker over files in memory, with a controller of its own in place of controllerd.
final class TestBroker: Sendable {
    let log: RecordingLog
    let reference: BrokerReference
    let port: Int
    let files: MemoryFiles
    private let eventLoop: any EventLoop
    private let group: MultiThreadedEventLoopGroup
    private let writer: ThreadExecutor
    private let reader: ThreadExecutor
    private let directory: LogDirectory
    private let listener: any Channel
    /// What the controllers knew when this broker stopped.
    private let metadata = Mutex<ClusterMetadata?>(nil)

    static let path = "/data"

    private init(
        log: RecordingLog,
        reference: BrokerReference,
        files: MemoryFiles,
        group: MultiThreadedEventLoopGroup,
        writer: ThreadExecutor,
        reader: ThreadExecutor,
        directory: LogDirectory,
        listener: any Channel
    ) {
        self.log = log
        self.reference = reference
        self.files = files
        self.group = group
        self.eventLoop = group.next()
        self.writer = writer
        self.reader = reader
        self.directory = directory
        self.listener = listener
        self.port = listener.localAddress?.port ?? 0
    }

    /// Starts a broker; after another one, on its files and with its cluster's metadata, unless no
    /// controller `answers`.
    static func start(
        after other: TestBroker? = nil,
        answers: Bool = true,
        change: @Sendable (inout BrokerOptions) -> Void = { _ in },
        host changeHost: @escaping @Sendable (inout RaftHostOptions) -> Void = { _ in }
    ) async throws -> TestBroker {
        let files = other?.files ?? MemoryFiles()
        let cluster = other?.metadata.withLock { $0 }
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let writer = ThreadExecutor(name: "test-writer")
        let reader = ThreadExecutor(name: "test-reader")
        var random = SystemRandomNumberGenerator()
        var logOptions = RaftLogOptions()
        logOptions.walFileBytes = 1 << 20
        logOptions.walFilesMax = 2
        if files.kind(of: path) == nil { try files.makeDirectory(path) }
        let (directory, logs) = try LogDirectory.open(
            path: path,
            files: files,
            writer: writer,
            reader: reader,
            options: logOptions,
            cluster: TestController.cluster,
            random: &random
        )
        let options = brokerOptions(change)
        let groups = NIOLoopBoundBox.makeBoxSendingValue(logs, eventLoop: loop)
        let log = RecordingLog()
        let reference = try await loop.submit {
            var host = RaftHostOptions()
            host.tick = .milliseconds(5)
            changeHost(&host)
            let manager = RaftManager(
                eventLoop: loop,
                directory: directory,
                options: host,
                random: SystemRandomNumberGenerator(),
                logger: log.logger
            )
            let file = MetadataJournal(
                directory: path,
                files: files,
                executor: reader,
                eventLoop: loop,
                logger: log.logger
            )
            let broker = makeBroker(manager, options, file, log)
            if answers { broker.use(TestController(broker, cluster)) }
            try broker.recover(groups.value)
            manager.startTicking()
            broker.startTicking()
            return broker.reference
        }.get()
        let listener = try await reference.run { broker in
            KafkaListener.bind(Address(host: "127.0.0.1", port: 0), broker: broker)
        }.get()
        return TestBroker(
            log: log,
            reference: reference,
            files: files,
            group: group,
            writer: writer,
            reader: reader,
            directory: directory,
            listener: listener
        )
    }

    private static func makeBroker(
        _ manager: RaftManager,
        _ options: BrokerOptions,
        _ file: MetadataJournal,
        _ log: RecordingLog
    ) -> Broker {
        let broker = Broker(
            eventLoop: manager.eventLoop,
            options: options,
            manager: manager,
            metrics: BrokerMetrics(MetricsRegistry()),
            logger: log.logger
        )
        broker.clusterID = TestController.cluster
        broker.use(file)
        var settings = GroupSettings()
        settings.initialRebalanceDelay = .zero
        broker.use(GroupService(broker: broker, settings: settings))
        return broker
    }

    private static func brokerOptions(
        _ change: (inout BrokerOptions) -> Void
    ) -> BrokerOptions {
        var options = BrokerOptions(
            brokerID: 1,
            advertisedClient: Address(host: "127.0.0.1", port: 9092)
        )
        options.defaultReplicationFactor = 1
        options.offsetsTopicReplicationFactor = 1
        options.offsetsTopicPartitions = 2
        change(&options)
        return options
    }

    /// Stops in good order; the files can be opened again.
    func stop() async throws {
        try await listener.close()
        _ = await reference.wait { (broker, done: @escaping @Sendable (Bool) -> Void) in
            broker.storeMetadata { done(true) }
        }
        let cluster = try await reference.run { broker in
            broker.shutdown()
            broker.manager.shutdown()
            return (broker.controllers as? TestController)?.cluster
        }
        metadata.withLock { $0 = cluster }
        await withCheckedContinuation { continuation in
            directory.close { _ in continuation.resume() }
        }
        try await group.shutdownGracefully()
        writer.stop()
        reader.stop()
    }

    func client() async throws -> TestClient { try await TestClient.connect(port: port) }

    /// Creates a topic of one replica and waits until its partitions have leaders.
    func createTopic(_ name: String, partitions: Int32 = 1) async throws {
        _ = await reference.wait { (broker, done: @escaping @Sendable (Bool) -> Void) in
            broker.createTopic(NewTopic(name: name, partitions: partitions, replicationFactor: 1))
            done(true)
        }
        await waitForLeaders(of: name)
    }

    /// Returns once every partition of a topic has a leader.
    func waitForLeaders(of name: String) async {
        _ = await reference.wait { (broker, done: @escaping @Sendable (Bool) -> Void) in
            broker.metadata.wait(
                for: { broker.hasLeaders(name) },
                atMost: .seconds(10),
                then: { done(true) }
            )
        }
    }
}

/// Does at once, on the broker's own loop, what controllers do with their log.
final class TestController: ControllerAccess {
    static let cluster = ClusterID(UniqueID(high: 0xc1, low: 0x05))

    private unowned let broker: Broker
    private(set) var cluster: ClusterMetadata
    /// Answers what is asked about the controllers themselves.
    var quorum: ((Any) -> Any?)?

    init(_ broker: Broker, _ known: ClusterMetadata?) {
        self.broker = broker
        cluster = known ?? ClusterMetadata()
        if let known {
            let json = String(decoding: known.json, as: UTF8.self)
            push(GetTopicMetadataResponse(version: known.version, full: true), json)
        } else {
            commit(.setClusterID(Self.cluster))
        }
        commit(
            .registerBroker(
                BrokerRegistration(
                    id: 1,
                    session: SessionID(UniqueID(high: 5, low: 5)),
                    directoryID: broker.manager.directory.directoryID,
                    clientHost: "127.0.0.1",
                    clientPort: 9092,
                    peerAddress: "127.0.0.1:9192"
                )
            )
        )
    }

    @discardableResult
    func commit(_ command: MetadataCommand) -> [Effect] {
        let from = cluster.version
        let effects = cluster.apply(command, at: from + 1)
        let json = String(decoding: command.json, as: UTF8.self)
        let push = MetadataChangedRequest(
            version: cluster.version,
            fromVersion: from,
            commands: [VersionedCommand(version: cluster.version, command: json)]
        )
        do {
            broker.apply(try MetadataUpdate(push))
        } catch {
            preconditionFailure("\(error)")
        }
        return effects
    }

    private func push(_ response: GetTopicMetadataResponse, _ json: String) {
        do {
            broker.apply(try MetadataUpdate(response, snapshot: json))
        } catch {
            preconditionFailure("\(error)")
        }
    }

    func ask<Request: InterBrokerRequest>(
        _ request: Request,
        completion: @escaping (Result<Request.Response, Refusal>) -> Void
    ) {
        let response: Any
        switch request {
        case let request as InterBrokerProtocol.CreateTopicsRequest: response = create(request)
        case let request as InterBrokerProtocol.DeleteTopicsRequest: response = delete(request)
        case let request as ReassignPartitionsRequest: response = reassign(request)
        case let request as AllocateProducerIDsRequest:
            commit(.allocateProducerIDs(request.count))
            response = AllocateProducerIDsResponse(
                first: Int64(cluster.version.rawValue) * 1000,
                count: request.count
            )
        default:
            guard let played = quorum?(request) else {
                return completion(.failure(Refusal("not answered here")))
            }
            response = played
        }
        guard let response = response as? Request.Response else {
            return completion(.failure(Refusal("another answer was expected")))
        }
        completion(.success(response))
    }

    private func create(
        _ request: InterBrokerProtocol.CreateTopicsRequest
    ) -> InterBrokerProtocol.CreateTopicsResponse {
        var random = SystemRandomNumberGenerator()
        return InterBrokerProtocol.CreateTopicsResponse(
            topics: request.topics.map { topic in
                let id = TopicID(using: &random)
                guard let name = TopicName(topic.name), cluster.topic(name) == nil else {
                    return CreatedTopic(name: topic.name, topicID: id, errorCode: 36)
                }
                let configs = TopicConfigs(topic.configs.map { ConfigEntry($0.key, $0.value) })
                commit(
                    .createTopic(
                        TopicCreation(
                            name: name,
                            topicID: id,
                            assignments: Array(repeating: [1], count: Int(topic.partitions)),
                            configs: configs
                        )
                    )
                )
                if let info = cluster.topic(id) { start(info) }
                return CreatedTopic(
                    name: topic.name,
                    topicID: id,
                    errorCode: 0,
                    partitions: topic.partitions,
                    replicationFactor: 1
                )
            }
        )
    }

    /// Commits the moves; who is named must have been registered with `register`.
    private func reassign(_ request: ReassignPartitionsRequest) -> ReassignPartitionsResponse {
        let results = request.partitions.map { move in
            var result = PartitionResult(
                topicName: move.topicName,
                partitionID: move.partitionID,
                errorCode: 0
            )
            let name = TopicName(move.topicName)
            guard let info = name.flatMap({ cluster.topic($0) })?.partition(move.partitionID) else {
                result.errorCode = 3
                return result
            }
            let command = PartitionReassignment(group: info.group, brokers: move.replicas)
            for case .refused(let refusal) in commit(.reassignPartition(command)) {
                result.errorCode = move.replicas == nil ? 85 : 39
                result.message = refusal.description
            }
            return result
        }
        return ReassignPartitionsResponse(partitions: results, metadataVersion: cluster.version)
    }

    /// Takes another broker into the cluster, of which only the metadata know.
    func register(_ id: Int32) {
        commit(
            .registerBroker(
                BrokerRegistration(
                    id: BrokerID(id),
                    session: SessionID(UniqueID(high: 5, low: UInt64(id))),
                    directoryID: DirectoryID(UniqueID(high: 6, low: UInt64(id))),
                    clientHost: "127.0.0.1",
                    clientPort: 9092 + id,
                    peerAddress: "127.0.0.1:1"
                )
            )
        )
    }

    private func start(_ topic: TopicInfo) {
        var random = SystemRandomNumberGenerator()
        for info in topic.partitions {
            let request = StartPartitionRaftGroupRequest(
                raftGroupID: info.group,
                topicID: topic.topicID,
                topicName: topic.name.text,
                partitionID: info.partition,
                nodeMembers: Dictionary(
                    uniqueKeysWithValues: info.replicas.map {
                        ("\($0.node)", "127.0.0.1:9192")
                    }
                ),
                join: false,
                directoryID: broker.manager.directory.directoryID
            )
            broker.start(request, RequestID(using: &random)) { _ in }
        }
    }

    private func delete(
        _ request: InterBrokerProtocol.DeleteTopicsRequest
    ) -> InterBrokerProtocol.DeleteTopicsResponse {
        InterBrokerProtocol.DeleteTopicsResponse(
            topics: request.topics.map { reference in
                guard let name = reference.name.flatMap({ TopicName($0) }),
                    let topic = cluster.topic(name)
                else {
                    return DeletedTopic(
                        name: reference.name ?? "",
                        topicID: TopicID(.zero),
                        errorCode: 3
                    )
                }
                commit(.deleteTopic(topic.topicID))
                for info in topic.partitions {
                    broker.stop(
                        StopPartitionRaftGroupRequest(
                            raftGroupID: info.group,
                            topicID: topic.topicID,
                            topicName: name.text,
                            partitionID: info.partition,
                            purge: true
                        )
                    ) { _ in }
                }
                return DeletedTopic(name: name.text, topicID: topic.topicID, errorCode: 0)
            }
        )
    }
}

/// A batch of records, as a producer would send it.
func testBatch(
    _ values: [String],
    producer: (id: Int64, epoch: Int16, baseSequence: Int32)? = nil,
    timestamp: Int64 = 1_000
) -> ByteBuffer {
    var builder = RecordBatchBuilder()
    builder.producer = producer
    for (place, value) in values.enumerated() {
        builder.append(key: nil, value: Array(value.utf8), timestamp: timestamp + Int64(place))
    }
    return ByteBuffer(bytes: builder.build())
}

/// The values of the records in fetched batches, end to end.
func testValues(_ records: ByteBuffer?) -> [String] {
    var rest = records ?? ByteBuffer()
    var values: [String] = []
    while let length = rest.getInteger(at: rest.readerIndex + 8, as: Int32.self),
        let batch = rest.readBytes(length: Int(length) + 12),
        let header = RecordBatchHeader(batch)
    {
        var iterator = RecordIterator(
            Array(batch.dropFirst(RecordBatchHeader.size)),
            count: header.recordCount
        )
        while let record = iterator.next() {
            values.append(String(decoding: record.value ?? [], as: UTF8.self))
        }
    }
    return values
}
