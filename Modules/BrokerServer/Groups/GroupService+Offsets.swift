public import KafkaProtocol

extension GroupService {
    /// Answers OffsetCommit, once what it may commit is committed.
    ///
    /// A retention time of its own, as versions 2 to 4 have it, is ignored: the broker's counts.
    public func offsetCommit(
        _ request: OffsetCommitRequest,
        _ client: GroupClient,
        answer: @escaping (OffsetCommitResponse) -> Void
    ) {
        let committer = Committer(
            memberID: request.memberId,
            instanceID: request.groupInstanceId,
            generation: request.generationIdOrMemberEpoch
        )
        let now = unixMilliseconds
        var offsets: [OffsetToCommit] = []
        for topic in request.topics {
            for partition in topic.partitions
            where partitionExists(topic.name, partition.partitionIndex) {
                let offset = CommittedOffset(
                    offset: partition.committedOffset,
                    leaderEpoch: partition.committedLeaderEpoch,
                    metadata: partition.committedMetadata ?? "",
                    commitTimestamp: now
                )
                offsets.append(
                    OffsetToCommit(
                        topic: topic.name,
                        partition: partition.partitionIndex,
                        offset: offset
                    )
                )
            }
        }
        /// Puts the results of the offsets that were tried back between those that were not.
        func respond(_ results: [GroupError?]) {
            var rest = results[...]
            var response = OffsetCommitResponse()
            response.topics = request.topics.map { topic in
                var one = OffsetCommitResponse.OffsetCommitResponseTopic()
                one.name = topic.name
                one.partitions = topic.partitions.map { asked in
                    var result = OffsetCommitResponse.OffsetCommitResponseTopic
                        .OffsetCommitResponsePartition()
                    result.partitionIndex = asked.partitionIndex
                    let isKnown = tried.contains(
                        TriedPartition(topic: topic.name, partition: asked.partitionIndex)
                    )
                    let error = isKnown ? rest.popFirst() ?? nil : .unknownTopicOrPartition
                    result.errorCode = error.code
                    return result
                }
                return one
            }
            answer(response)
        }
        let tried = Set(offsets.map { TriedPartition(topic: $0.topic, partition: $0.partition) })
        switch table(of: request.groupId) {
        case .success(let table):
            table.commit(request.groupId, offsets, by: committer, completion: respond)
        case .failure(let error):
            respond(offsets.map { _ in error })
        }
    }

    /// Answers OffsetFetch: since version 2 a missing list of topics means all of them.
    public func offsetFetch(
        _ request: OffsetFetchRequest,
        _ client: GroupClient,
        answer: @escaping (OffsetFetchResponse) -> Void
    ) {
        let version = client.apiVersion
        func respond(_ result: Result<GroupStore.Group?, GroupError>) {
            switch result {
            case .success(let group):
                answer(Self.response(to: request, group))
            case .failure(let error):
                var response = OffsetFetchResponse()
                response.errorCode = error.rawValue
                // Version 1 has no place for an error but the partitions.
                if version < 2 { response = Self.response(to: request, nil, error) }
                answer(response)
            }
        }
        switch table(of: request.groupId) {
        case .success(let table): table.fetchOffsets(request.groupId, completion: respond)
        case .failure(let error): respond(.failure(error))
        }
    }

    private static func response(
        to request: OffsetFetchRequest,
        _ group: GroupStore.Group?,
        _ error: GroupError? = nil
    ) -> OffsetFetchResponse {
        var asked: [(name: String, partitions: [Int32])] = []
        if let topics = request.topics {
            asked = topics.map { ($0.name, $0.partitionIndexes) }
        } else {
            asked = (group?.offsets ?? [:]).sorted { $0.key < $1.key }
                .map { ($0.key, $0.value.keys.sorted()) }
        }
        var response = OffsetFetchResponse()
        response.topics = asked.map { topic in
            var one = OffsetFetchResponse.OffsetFetchResponseTopic()
            one.name = topic.name
            one.partitions = topic.partitions.map { partition in
                let found = group?.offsets[topic.name]?[partition]
                var result = OffsetFetchResponse.OffsetFetchResponseTopic
                    .OffsetFetchResponsePartition()
                result.partitionIndex = partition
                result.committedOffset = found?.offset ?? -1
                result.committedLeaderEpoch = found?.leaderEpoch ?? -1
                result.metadata = found?.metadata ?? ""
                result.errorCode = error.code
                return result
            }
            return one
        }
        return response
    }
}

/// A partition of an OffsetCommit that exists.
private struct TriedPartition: Hashable {
    let topic: String
    let partition: Int32
}
