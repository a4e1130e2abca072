import InterBrokerProtocol
import KafkaProtocol
import Metadata
import Model
import NIOCore

/// AlterPartitionReassignments and ListPartitionReassignments: where replicas are to be.
enum ReassignmentHandlers {
    /// Asks the controller leader, and answers once this broker's copy of the metadata shows what
    /// was decided; the moves themselves take their time.
    static func alter(
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

    // MARK: Listing

    /// Tells what is under way, from this broker's own copy of the metadata.
    static func list(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try ListPartitionReassignmentsRequest(reading: &reader, version: request.version)
        var response = ListPartitionReassignmentsResponse()
        for hosted in broker.metadata.reassignments where isWanted(hosted, body) {
            var topic = ListPartitionReassignmentsResponse.OngoingTopicReassignment()
            topic.name = hosted.topic.text
            let place = response.topics.firstIndex { $0.name == topic.name }
            if let place {
                response.topics[place].partitions.append(describe(hosted.info))
            } else {
                topic.partitions = [describe(hosted.info)]
                response.topics.append(topic)
            }
        }
        request.answer { response.write(to: &$0, version: request.version) }
    }

    private static func isWanted(
        _ hosted: HostedPartition,
        _ body: ListPartitionReassignmentsRequest
    ) -> Bool {
        guard let topics = body.topics else { return true }
        return topics.contains {
            $0.name == hosted.topic.text
                && $0.partitionIndexes.contains(hosted.info.partition.rawValue)
        }
    }

    private static func describe(
        _ info: PartitionInfo
    ) -> ListPartitionReassignmentsResponse.OngoingTopicReassignment.OngoingPartitionReassignment {
        var answer = ListPartitionReassignmentsResponse.OngoingTopicReassignment
            .OngoingPartitionReassignment()
        answer.partitionIndex = info.partition.rawValue
        answer.replicas = info.brokers.map(\.rawValue)
        // A broker that fills its own replica again neither comes nor leaves.
        let before = info.reassignment?.original ?? []
        let after = info.desired.map(\.broker)
        answer.addingReplicas = after.filter { !before.contains($0) }.map(\.rawValue)
        answer.removingReplicas = info.brokers.filter { !after.contains($0) }.map(\.rawValue)
        return answer
    }
}
