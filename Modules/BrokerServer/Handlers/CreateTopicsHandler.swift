import InterBrokerProtocol
import KafkaProtocol
import Model
import NIOCore

/// CreateTopics: asks the controller leader, and answers once the new partitions have leaders.
enum CreateTopicsHandler {
    static func handle(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try KafkaProtocol.CreateTopicsRequest(
            reading: &reader, version: request.version)
        var refused: [String: (KafkaError, String)] = [:]
        var topics: [NewTopic] = []
        for topic in body.topics {
            switch newTopic(topic, broker.options) {
            case .success(let new): topics.append(new)
            case .failure(let refusal): refused[topic.name] = (refusal.error, refusal.message)
            }
        }
        for (name, count) in Dictionary(grouping: body.topics, by: \.name).mapValues(\.count)
        where count > 1 {
            refused[name] = (.invalidRequest, "the topic is named more than once")
            topics.removeAll { $0.name == name }
        }
        guard !topics.isEmpty else { return answer(request, body, refused, [:]) }
        guard let controllers = broker.controllers else {
            return answer(request, body, refused, [:])
        }
        let timeout = max(0, body.timeoutMs)
        let order = InterBrokerProtocol.CreateTopicsRequest(
            topics: topics, validateOnly: body.validateOnly, timeoutMs: timeout)
        controllers.ask(order) { result in
            switch result {
            case .failure(let refusal):
                for topic in topics where refused[topic.name] == nil {
                    refused[topic.name] = (.requestTimedOut, refusal.description)
                }
                answer(request, body, refused, [:])
            case .success(let response):
                let created = Dictionary(
                    response.topics.map { ($0.name, $0) }, uniquingKeysWith: { $1 })
                let names = response.topics.filter { $0.errorCode == 0 }.map(\.name)
                guard !body.validateOnly, !names.isEmpty else {
                    return answer(request, body, refused, created)
                }
                broker.metadata.wait(
                    for: { names.allSatisfy { broker.hasLeaders($0) } },
                    atMost: .milliseconds(Int64(min(timeout, 30_000)))
                ) { answer(request, body, refused, created) }
            }
        }
    }

    private struct TopicRefusal: Error {
        let error: KafkaError
        let message: String
    }

    private static func newTopic(
        _ topic: KafkaProtocol.CreateTopicsRequest.CreatableTopic,
        _ options: BrokerOptions
    ) -> Result<NewTopic, TopicRefusal> {
        guard TopicName(topic.name) != nil else {
            return .failure(
                TopicRefusal(error: .invalidTopicException, message: "invalid topic name"))
        }
        let isAssigned = !topic.assignments.isEmpty
        guard !isAssigned || (topic.numPartitions == -1 && topic.replicationFactor == -1) else {
            return .failure(
                TopicRefusal(
                    error: .invalidRequest,
                    message: "both numbers and an assignment of partitions are given"))
        }
        guard topic.numPartitions > 0 || topic.numPartitions == -1 else {
            return .failure(
                TopicRefusal(
                    error: .invalidPartitions, message: "number of partitions must be positive"))
        }
        guard topic.replicationFactor > 0 || topic.replicationFactor == -1 else {
            return .failure(
                TopicRefusal(
                    error: .invalidReplicationFactor,
                    message: "replication factor must be positive"))
        }
        var assignments: [String: [BrokerID]] = [:]
        for assignment in topic.assignments {
            assignments["\(assignment.partitionIndex)"] = assignment.brokerIds.map {
                BrokerID($0)
            }
        }
        let partitions =
            isAssigned
            ? Int32(clamping: topic.assignments.count)
            : topic.numPartitions == -1 ? options.defaultPartitions : topic.numPartitions
        let replicas =
            isAssigned
            ? Int16(clamping: topic.assignments.first?.brokerIds.count ?? 0)
            : topic.replicationFactor == -1
                ? options.defaultReplicationFactor : topic.replicationFactor
        return .success(
            NewTopic(
                name: topic.name,
                partitions: partitions,
                replicationFactor: replicas,
                assignments: isAssigned ? assignments : nil,
                configs: Dictionary(
                    topic.configs.compactMap { config in
                        config.value.map { (config.name, $0) }
                    },
                    uniquingKeysWith: { $1 })))
    }

    private static func answer(
        _ request: KafkaRequest,
        _ body: KafkaProtocol.CreateTopicsRequest,
        _ refused: [String: (KafkaError, String)],
        _ created: [String: CreatedTopic]
    ) {
        var response = KafkaProtocol.CreateTopicsResponse()
        for topic in body.topics {
            var answer = KafkaProtocol.CreateTopicsResponse.CreatableTopicResult()
            answer.name = topic.name
            if let (error, message) = refused[topic.name] {
                answer.errorCode = error.rawValue
                answer.errorMessage = message
            } else if let created = created[topic.name] {
                answer.topicId = created.topicID.id
                answer.errorCode = created.errorCode
                answer.errorMessage = created.errorCode == 0 ? nil : created.message
                answer.numPartitions = created.partitions
                answer.replicationFactor = created.replicationFactor
                answer.configs = []
            } else {
                answer.errorCode = KafkaError.requestTimedOut.rawValue
                answer.errorMessage = "the controllers did not answer"
            }
            response.topics.append(answer)
        }
        request.answer { response.write(to: &$0, version: request.version) }
    }
}
