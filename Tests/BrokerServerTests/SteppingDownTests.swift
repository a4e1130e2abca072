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
        in broker: TestBroker
    ) async throws -> [ProduceOutcome] {
        try await broker.reference.run { broker in
            guard let partition = broker.table.partition("t", 0) else { return [] }
            let node = partition.identity.node
            let news = Message(
                type: .heartbeat,
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
}
