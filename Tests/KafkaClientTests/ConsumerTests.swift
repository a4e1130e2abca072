import Compression
import KafkaClient
import KafkaProtocol
import NIOCore
import Synchronization
import Testing

/// Gathers what a consumer gives until a condition holds.
private final class Gathered: Sendable {
    private struct State {
        var values: [String] = []
        var offsets: [Int64] = []
        var failures: [KafkaClientError] = []
        var ends: [Int64] = []
        var waiter: (Int, CheckedContinuation<Void, Never>)?
    }

    private let state = Mutex(State())

    var values: [String] { state.withLock { $0.values } }
    var offsets: [Int64] { state.withLock { $0.offsets } }
    var failures: [KafkaClientError] { state.withLock { $0.failures } }
    var ends: [Int64] { state.withLock { $0.ends } }

    func take(_ event: ConsumerEvent) {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            switch event {
            case .batch(let batch):
                do throws(KafkaClientError) {
                    for record in try batch.records() {
                        state.values.append(String(decoding: record.value ?? [], as: UTF8.self))
                        state.offsets.append(record.offset)
                    }
                } catch {
                    state.failures.append(error)
                }
            case .end(_, let offset): state.ends.append(offset)
            case .failed(_, let error): state.failures.append(error)
            }
            guard let (count, waiter) = state.waiter,
                state.values.count >= count || !state.failures.isEmpty
            else { return nil }
            state.waiter = nil
            return waiter
        }
        waiter?.resume()
    }

    /// Waits until there are so many values, or a failure.
    func wait(for count: Int) async {
        await withCheckedContinuation { continuation in
            let isThere = state.withLock { state in
                if state.values.count >= count || !state.failures.isEmpty { return true }
                state.waiter = (count, continuation)
                return false
            }
            if isThere { continuation.resume() }
        }
    }
}

@Suite struct ConsumerTests {
    private static let values = (0..<100).map { "value \($0) of a text that can be packed" }
    private static let name = PartitionName("orders", 0)

    private static func consume(
        _ client: ClusterClient,
        from offset: Int64,
        resetTo: OffsetPosition? = nil
    ) async -> (Consumer, Gathered) {
        let gathered = Gathered()
        var options = ConsumerOptions()
        options.resetTo = resetTo
        options.fetchWait = .milliseconds(20)
        let consumer = await Consumer(client, from: [(name, offset)], options: options) {
            gathered.take($0)
        }
        return (consumer, gathered)
    }

    @Test(arguments: CompressionCodec.allCases)
    func `what was sent is read, whatever the codec`(_ codec: CompressionCodec) async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        var options = ProducerOptions()
        options.codec = codec
        options.batchBytesMax = 500
        try await ClusterClientTests.send(Self.values, over: client, options: options)
        let (consumer, gathered) = await Self.consume(client, from: 0)
        await gathered.wait(for: Self.values.count)
        #expect(gathered.values == Self.values)
        #expect(gathered.offsets == Array(0..<100))
        #expect(gathered.failures.isEmpty)
        await consumer.stop()
        await client.close()
        await broker.stop()
    }

    @Test func `reading may begin inside a batch`() async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        try await ClusterClientTests.send(Self.values, over: client)
        let (consumer, gathered) = await Self.consume(client, from: 97)
        await gathered.wait(for: 3)
        #expect(gathered.offsets == [97, 98, 99])
        await consumer.stop()
        await client.close()
        await broker.stop()
    }

    @Test func `the end is told once, and what comes later is read`() async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        try await ClusterClientTests.send(["a"], over: client)
        let (consumer, gathered) = await Self.consume(client, from: 0)
        await gathered.wait(for: 1)
        try await ClusterClientTests.send(["b"], over: client)
        await gathered.wait(for: 2)
        #expect(gathered.values == ["a", "b"])
        #expect(gathered.ends.first == 1)
        #expect(Set(gathered.ends).count == gathered.ends.count)
        await consumer.stop()
        await client.close()
        await broker.stop()
    }

    @Test func `refusals that pass and lost connections are overcome`() async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        try await ClusterClientTests.send(
            Self.values,
            over: client,
            options: ProducerTests.oneByOne
        )
        await broker.with { state in
            state.mischief = { api, number in
                guard api == .fetch else { return .none }
                switch number {
                case 1: return .refuse(.notLeaderOrFollower)
                case 2: return .drop
                case 3: return .refuse(.offsetNotAvailable)
                default: return .none
                }
            }
        }
        let (consumer, gathered) = await Self.consume(client, from: 0)
        await gathered.wait(for: Self.values.count)
        #expect(gathered.values == Self.values)
        await consumer.stop()
        await client.close()
        await broker.stop()
    }

    @Test func `an offset that is gone is an error, or the start if so wished`() async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        try await ClusterClientTests.send(["a"], over: client)
        let (first, refused) = await Self.consume(client, from: 50)
        await refused.wait(for: 1)
        #expect(refused.failures == [.refused(.offsetOutOfRange, message: nil)])
        await first.stop()
        let (second, reset) = await Self.consume(client, from: 50, resetTo: .earliest)
        await reset.wait(for: 1)
        #expect(reset.values == ["a"])
        await second.stop()
        await client.close()
        await broker.stop()
    }

    @Test func `a damaged batch is an error and not a record`() async throws {
        let (broker, client) = try await ClusterClientTests.setUp()
        try await ClusterClientTests.send(["a", "b"], over: client)
        await broker.with { state in
            let size = state.topics["orders"]?[0].batches[0].count ?? 0
            state.topics["orders"]?[0].batches[0][size - 3] ^= 1
        }
        let (consumer, gathered) = await Self.consume(client, from: 0)
        await gathered.wait(for: 1)
        #expect(gathered.values.isEmpty)
        #expect(
            gathered.failures.first
                == .badRecords("orders-0 at offset 0: its checksum is wrong")
        )
        await consumer.stop()
        await client.close()
        await broker.stop()
    }
}
