import KafkaProtocol
import Metadata
import Model
import NIOCore
import Raft
import RaftHost
import RaftLog

/// Metadata: brokers, topics, partitions and their leaders, from this broker's own copy.
enum MetadataHandler {
    /// How long a request waits for a topic that it has created.
    private static let creationWait = TimeAmount.seconds(2)
    /// How long a request waits for a successor; answers to others' requests wait behind it.
    private static let electionWait = TimeAmount.milliseconds(900)
    /// How long a request waits for the first word from a controller.
    private static let confirmationWait = TimeAmount.seconds(2)

    static func handle(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try MetadataRequest(reading: &reader, version: request.version)
        let topics = (body.topics ?? []).compactMap(\.name)
        // What was made while this broker was away is known in a moment.
        broker.metadata.wait(
            for: { canAnswer(body, broker.metadata) },
            atMost: confirmationWait,
            then: {
                // And so is a successor: a client that heard of none would pause before it asks.
                broker.metadata.wait(
                    for: { !topics.contains { broker.isElecting($0) } },
                    atMost: electionWait,
                    then: { answer(broker, request, body) }
                )
            }
        )
    }

    /// Whether the answer is more than a guess.
    private static func canAnswer(_ body: MetadataRequest, _ metadata: MetadataCache) -> Bool {
        guard !metadata.onlineBrokers.isEmpty else { return false }
        return metadata.isConfirmed
            || (body.topics ?? []).allSatisfy { topic in
                guard let name = topic.name else {
                    return metadata.topic(TopicID(topic.topicId)) != nil
                }
                return metadata.topic(named: name) != nil
            }
    }

    private static func answer(_ broker: Broker, _ request: KafkaRequest, _ body: MetadataRequest) {
        let missing = toCreate(body, broker, request.version)
        guard !missing.isEmpty else { return describe(broker, request, body) }
        for name in missing { broker.autoCreate(name) }
        broker.metadata.wait(
            for: { missing.allSatisfy { broker.hasLeaders($0) } },
            atMost: creationWait,
            then: { describe(broker, request, body) }
        )
    }

    /// The topics that the request names, that do not exist and that it may create.
    private static func toCreate(
        _ body: MetadataRequest,
        _ broker: Broker,
        _ version: Int16
    ) -> [String] {
        guard broker.options.autoCreateTopics, version < 4 || body.allowAutoTopicCreation,
            broker.metadata.isConfirmed
        else { return [] }
        return (body.topics ?? []).compactMap { topic in
            guard let name = topic.name, let valid = TopicName(name), !valid.isInternal,
                broker.metadata.topic(named: name) == nil
            else { return nil }
            return name
        }
    }

    private static func describe(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ body: MetadataRequest
    ) {
        var response = MetadataResponse()
        response.brokers = broker.metadata.onlineBrokers.map { info in
            var answer = MetadataResponse.MetadataResponseBroker()
            answer.nodeId = info.id.rawValue
            answer.host = info.clientHost
            answer.port = info.clientPort
            answer.rack = info.rack
            return answer
        }
        response.clusterId = broker.clusterID?.description
        response.controllerId = broker.metadata.kafkaControllerID?.rawValue ?? -1
        response.topics = topics(broker, request.version, body)
        request.answer { response.write(to: &$0, version: request.version) }
    }

    private static func topics(
        _ broker: Broker,
        _ version: Int16,
        _ body: MetadataRequest
    ) -> [MetadataResponse.MetadataResponseTopic] {
        let wanted = body.topics
        // Version 0 has no null: an empty list means all topics there.
        guard let wanted, version > 0 || !wanted.isEmpty else {
            return broker.metadata.topics.map { describe($0, broker) }
        }
        return wanted.map { topic in
            if let name = topic.name {
                if let info = broker.metadata.topic(named: name) { return describe(info, broker) }
                return unknown(
                    name,
                    TopicName(name) == nil ? .invalidTopicException : broker.unknownTopicError
                )
            }
            let id = TopicID(topic.topicId)
            if let info = broker.metadata.topic(id) { return describe(info, broker) }
            var answer = unknown(
                "",
                broker.metadata.isConfirmed ? .unknownTopicID : .leaderNotAvailable
            )
            answer.topicId = topic.topicId
            return answer
        }
    }

