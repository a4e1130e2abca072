import InterBroker
import InterBrokerProtocol
import Metadata
import Model

// Topics: validate, place, commit; the plan does the rest.
extension ClusterController {
    /// Creates topics and waits until each partition has a leader, or until the time is over.
    func createTopics(
        _ request: CreateTopicsRequest
    ) async throws(Refusal) -> CreateTopicsResponse {
        _ = try requireReign()
        let wait = min(.milliseconds(Int(max(0, request.timeoutMs))), configuration.topicWaitMax)
        let deadline = clock.now + wait
        await beginPlacing()
        var results: [CreatedTopic] = []
        var seen: Set<String> = []
        let doubled = request.topics.filter { !seen.insert($0.name).inserted }.map(\.name)
        for topic in request.topics {
            do throws(TopicFailure) {
                if doubled.contains(topic.name) {
                    throw TopicFailure(.invalidRequest, "Topic '\(topic.name)' is named twice.")
                }
                results.append(try await create(topic, validateOnly: request.validateOnly))
            } catch {
                results.append(
                    CreatedTopic(
                        name: topic.name,
                        topicID: TopicID(.zero),
                        errorCode: error.code.rawValue,
                        message: error.message
                    )
                )
            }
        }
        endPlacing()
        guard !request.validateOnly else { return CreateTopicsResponse(topics: results) }
        await waitForLeaders(&results, until: deadline)
        return CreateTopicsResponse(topics: results)
    }

    private func create(
        _ topic: NewTopic,
        validateOnly: Bool
    ) async throws(TopicFailure) -> CreatedTopic {
        let metadata = store.metadata
        let valid = try TopicValidation.validate(topic, in: metadata)
        let assignments: [[BrokerID]]
        if let given = valid.assignments {
            assignments = given
        } else {
            assignments = try place(
                Int(topic.partitions),
                replicas: Int(topic.replicationFactor),
                metadata
            )
        }
        var created = CreatedTopic(
            name: topic.name,
            topicID: TopicID(.zero),
            errorCode: 0,
            partitions: Int32(assignments.count),
            replicationFactor: Int16(clamping: assignments.first?.count ?? 0)
        )
        guard !validateOnly else { return created }
        created.topicID = drawTopicID()
        let creation = TopicCreation(
            name: valid.name,
            topicID: created.topicID,
            assignments: assignments,
            configs: valid.configs
        )
        try await commitForTopic(.createTopic(creation))
        return created
    }

    private func place(
        _ partitions: Int,
        replicas: Int,
        _ metadata: ClusterMetadata
    ) throws(TopicFailure) -> [[BrokerID]] {
        do throws(AssignmentError) {
            return try PartitionAssigner.assign(
                partitions: partitions,
                replicationFactor: replicas,
                over: metadata.onlineLoads()
            )
        } catch {
            throw TopicFailure(.invalidReplicationFactor, error.description)
        }
    }

    private func drawTopicID() -> TopicID { TopicID(using: &random) }

    /// Commits a command about a topic; what the command was refused for is thrown.
    func commitForTopic(_ command: MetadataCommand) async throws(TopicFailure) {
        let effects: [Effect]
        do {
            effects = try await proposer.propose(command)
        } catch {
            switch error {
            case .notLeader: throw TopicFailure(.notController, error.description)
            case .refused: throw TopicFailure(.unknownServerError, error.description)
            }
        }
        for case .refused(let refusal) in effects { throw TopicValidation.failure(of: refusal) }
    }

    /// Waits for the leaders of what was created, then for brokers to know of them.
    private func waitForLeaders(_ results: inout [CreatedTopic], until deadline: Duration) async {
        let created = Set(results.filter { $0.errorCode == 0 }.map(\.topicID))
        guard !created.isEmpty else { return }
        reign?.needsPlan = true
        reconcile()
        push()
        let hasLeaders = await wait(until: deadline) { metadata, reign in
            created.allSatisfy { Self.hasLeaders($0, metadata, reign) }
        }
        if hasLeaders { return await waitForBrokers(until: deadline) }
        let metadata = store.metadata
        for position in results.indices where results[position].errorCode == 0 {
            let id = results[position].topicID
            if let reign, Self.hasLeaders(id, metadata, reign) { continue }
            results[position].errorCode = TopicErrorCode.requestTimedOut.rawValue
            results[position].message = "The topic is created; its leaders are not known yet."
        }
    }

    private static func hasLeaders(
        _ id: TopicID,
        _ metadata: ClusterMetadata,
        _ reign: Reign
    ) -> Bool {
        // A topic that is deleted meanwhile needs no leaders.
        guard let topic = metadata.topic(id) else { return true }
        return topic.partitions.allSatisfy { reign.leaders.leader(of: $0.group) != nil }
    }

