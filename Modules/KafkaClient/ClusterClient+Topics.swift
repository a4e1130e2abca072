import KafkaProtocol
import Model
import NIOCore

// Topics, settings and what the cluster looks like.
extension ClusterClient {
    /// Asks for the cluster's brokers and topics; nil asks for all topics.
    ///
    /// A topic that does not exist is described with its error.
    public func describe(topics: [String]?) async throws(KafkaClientError) -> ClusterDescription {
        try await retrying { core, done in core.describe(topics, done) }
    }

    /// Asks for one topic, until its partitions are known or it is certain that there is none.
    public func describe(topic name: String) async throws(KafkaClientError) -> TopicDescription {
        try await retrying { core, done in
            core.describe([name]) { result in
                done(result.flatMap { Self.find(name, in: $0) })
            }
        }
    }

    private static func find(
        _ name: String,
        in cluster: ClusterDescription
    ) -> Result<TopicDescription, KafkaClientError> {
        let topic = cluster.topics.first { $0.name == name }
        switch topic?.error {
        case nil:
            guard let topic else { return .failure(.unknownTopic(name)) }
            return .success(topic)
        case .unknownTopicOrPartition: return .failure(.unknownTopic(name))
        case let error?: return .failure(.refused(error, message: "topic '\(name)'"))
        }
    }

    /// Creates topics, or only asks whether they could be.
    ///
    /// - Throws: when no broker takes the request; what became of each topic is in its outcome.
    public func create(
        topics: [NewTopic],
        validateOnly: Bool = false
    ) async throws(KafkaClientError) -> [TopicOutcome] {
        var request = CreateTopicsRequest()
        request.timeoutMs = Int32(clamping: options.requestTimeout.nanoseconds / 1_500_000)
        request.validateOnly = validateOnly
        request.topics = topics.map(CreateTopicsRequest.CreatableTopic.init)
        let response: CreateTopicsResponse = try await atController(.createTopics, request) {
            $0.topics.map(\.errorCode)
        }
        return response.topics.map {
            TopicOutcome(
                name: $0.name,
                partitions: $0.numPartitions,
                replicationFactor: $0.replicationFactor,
                error: KafkaClientError(code: $0.errorCode, message: $0.errorMessage)
            )
        }
    }

    /// Deletes topics.
    ///
    /// - Throws: when no broker takes the request; what became of each topic is in its outcome.
    public func delete(topics: [String]) async throws(KafkaClientError) -> [TopicOutcome] {
        var request = DeleteTopicsRequest()
        request.timeoutMs = Int32(clamping: options.requestTimeout.nanoseconds / 1_500_000)
        request.topicNames = topics
        request.topics = topics.map {
            var topic = DeleteTopicsRequest.DeleteTopicState()
            topic.name = $0
            return topic
        }
        let response: DeleteTopicsResponse = try await atController(.deleteTopics, request) {
            $0.responses.map(\.errorCode)
        }
        return response.responses.map {
            TopicOutcome(
                name: $0.name ?? "",
                partitions: -1,
                replicationFactor: -1,
                error: KafkaClientError(code: $0.errorCode, message: $0.errorMessage)
            )
        }
    }

    /// Asks the controller; tries again where all that is wrong is who the controller is.
    func atController<Request: KafkaMessage, Response: KafkaMessage>(
        _ api: ApiKey,
        _ request: Request,
        codes: @escaping @Sendable (Response) -> [Int16]
    ) async throws(KafkaClientError) -> Response {
        _ = try? await once { core, done in core.describe([], done) }
        return try await retrying { core, done in
            core.controllerConnection { result in
                switch result {
                case .failure(let error): done(.failure(error))
                case .success(let connection):
                    core.call(api, request, over: connection) {
                        (result: Result<Response, KafkaClientError>) in
                        done(
                            result.flatMap { response in
                                let wrong = KafkaError.notController.rawValue
                                guard codes(response).contains(wrong) else {
                                    return .success(response)
                                }
                                return .failure(.refused(.notController, message: nil))
                            }
                        )
                    }
                }
            }
        }
    }

    /// Asks for a topic's settings.
    public func configs(
        ofTopic name: String
    ) async throws(KafkaClientError) -> [ConfigDescription] {
        let response: DescribeConfigsResponse = try await retrying { core, done in
            core.anyConnection { result in
                switch result {
                case .failure(let error): done(.failure(error))
                case .success(let connection):
                    var resource = DescribeConfigsRequest.DescribeConfigsResource()
                    resource.resourceType = 2
                    resource.resourceName = name
                    resource.configurationKeys = nil
                    var request = DescribeConfigsRequest()
                    request.resources = [resource]
                    core.call(.describeConfigs, request, over: connection, done)
                }
            }
        }
        guard let result = response.results.first else { return [] }
        if let error = KafkaClientError(code: result.errorCode, message: result.errorMessage) {
            throw error
        }
        return result.configs.map {
            // Kafka's source 5: the built-in default.
            ConfigDescription(name: $0.name, value: $0.value, isDefault: $0.configSource == 5)
        }.sorted { $0.name < $1.name }
    }
}

extension CreateTopicsRequest.CreatableTopic {
    fileprivate init(_ topic: NewTopic) {
        self.init()
        name = topic.name
        numPartitions = topic.partitions
        replicationFactor = topic.replicationFactor
        configs = topic.configs.map {
            var config = CreateTopicsRequest.CreatableTopic.CreatableTopicConfig()
            config.name = $0.name
            config.value = $0.value
            return config
        }
    }
}
