import KafkaProtocol
import Metadata
import Model
import NIOCore

/// ListPartitionReassignments: what is under way, from this broker's own copy of the metadata.
enum ListPartitionReassignmentsHandler {
    static func handle(
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
        answer.addingReplicas = info.adding.map(\.broker.rawValue)
        // A broker that exchanges its own replica for a new one is not leaving.
        let staying = info.desired.map(\.broker)
        answer.removingReplicas = info.removing.map(\.broker).filter { !staying.contains($0) }
            .map(\.rawValue)
        return answer
    }
}
