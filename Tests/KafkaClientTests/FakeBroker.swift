import KafkaProtocol
import Model
import NIOCore
import NIOPosix
import RecordBatch
import Synchronization

/// What the test wants to happen to a request instead of an ordinary answer.
enum Mischief: Sendable {
    /// Answer as usual.
    case none
    /// Close the connection without doing anything.
    case drop
    /// Do what was asked, and close the connection without an answer.
    case doAndDrop
    /// Refuse with this code, per partition or topic.
    case refuse(KafkaError)
}

/// A small broker inside the test process: partitions in memory, and faults on demand.
///
/// - Thread: all state belongs to its one event loop; tests ask through the async functions.
final class FakeBroker: Sendable {
    struct Producer: Equatable {
        var epoch: Int16
        /// The first sequence, the record count and the offset of the last five batches.
        var last: [[Int64]] = []
    }

    struct Partition {
        var batches: [[UInt8]] = []
        var nextOffset: Int64 = 0
        var startOffset: Int64 = 0
        var producers: [Int64: Producer] = [:]
    }

    final class State {
        var topics: [String: [Partition]] = [:]
        var nextProducerID: Int64 = 1000
        var requests: [ApiKey: Int] = [:]
        /// Asked before each request; the number counts from 1 per API.
        var mischief: (ApiKey, Int) -> Mischief = { _, _ in .none }
        /// Whether answers wait until they are released.
        var holdsAnswers = false
        var heldAnswers: [() -> Void] = []
        /// The version range of each API; nil takes what the codecs know.
        var range: (ApiKey) -> ClosedRange<Int16>? = { KafkaVersions.advertised($0) }
        var clusterBrokers: [Int32: Address] = [:]
        /// Which broker leads, by topic and partition; 0 otherwise.
        var leaders: [PartitionKey: Int32] = [:]
        /// Where partitions are being moved to.
        var moves: [PartitionKey: [Int32]] = [:]
        /// The cluster's controllers and their addresses.
        var controllers: [Int32: Address] = [:]

        /// Gives the answers that were held, and holds no more.
        func releaseAnswers() {
            holdsAnswers = false
            for answer in heldAnswers { answer() }
            heldAnswers = []
        }
    }

    struct PartitionKey: Hashable {
        let topic: String
        let partition: Int32
    }

    let id: Int32
    let address: Address
    private let channel: any Channel
    private let state: NIOLoopBoundBox<State>
    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    /// Starts a broker; brokers that share a state are one cluster.
    static func start(id: Int32 = 0, joining other: FakeBroker? = nil) async throws -> FakeBroker {
        let loop = group.next()
        let state = other?.state ?? NIOLoopBoundBox.makeBoxSendingValue(State(), eventLoop: loop)
        let channel = try await ServerBootstrap(group: loop)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        FakeConnection(state: state.value, id: id)
                    )
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = channel.localAddress?.port ?? 0
        let address = Address(host: "127.0.0.1", port: port)
        let broker = FakeBroker(id: id, address: address, channel: channel, state: state)
        await broker.with { $0.clusterBrokers[id] = address }
        return broker
    }

    private init(
        id: Int32,
        address: Address,
        channel: any Channel,
        state: NIOLoopBoundBox<State>
    ) {
        self.id = id
        self.address = address
        self.channel = channel
        self.state = state
    }

    /// Looks at the state, or changes it.
    @discardableResult
    func with<T: Sendable>(_ body: @escaping @Sendable (State) -> T) async -> T {
        let state = self.state
        return await withCheckedContinuation { continuation in
            channel.eventLoop.execute { continuation.resume(returning: body(state.value)) }
        }
    }

    /// Makes a topic without asking anybody.
    func create(_ topic: String, partitions: Int = 1) async {
        await with { $0.topics[topic] = Array(repeating: Partition(), count: partitions) }
    }

    /// The values of all records of a partition, in order.
    func values(_ topic: String, _ partition: Int = 0) async -> [String] {
        let batches = await with { $0.topics[topic]?[partition].batches ?? [] }
        return batches.flatMap { batch -> [String] in
            guard let header = RecordBatchHeader(batch) else { return ["?"] }
            var iterator = RecordIterator(
                Array(batch[RecordBatchHeader.size...]),
                count: header.recordCount
            )
            var values: [String] = []
            while let record = iterator.next() {
                values.append(String(decoding: record.value ?? [], as: UTF8.self))
            }
            return values
        }
    }

    func stop() async { try? await channel.close() }
}
