import KafkaProtocol
import Metadata
import Model

/// DescribeConfigs: the configuration of topics, and the few values of a broker.
enum DescribeConfigsHandler {
    private static let topicResource: Int8 = 2
    private static let brokerResource: Int8 = 4

    /// Where a value comes from, as Kafka numbers it.
    private enum Source: Int8 {
        case topic = 1
        case staticBroker = 4
        case defaultValue = 5
    }

    static func handle(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try DescribeConfigsRequest(reading: &reader, version: request.version)
        var response = DescribeConfigsResponse()
        response.results = body.resources.map { resource in
            var result = DescribeConfigsResponse.DescribeConfigsResult()
            result.resourceType = resource.resourceType
            result.resourceName = resource.resourceName
            switch resource.resourceType {
            case topicResource: describeTopic(resource, broker, body, &result)
            case brokerResource: describeBroker(resource, broker, &result)
            default:
                result.errorCode = KafkaError.invalidRequest.rawValue
                result.errorMessage = "unsupported resource type \(resource.resourceType)"
            }
            return result
        }
        request.answer { response.write(to: &$0, version: request.version) }
    }

    private static func describeTopic(
        _ resource: DescribeConfigsRequest.DescribeConfigsResource,
        _ broker: Broker,
        _ body: DescribeConfigsRequest,
        _ result: inout DescribeConfigsResponse.DescribeConfigsResult
    ) {
        guard let topic = broker.metadata.topic(named: resource.resourceName) else {
            result.errorCode = broker.unknownTopicError.rawValue
            return
        }
        for config in TopicConfig.all where isWanted(config.name, resource) {
            let own = topic.configs[config.name]
            let isLimit = config == .maxMessageBytes
            let inherited =
                isLimit ? "\(broker.options.messageBytesMax)" : config.defaultValue
            var described = entry(
                config.name,
                own ?? inherited,
                config.kind,
                own == nil ? .defaultValue : .topic,
                isReadOnly: false
            )
            if body.includeDocumentation { described.documentation = config.documentation }
            result.configs.append(described)
        }
    }

    private static func describeBroker(
        _ resource: DescribeConfigsRequest.DescribeConfigsResource,
        _ broker: Broker,
        _ result: inout DescribeConfigsResponse.DescribeConfigsResult
    ) {
        guard
            resource.resourceName.isEmpty
                || resource.resourceName == "\(broker.options.brokerID)"
        else {
            result.errorCode = KafkaError.invalidRequest.rawValue
            result.errorMessage = "this is broker \(broker.options.brokerID)"
            return
        }
        let options = broker.options
        let values: [(String, String, TopicConfig.Kind)] = [
            ("auto.create.topics.enable", "\(options.autoCreateTopics)", .boolean),
            ("broker.id", "\(options.brokerID)", .int),
            ("default.replication.factor", "\(options.defaultReplicationFactor)", .int),
            ("message.max.bytes", "\(options.messageBytesMax)", .int),
            ("num.partitions", "\(options.defaultPartitions)", .int),
            ("offsets.topic.num.partitions", "\(options.offsetsTopicPartitions)", .int),
            (
                "offsets.topic.replication.factor",
                "\(options.offsetsTopicReplicationFactor)", .int
            ),
            ("socket.request.max.bytes", "\(options.limits.frameBytesMax)", .int),
        ]
        for (name, value, kind) in values where isWanted(name, resource) {
            result.configs.append(entry(name, value, kind, .staticBroker, isReadOnly: true))
        }
    }

    private static func isWanted(
        _ name: String,
        _ resource: DescribeConfigsRequest.DescribeConfigsResource
    ) -> Bool {
        resource.configurationKeys?.contains(name) ?? true
    }

    private static func entry(
        _ name: String,
        _ value: String,
        _ kind: TopicConfig.Kind,
        _ source: Source,
        isReadOnly: Bool
    ) -> DescribeConfigsResponse.DescribeConfigsResult.DescribeConfigsResourceResult {
        var entry = DescribeConfigsResponse.DescribeConfigsResult.DescribeConfigsResourceResult()
        entry.name = name
        entry.value = value
        entry.readOnly = isReadOnly
        entry.configSource = source.rawValue
        entry.configType = kind.rawValue
        return entry
    }
}
