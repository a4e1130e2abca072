import KafkaProtocol
import NIOCore

// Where partitions' copies lie, and how they are moved.
extension ClusterClient {
    /// Orders moves of partitions' copies, which then take their time; nil goes back.
    ///
    /// - Throws: when no broker takes the request; what became of each move is in its outcome.
    public func reassign(
        _ moves: [(partition: PartitionName, brokers: [Int32]?)]
    ) async throws(KafkaClientError) -> [ReassignmentOutcome] {
        typealias Topic = AlterPartitionReassignmentsRequest.ReassignableTopic
        var request = AlterPartitionReassignmentsRequest()
        request.timeoutMs = Int32(clamping: options.requestTimeout.nanoseconds / 1_500_000)
        for move in moves {
            var partition = Topic.ReassignablePartition()
            partition.partitionIndex = move.partition.partition
            partition.replicas = move.brokers
            if request.topics.last?.name == move.partition.topic {
                request.topics[request.topics.count - 1].partitions.append(partition)
            } else {
                var topic = Topic()
                topic.name = move.partition.topic
                topic.partitions = [partition]
                request.topics.append(topic)
            }
        }
        let response: AlterPartitionReassignmentsResponse = try await atController(
            .alterPartitionReassignments,
            request
        ) { response in
            [response.errorCode]
                + response.responses.flatMap { topic in topic.partitions.map(\.errorCode) }
        }
        if let error = KafkaClientError(code: response.errorCode, message: response.errorMessage) {
            throw error
        }
        return response.responses.flatMap { topic in
            topic.partitions.map {
                ReassignmentOutcome(
                    partition: PartitionName(topic.name, $0.partitionIndex),
                    error: KafkaClientError(code: $0.errorCode, message: $0.errorMessage)
                )
            }
        }
    }

    /// The moves that are under way in the whole cluster.
    public func reassignments() async throws(KafkaClientError) -> [ReassignmentDescription] {
        let response: ListPartitionReassignmentsResponse = try await atController(
            .listPartitionReassignments,
            ListPartitionReassignmentsRequest()
        ) { [$0.errorCode] }
        if let error = KafkaClientError(code: response.errorCode, message: response.errorMessage) {
            throw error
        }
        return response.topics.flatMap { topic in
            topic.partitions.map {
                ReassignmentDescription(
                    partition: PartitionName(topic.name, $0.partitionIndex),
                    replicas: $0.replicas,
                    adding: $0.addingReplicas,
                    removing: $0.removingReplicas
                )
            }
        }
    }
}