    private static func unknown(
        _ name: String,
        _ error: KafkaError
    ) -> MetadataResponse.MetadataResponseTopic {
        var answer = MetadataResponse.MetadataResponseTopic()
        answer.errorCode = error.rawValue
        answer.name = name
        return answer
    }

    private static func describe(
        _ topic: TopicInfo,
        _ broker: Broker
    ) -> MetadataResponse.MetadataResponseTopic {
        var answer = MetadataResponse.MetadataResponseTopic()
        answer.name = topic.name.text
        answer.topicId = topic.topicID.id
        answer.isInternal = topic.name.isInternal
        answer.partitions = topic.partitions.map { describe($0, broker) }
        return answer
    }

    private static func describe(
        _ partition: PartitionInfo,
        _ broker: Broker
    ) -> MetadataResponse.MetadataResponseTopic.MetadataResponsePartition {
        let leader = broker.leader(of: partition.group)
        var answer = MetadataResponse.MetadataResponseTopic.MetadataResponsePartition()
        answer.partitionIndex = partition.partition.rawValue
        if let leader, broker.metadata.isOnline(leader.node.broker) {
            answer.leaderId = leader.node.broker.rawValue
            answer.leaderEpoch = leader.term.leaderEpoch
        } else {
            answer.errorCode = KafkaError.leaderNotAvailable.rawValue
            answer.leaderId = -1
        }
        // A broker stands here once, though it may hold a replica and fill its successor.
        let brokers = partition.brokers
        answer.replicaNodes = brokers.map(\.rawValue)
        let inSync =
            broker.table.partition(of: partition.group)?.inSyncNodesIfLeader
            ?? partition.replicas.filter { !$0.joins && broker.metadata.isAt($0) }.map(\.node)
        answer.isrNodes = brokers.filter { id in inSync.contains { $0.broker == id } }
            .map(\.rawValue)
        answer.offlineReplicas = brokers.filter { !broker.metadata.isOnline($0) }.map(\.rawValue)
        return answer
    }
}

// MARK: Leaders

extension Broker {
    /// The leader of a group: as its own replica sees it where that is newer, or as reported.
    ///
    /// Nil while the replica here knows that the reported one has gone.
    func leader(of group: RaftGroupID) -> (node: NodeID, term: Term)? {
        let reported = metadata.leader(of: group)
        guard let partition = table.partition(of: group),
            partition.leadership.term >= reported?.term ?? 0
        else { return reported }
        let own = partition.leadership
        // A leader that nobody confirmed yet may lead a term that nobody joins.
        guard own.leader != .none, !own.isLeader || own.isConfirmed else {
            return partition.isElecting ? nil : reported
        }
        return partition.isElecting ? nil : (own.leader, own.term)
    }

    /// Whether the next leader of any partition here is about to be known.
    public var isElecting: Bool { table.all.contains { $0.isElecting } }

    /// Whether a topic's next leaders are about to be known.
    func isElecting(_ topic: String) -> Bool {
        table.topic(named: topic)?.partitions.contains { $0?.isElecting ?? false } ?? false
    }

    /// The replica that leads a partition, if known.
    func leader(of topic: String, _ partition: Int32) -> NodeID? {
        guard let info = metadata.partition(topic, partition) else { return nil }
        return leader(of: info.group)?.node
    }

    /// Whether every partition of a topic has a leader.
    func hasLeaders(_ topic: String) -> Bool {
        guard let info = metadata.topic(named: topic), !info.partitions.isEmpty else {
            return false
        }
        return info.partitions.allSatisfy { leader(of: $0.group) != nil }
    }
}

extension Partition {
    /// The voters that keep up, as a leader sees them; this one included.
    var inSyncNodes: [NodeID] {
        guard let replica else { return [] }
        return replica.configuration.voters.filter { node in
            node == identity.node || replica.progress(of: node)?.isActive == true
        }
    }

    /// The same, or nil on a replica that does not lead and cannot know.
    var inSyncNodesIfLeader: [NodeID]? { leadership.isLeader ? inSyncNodes : nil }
}
