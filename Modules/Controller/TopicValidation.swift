import InterBrokerProtocol
import Metadata
import Model

/// What a new topic has to satisfy before brokers are chosen for it.
enum TopicValidation {
    /// The most partitions that a topic has.
    static let partitionsMax = 10_000
    /// The most replicas that a partition has.
    static let replicasMax = 32

    /// A topic that may be created, but for its brokers.
    struct ValidTopic {
        var name: TopicName
        var configs: TopicConfigs
        /// The brokers, if the request names them.
        var assignments: [[BrokerID]]?
    }

    static func validate(
        _ topic: NewTopic,
        in metadata: ClusterMetadata
    ) throws(TopicFailure) -> ValidTopic {
        guard let name = TopicName(topic.name) else {
            throw TopicFailure(.invalidTopic, "Topic name is invalid: '\(topic.name)'")
        }
        guard metadata.topic(name) == nil else {
            throw TopicFailure(.topicAlreadyExists, "Topic '\(name)' already exists.")
        }
        let entries = topic.configs.sorted { $0.key < $1.key }
        let configs = TopicConfigs(entries.map { ConfigEntry($0.key, $0.value) })
        if let refusal = TopicConfig.refusal(of: configs) {
            throw TopicFailure(.invalidConfig, refusal)
        }
        if let assignments = topic.assignments, !assignments.isEmpty {
            let lists = try validate(assignments, from: 0, in: metadata)
            return ValidTopic(name: name, configs: configs, assignments: lists)
        }
        try validate(partitions: Int(topic.partitions), replicas: Int(topic.replicationFactor))
        return ValidTopic(name: name, configs: configs)
    }

    private static func validate(partitions: Int, replicas: Int) throws(TopicFailure) {
        guard partitions > 0 else {
            throw TopicFailure(
                .invalidPartitions,
                "Number of partitions must be larger than 0."
            )
        }
        guard partitions <= partitionsMax else {
            throw TopicFailure(
                .invalidPartitions,
                "Number of partitions must not be larger than \(partitionsMax)."
            )
        }
        guard replicas > 0, replicas <= replicasMax else {
            throw TopicFailure(
                .invalidReplicationFactor,
                "Replication factor must be larger than 0 and at most \(replicasMax)."
            )
        }
    }

    /// The brokers of the partitions from `first` on, as a request names them.
    static func validate(
        _ assignments: [String: [BrokerID]],
        from first: Int,
        in metadata: ClusterMetadata
    ) throws(TopicFailure) -> [[BrokerID]] {
        guard assignments.count <= partitionsMax else {
            throw TopicFailure(
                .invalidPartitions,
                "Number of partitions must not be larger than \(partitionsMax)."
            )
        }
        var lists: [[BrokerID]] = []
        for partition in first..<first + assignments.count {
            guard let brokers = assignments["\(partition)"] else {
                throw TopicFailure(
                    .invalidReplicaAssignment,
                    "Partitions must be numbered from \(first) on without a gap."
                )
            }
            lists.append(brokers)
        }
        for brokers in lists {
            guard !brokers.isEmpty, brokers.count == lists[0].count,
                brokers.count <= replicasMax, Set(brokers).count == brokers.count
            else {
                throw TopicFailure(
                    .invalidReplicaAssignment,
                    "Every partition needs the same number of different brokers."
                )
            }
            for id in brokers where metadata.broker(id) == nil {
                throw TopicFailure(.invalidReplicaAssignment, "Unknown broker \(id).")
            }
        }
        return lists
    }

    /// Kafka's terms for a command that did not fit any more.
    static func failure(of refusal: MetadataRefusal) -> TopicFailure {
        let code: TopicErrorCode =
            switch refusal {
            case .topicExists: .topicAlreadyExists
            case .unknownTopic: .unknownTopicOrPartition
            case .invalidTopicName: .invalidTopic
            case .unknownBroker, .invalidAssignment: .invalidReplicaAssignment
            case .partitionCountDiffers: .invalidPartitions
            case .unknownGroup: .unknownTopicOrPartition
            case .notReassigned: .noReassignmentInProgress
            default: .unknownServerError
            }
        return TopicFailure(code, refusal.description)
    }
}