    /// Deletes topics; their data is gone once every replica has confirmed, which takes longer.
    func deleteTopics(
        _ request: DeleteTopicsRequest
    ) async throws(Refusal) -> DeleteTopicsResponse {
        _ = try requireReign()
        var results: [DeletedTopic] = []
        for reference in request.topics { results.append(await delete(reference)) }
        if results.contains(where: { $0.errorCode == 0 }) {
            reign?.needsPlan = true
            reconcile()
            await waitForBrokers(until: clock.now + configuration.announceWaitMax)
        }
        return DeleteTopicsResponse(topics: results)
    }

    private func delete(_ reference: TopicReference) async -> DeletedTopic {
        let metadata = store.metadata
        let isByID = reference.name == nil && reference.topicID != nil
        let topic =
            isByID
            ? reference.topicID.flatMap { metadata.topic($0) }
            : reference.name.flatMap { TopicName($0) }.flatMap { metadata.topic($0) }
        var result = DeletedTopic(
            name: topic?.name.text ?? reference.name ?? "",
            topicID: topic?.topicID ?? reference.topicID ?? TopicID(.zero),
            errorCode: 0
        )
        do throws(TopicFailure) {
            guard let topic else {
                throw TopicFailure(
                    isByID ? .unknownTopicID : .unknownTopicOrPartition,
                    "This server does not host this topic."
                )
            }
            try await commitForTopic(.deleteTopic(topic.topicID))
        } catch {
            result.errorCode = error.code.rawValue
            result.message = error.message
        }
        return result
    }

    /// Adds partitions to topics.
    func createPartitions(
        _ request: CreatePartitionsRequest
    ) async throws(Refusal) -> CreatePartitionsResponse {
        _ = try requireReign()
        await beginPlacing()
        var results: [NamedResult] = []
        for topic in request.topics {
            do throws(TopicFailure) {
                try await increase(topic, validateOnly: request.validateOnly)
                results.append(NamedResult(name: topic.name, errorCode: 0))
            } catch {
                results.append(
                    NamedResult(
                        name: topic.name,
                        errorCode: error.code.rawValue,
                        message: error.message
                    )
                )
            }
        }
        endPlacing()
        await waitForBrokers(until: clock.now + configuration.announceWaitMax)
        return CreatePartitionsResponse(topics: results)
    }

    private func increase(
        _ increase: PartitionIncrease,
        validateOnly: Bool
    ) async throws(TopicFailure) {
        let metadata = store.metadata
        guard let topic = TopicName(increase.name).flatMap({ metadata.topic($0) }) else {
            throw TopicFailure(
                .unknownTopicOrPartition,
                "This server does not host this topic."
            )
        }
        let count = topic.partitions.count
        guard Int(increase.count) > count, increase.count <= TopicValidation.partitionsMax else {
            throw TopicFailure(
                .invalidPartitions,
                "Topic has \(count) partitions; the number can only grow."
            )
        }
        let added = Int(increase.count) - count
        let assignments: [[BrokerID]]
        if let given = increase.assignments, !given.isEmpty {
            guard given.count == added else {
                throw TopicFailure(
                    .invalidReplicaAssignment,
                    "\(added) partitions are added and \(given.count) are assigned."
                )
            }
            assignments = try TopicValidation.validate(given, from: count, in: metadata)
        } else {
            assignments = try place(added, replicas: topic.replicationFactor, metadata)
        }
        guard !validateOnly else { return }
        let creation = PartitionCreation(
            topicID: topic.topicID,
            first: PartitionID(Int32(count)),
            assignments: assignments
        )
        try await commitForTopic(.createPartitions(creation))
    }

    /// Changes what is configured for topics.
    func alterConfigs(
        _ request: AlterConfigsRequest
    ) async throws(Refusal) -> AlterConfigsResponse {
        _ = try requireReign()
        var results: [NamedResult] = []
        for change in request.resources {
            do throws(TopicFailure) {
                try await alter(change, validateOnly: request.validateOnly)
                results.append(NamedResult(name: change.name, errorCode: 0))
            } catch {
                results.append(
                    NamedResult(
                        name: change.name,
                        errorCode: error.code.rawValue,
                        message: error.message
                    )
                )
            }
        }
        await waitForBrokers(until: clock.now + configuration.announceWaitMax)
        return AlterConfigsResponse(resources: results)
    }

    private func alter(_ change: ConfigChange, validateOnly: Bool) async throws(TopicFailure) {
        guard change.resourceType == 2 else {
            throw TopicFailure(.invalidRequest, "Only topics can be configured here.")
        }
        guard let topic = TopicName(change.name).flatMap({ store.metadata.topic($0) }) else {
            throw TopicFailure(
                .unknownTopicOrPartition,
                "This server does not host this topic."
            )
        }
        var configs = topic.configs
        for key in change.removed { configs[key] = nil }
        for (key, value) in change.set.sorted(by: { $0.key < $1.key }) { configs[key] = value }
        if let refusal = TopicConfig.refusal(of: configs) {
            throw TopicFailure(.invalidConfig, refusal)
        }
        guard !validateOnly else { return }
        try await commitForTopic(
            .setTopicConfigs(TopicConfigChange(topicID: topic.topicID, configs: configs))
        )
    }
}
