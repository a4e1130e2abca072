import KafkaProtocol
import Model
import NIOCore

// Offsets by their place.
extension ClusterClient {
    /// Asks a partition's leader for an offset; `.offset` is given back as it is.
    public func offset(
        of partition: PartitionName,
        at position: OffsetPosition
    ) async throws(KafkaClientError) -> Int64 {
        let timestamp: Int64
        switch position {
        case .offset(let offset): return offset
        case .earliest: timestamp = -2
        case .latest: timestamp = -1
        case .timestamp(let time): timestamp = max(0, time)
        }
        let found = try await retrying { core, done in
            core.wantedTopics.insert(partition.topic)
            core.offset(of: partition, at: timestamp, done)
        }
        // No record is that young: behind the last one.
        if found < 0, timestamp >= 0 { return try await offset(of: partition, at: .latest) }
        return found
    }
}

extension ClientCore {
    /// Asks a partition's leader once.
    func offset(
        of name: PartitionName,
        at timestamp: Int64,
        _ completion: @escaping Completion<Int64>
    ) {
        leaderConnection(of: name) { [self] result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let connection):
                var partition = ListOffsetsRequest.ListOffsetsTopic.ListOffsetsPartition()
                partition.partitionIndex = name.partition
                partition.timestamp = timestamp
                var topic = ListOffsetsRequest.ListOffsetsTopic()
                topic.name = name.topic
                topic.partitions = [partition]
                var request = ListOffsetsRequest()
                request.replicaId = -1
                request.topics = [topic]
                call(.listOffsets, request, over: connection) {
                    (result: Result<ListOffsetsResponse, KafkaClientError>) in
                    completion(
                        result.flatMap { response in
                            guard let answer = response.topics.first?.partitions.first else {
                                return .failure(connection.bad("listOffsets without partition"))
                            }
                            if let error = KafkaClientError(code: answer.errorCode) {
                                return .failure(error)
                            }
                            return .success(answer.offset)
                        }
                    )
                }
            }
        }
    }
}
