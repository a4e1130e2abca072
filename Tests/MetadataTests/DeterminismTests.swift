import Metadata
import Model
import Testing

/// Draws commands that fit about as often as not.
private struct CommandSource {
    var random: Drawn
    var topics: [TopicID] = []

    mutating func next(_ metadata: ClusterMetadata) -> MetadataCommand {
        let broker = Int32.random(in: 1...5, using: &random)
        switch Int.random(in: 0..<12, using: &random) {
        case 0: return .setClusterID(ClusterID(uuid(UInt64.random(in: 1...2, using: &random))))
        case 1: return .setFeatureLevel(Int.random(in: 1...3, using: &random))
        case 2, 3:
            let session = UInt64.random(in: 1...3, using: &random)
            return .registerBroker(registration(broker, session: session))
        case 4: return .brokerOffline(run(of: BrokerID(broker), metadata))
        case 5: return .brokerOnline(run(of: BrokerID(broker), metadata))
        case 6, 7: return createTopic()
        case 8: return .deleteTopic(topics.randomElement(using: &random) ?? TopicID(.zero))
        case 9: return .replicasStarted(references(metadata))
        case 10: return .replicasPurged(references(metadata))
        default:
            guard let topic = topics.randomElement(using: &random) else {
                return .allocateProducerIDs(5)
            }
            let configs = TopicConfigs([ConfigEntry("retention.ms", "\(broker)")])
            return .setTopicConfigs(TopicConfigChange(topicID: topic, configs: configs))
        }
    }

    private func run(of broker: BrokerID, _ metadata: ClusterMetadata) -> BrokerRun {
        BrokerRun(
            broker: broker,
            registrationEpoch: metadata.broker(broker)?.registrationEpoch ?? 0
        )
    }

    private mutating func createTopic() -> MetadataCommand {
        let text = "topic-\(Int.random(in: 0..<8, using: &random))"
        let id = TopicID(UniqueID(using: &random))
        topics.append(id)
        var assignments: [[BrokerID]] = []
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            let ids = (1...5).map { BrokerID(Int32($0)) }.shuffled(using: &random)
            assignments.append(Array(ids.prefix(Int.random(in: 1...3, using: &random))))
        }
        guard let name = TopicName(text) else { return .deleteTopic(id) }
        return .createTopic(TopicCreation(name: name, topicID: id, assignments: assignments))
    }

    private mutating func references(_ metadata: ClusterMetadata) -> [ReplicaReference] {
        let group = UInt64.random(
            in: 1001...max(1001, metadata.nextGroupID.rawValue),
            using: &random
        )
        return (1...5).map {
            ReplicaReference(group: RaftGroupID(group), node: NodeID(owner: $0, incarnation: 1))
        }
    }
}

@Suite struct DeterminismTests {
    @Test(arguments: 1...40)
    func `the same commands give the same bytes, also through JSON and snapshots`(
        seed: UInt64
    ) throws {
        var source = CommandSource(random: Drawn(state: seed))
        var first = ClusterMetadata()
        var second = ClusterMetadata()
        for step in 1...120 {
            let command = source.next(first)
            let version = MetadataVersion(UInt64(step * 2))
            let effects = first.apply(command, at: version)
            let read = try MetadataCommand(json: command.json)
            #expect(read == command)
            #expect(second.apply(read, at: version) == effects)
            if step % 10 == 0 {
                #expect(first.json == second.json)
                second = try ClusterMetadata(json: second.json)
                #expect(first == second)
            }
            checkInvariants(first)
        }
        #expect(first.json == second.json)
    }

    private func checkInvariants(_ metadata: ClusterMetadata) {
        var groups: [RaftGroupID] = metadata.tombstones.map(\.group)
        for topic in metadata.topics {
            #expect(metadata.topic(topic.topicID) == topic)
            for info in topic.partitions {
                groups.append(info.group)
                #expect(metadata.partition(info.group)?.info == info)
                #expect(info.group < metadata.nextGroupID)
            }
        }
        #expect(Set(groups).count == groups.count)
        #expect(metadata.tombstones.allSatisfy { !$0.unconfirmed.isEmpty })
    }

    @Test func `a command's bytes are fixed`() throws {
        let command = MetadataCommand.createTopic(
            TopicCreation(
                name: try name("t"),
                topicID: TopicID(uuid(1)),
                assignments: [[1, 2]],
                configs: TopicConfigs([
                    ConfigEntry("retention.ms", "1"), ConfigEntry("cleanup.policy", "compact"),
                ])
            )
        )
        #expect(
            command.jsonText == """
                {"body":{"assignments":[[1,2]],"configs":[{"key":"cleanup.policy",\
                "value":"compact"},{"key":"retention.ms","value":"1"}],"name":"t",\
                "topic_id":"00000000-0000-0007-0000-000000000001"},"type":"createTopic",\
                "version":1}
                """
        )
    }

    @Test func `an unknown command or version is refused by name`() {
        func error(_ text: String) -> MetadataError? {
            do throws(MetadataError) {
                _ = try MetadataCommand(json: Array(text.utf8))
                return nil
            } catch {
                return error
            }
        }
        #expect(
            error(#"{"type":"dropEverything","version":1,"body":1}"#)
                == .unknownCommand("dropEverything")
        )
        #expect(
            error(#"{"type":"deleteTopic","version":2,"body":1}"#)
                == .unsupportedCommandVersion("deleteTopic", 2)
        )
        #expect(
            error(#"{"type":"deleteTopic","body":1}"#) == .malformed("missing field: version")
        )
        #expect(error("nonsense") == .malformed("not JSON"))
        #expect(
            error(#"{"type":"deleteTopic","version":1,"body":1}"#)
                == .malformed("invalid field: body")
        )
    }

    @Test func `a snapshot of another form or out of order is refused`() throws {
        let text = String(decoding: ClusterMetadata().json, as: UTF8.self)
        let newer = text.replacing("\"snapshot_version\":1", with: "\"snapshot_version\":9")
        #expect(throws: MetadataError.unsupportedSnapshotVersion(9)) {
            try ClusterMetadata(json: Array(newer.utf8))
        }
        let cluster = Cluster.withBrokers(2)
        let ordered = String(decoding: cluster.metadata.json, as: UTF8.self)
        let swapped = ordered.replacing("\"id\":1,", with: "\"id\":3,")
        #expect(swapped != ordered)
        #expect(throws: MetadataError.malformed("brokers out of order")) {
            try ClusterMetadata(json: Array(swapped.utf8))
        }
    }

    @Test func `numbers of 64 bits survive JSON`() throws {
        let node = NodeID(owner: Int32.max, incarnation: UInt32.max)
        let command = MetadataCommand.replicasStarted([
            ReplicaReference(group: RaftGroupID(UInt64.max), node: node)
        ])
        #expect(try MetadataCommand(json: command.json) == command)
    }
}
