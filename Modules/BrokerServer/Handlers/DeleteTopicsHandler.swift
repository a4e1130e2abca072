import InterBrokerProtocol
import KafkaProtocol
import Model
import NIOCore

/// DeleteTopics: asks the controller leader, and answers once this broker's copy has forgotten.
enum DeleteTopicsHandler {
    static func handle(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try KafkaProtocol.DeleteTopicsRequest(
            reading: &reader, version: request.version)
        let wanted: [TopicReference] =
            request.version >= 6
            ? body.topics.map { topic in
                TopicReference(
                    name: topic.name,
                    topicID: topic.topicId == .zero ? nil : TopicID(topic.topicId))
            } : body.topicNames.map { TopicReference(name: $0) }
        guard let controllers = broker.controllers, !wanted.isEmpty else {
            return answer(request, wanted, [])
        }
        let timeout = Int64(max(0, min(body.timeoutMs, 30_000)))
        controllers.ask(InterBrokerProtocol.DeleteTopicsRequest(topics: wanted)) { result in
            guard case .success(let response) = result else {
                return answer(request, wanted, [])
            }
            let gone = response.topics.filter { $0.errorCode == 0 }.map(\.topicID)
            broker.metadata.wait(
                for: { gone.allSatisfy { broker.metadata.topic($0) == nil } },
                atMost: .milliseconds(timeout)
            ) { answer(request, wanted, response.topics) }
        }
    }

    private static func answer(
        _ request: KafkaRequest,
        _ wanted: [TopicReference],
        _ deleted: [DeletedTopic]
    ) {
        var response = KafkaProtocol.DeleteTopicsResponse()
        for (place, topic) in wanted.enumerated() {
            var answer = KafkaProtocol.DeleteTopicsResponse.DeletableTopicResult()
            answer.name = topic.name
            answer.topicId = topic.topicID?.id ?? .zero
            if place < deleted.count {
                let found = deleted[place]
                answer.name = topic.name ?? (found.name.isEmpty ? nil : found.name)
                answer.topicId = found.topicID.id
                answer.errorCode = found.errorCode
                answer.errorMessage = found.errorCode == 0 ? nil : found.message
            } else {
                answer.errorCode = KafkaError.requestTimedOut.rawValue
                answer.errorMessage = "the controllers did not answer"
            }
            response.responses.append(answer)
        }
        request.answer { response.write(to: &$0, version: request.version) }
    }
}
