import KafkaProtocol
import Model
import Raft
import RaftHost
import RaftLog
import Testing

@testable import BrokerServer

/// What a leader answers in the very turn in which it stops being one.
@Suite struct SteppingDownTests {
    /// Hears of a newer term and then gets pipelined batches, all in one turn of the loop.
    private static func outcomes(
        _ sequences: ClosedRange<Int32>,
        after type: MessageType = .heartbeat,
        in broker: TestBroker
    ) async throws -> [ProduceOutcome] {
        try await broker.reference.run { broker in
            guard let partition = broker.table.partition("t", 0) else { return [] }
            let node = partition.identity.node
            let news = Message(
                type: type,
                to: node,
                from: NodeID(owner: 2, incarnation: 1),
                term: partition.leadership.term + 1
            )
            broker.manager.receive([
                ReceivedMessage(group: partition.identity.group, message: news, chain: nil)
            ])
            var outcomes: [ProduceOutcome] = []
            for sequence in sequences {
                let batch = ProducerBatch(
                    producerID: 7,
                    epoch: 0,
                    firstSequence: sequence,
                    recordCount: 1
                )
                guard
                    let payload = BatchPayload(
                        batch: testBatch(["b"], producer: (7, 0, sequence))
                    )
                else { continue }
                partition.produce(payload, producer: batch, .committed) { outcomes.append($0) }
            }
            return outcomes
        }
    }

    @Test func `every batch behind the first is turned away for the same reason`() async throws {
        let broker = try await TestBroker.start()
        try await broker.createTopic("t")
        let client = try await broker.client()
        let first = testBatch(["a"], producer: (7, 0, 0))
        #expect(try await ServingTests.produce(client, "t", first).errorCode == 0)
        let outcomes = try await Self.outcomes(1...3, in: broker)
        #expect(outcomes == Array(repeating: .failed(.notLeaderOrFollower), count: 3))
        try await broker.stop()
    }

    @Test func `a leader that has fallen silent is named to nobody until it is heard again`()
        async throws
    {
        let broker = try await TestBroker.start()
        try await broker.createTopic("t")
        let other = NodeID(owner: 2, incarnation: 1)
        func hear() async throws {
            try await broker.reference.run { broker in
                guard let partition = broker.table.partition("t", 0) else { return }
                let news = Message(
                    type: .heartbeat,
                    to: partition.identity.node,
                    from: other,
                    term: max(2, partition.leadership.term)
                )
                broker.manager.receive([
                    ReceivedMessage(group: partition.identity.group, message: news, chain: nil)
                ])
            }
        }
        func leader(afterTicks count: Int = 0) async throws -> NodeID? {
            try await broker.reference.run { broker in
                for _ in 0..<count { broker.manager.tick() }
                return broker.table.partition("t", 0).flatMap {
                    broker.leader(of: $0.identity.group)?.node
                }
            }
        }
        try await hear()
        #expect(try await leader() == other)
        // The clock may add a tick of its own here and there.
        #expect(try await leader(afterTicks: 3) == other)
        #expect(try await leader(afterTicks: 2) == nil)
        try await hear()
        #expect(try await leader() == other)
        try await broker.stop()
    }

    @Test func `clients that ask in between are told of the successor`() async throws {
        let broker = try await TestBroker.start()
        try await broker.createTopic("t")
        let client = try await broker.client()
        func ask() async throws
            -> MetadataResponse.MetadataResponseTopic
            .MetadataResponsePartition
        {
            var topic = MetadataRequest.MetadataRequestTopic()
            topic.name = "t"
            var request = MetadataRequest()
            request.topics = [topic]
            let answer = try await client.call(.metadata, 9, request, MetadataResponse.self)
            return try #require(answer.topics.first?.partitions.first)
        }
        let before = try await ask()
        #expect(before.leaderId == 1)
        // Of a newer term, in which this replica stands for election.
        _ = try await Self.outcomes(0...0, after: .timeoutNow, in: broker)
        let after = try await ask()
        #expect(after.leaderId == 1 && after.errorCode == 0)
        #expect(after.leaderEpoch > before.leaderEpoch + 1, "not the leader of the lost term")
        try await broker.stop()
    }
}
