import InterBrokerProtocol
import KafkaProtocol
import Model
import NIOCore

/// AlterPartitionReassignments: asks the controller leader, and answers once this broker's copy
/// of the metadata shows what was decided. The moves themselves take their time.
enum AlterPartitionReassignmentsHandler {
    static func handle(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try AlterPartitionReassignmentsRequest(
            reading: &reader,
            version: request.version
        )
        let moves = body.topics.flatMap { topic in
            topic.partitions.map { partition in
                PartitionMove(
                    topicName: topic.name,
                    partitionID: PartitionID(partition.partitionIndex),
                    replicas: partition.replicas?.map { BrokerID($0) }
                )
            }
        }
        guard let controllers = broker.controllers, !moves.isEmpty else {
            return answer(request, body, [])
        }
        let timeout = Int64(max(0, min(body.timeoutMs, 30_000)))
        controllers.ask(ReassignPartitionsRequest(partitions: moves)) { result in
            switch result {
            case .failure(let refusal):
                answer(request, body, [], refusal.description)
            case .success(let response):
                broker.metadata.wait(
                    for: { broker.metadata.version >= response.metadataVersion },
                    atMost: .milliseconds(timeout),
                    then: { answer(request, body, response.partitions) }
                )
            }
        }
    }

    private static func answer(
        _ request: KafkaRequest,
        _ body: AlterPartitionReassignmentsRequest,
        _ results: [PartitionResult],
        _ failure: String = "the controllers did not answer"
    ) {
        var response = AlterPartitionReassignmentsResponse()
        var place = 0
        response.responses = body.topics.map { topic in
            var answer = AlterPartitionReassignmentsResponse.ReassignableTopicResponse()
            answer.name = topic.name
            answer.partitions = topic.partitions.map { partition in
                var part = AlterPartitionReassignmentsResponse.ReassignableTopicResponse
                    .ReassignablePartitionResponse()
                part.partitionIndex = partition.partitionIndex
                if place < results.count {
                    part.errorCode = results[place].errorCode
                    part.errorMessage = part.errorCode == 0 ? nil : results[place].message
                } else {
                    part.errorCode = KafkaError.requestTimedOut.rawValue
                    part.errorMessage = failure
                }
                place += 1
                return part
            }
            return answer
        }
        request.answer { response.write(to: &$0, version: request.version) }
    }
}
