import Metadata
import Model
import Testing

/// Draws commands that fit about as often as not.
private struct CommandSource {
    var random: Drawn
    var topics: [TopicID] = []

    mutating func next(_ metadata: ClusterMetadata) -> MetadataCommand {
        let broker = Int32.random(in: 1...5, using: &random)
        switch Int.random(in: 0..<19, using: &random) {
        case 0: return .setClusterID(ClusterID(uuid(UInt64.random(in: 1...2, using: &random))))
        case 1:
            return Bool.random(using: &random)
                ? .setFeatureLevel(Int.random(in: 1...3, using: &random))
                : .controllerJoined(ControllerID(broker))
        case 2, 3:
            let session = UInt64.random(in: 1...3, using: &random)
            let directory = Bool.random(using: &random) ? 77 : UInt64(broker)
            return .registerBroker(
                registration(broker, session: session, directory: directory)
            )
        case 4: return .brokerOffline(run(of: BrokerID(broker), metadata))
        case 5: return .brokerOnline(run(of: BrokerID(broker), metadata))
        case 6, 7: return createTopic()
        case 8: return .deleteTopic(topics.randomElement(using: &random) ?? TopicID(.zero))
        case 9: return .replicasStarted(references(metadata))
        case 10: return .replicasPurged(references(metadata))
        case 11, 12: return .reassignPartition(move(metadata))
        case 13: return .replaceReplicas(lost(metadata))
        case 14, 15: return .membersChanged(members(metadata))
        case 16, 17: return controllers(metadata)
        default:
            guard let topic = topics.randomElement(using: &random) else {
                return .allocateProducerIDs(5)
            }
            let configs = TopicConfigs([ConfigEntry("retention.ms", "\(broker)")])
            return .setTopicConfigs(TopicConfigChange(topicID: topic, configs: configs))
        }
    }

    private mutating func controllers(_ metadata: ClusterMetadata) -> MetadataCommand {
        let id = Int32.random(in: 1...4, using: &random)
        let nodes = metadata.controllerReplicas.map(\.node)
        switch Int.random(in: 0..<4, using: &random) {
        case 0:
            let node = NodeID(owner: 1, incarnation: 1)
            let founder = ControllerReplica(
                node: node,
                directoryID: nil,
                address: "c1:9190",
                state: .voting
            )
            return .controllersFounded([founder])
        case 1:
            let directory = UInt64.random(in: 1...3, using: &random)
            return .placeController(
                ControllerPlacement(
                    id: ControllerID(id),
                    node: nil,
                    directoryID: DirectoryID(uuid(directory)),
                    address: "c\(id):9190"
                )
            )
        case 2: return .removeController(ControllerID(id))
        default:
            let voters = nodes.filter { _ in Bool.random(using: &random) }
            let learners = nodes.filter { !voters.contains($0) }.prefix(1)
            return .controllersChanged(
                ControllerMembers(voters: voters, learners: Array(learners))
            )
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

    private mutating func group(_ metadata: ClusterMetadata) -> RaftGroupID {
        let last = max(1001, metadata.nextGroupID.rawValue)
        return RaftGroupID(UInt64.random(in: 1001...last, using: &random))
    }

    private mutating func move(_ metadata: ClusterMetadata) -> PartitionReassignment {
        let ids = (1...5).map { BrokerID(Int32($0)) }.shuffled(using: &random)
        let count = Int.random(in: 0...3, using: &random)
        return PartitionReassignment(
            group: group(metadata),
            brokers: count == 0 ? nil : Array(ids.prefix(count))
        )
    }

    private mutating func lost(_ metadata: ClusterMetadata) -> [ReplicaReference] {
        let group = group(metadata)
        let replicas = metadata.partition(group)?.info.desired ?? []
        return replicas.prefix(1).map { ReplicaReference(group: group, node: $0.node) }
    }

    /// What the group wants, or a part of it.
    private mutating func members(_ metadata: ClusterMetadata) -> GroupMembers {
        let info = metadata.reassignments.randomElement(using: &random)?.info
        let target = info?.reassignment?.target ?? []
        let isWhole = Bool.random(using: &random)
        return GroupMembers(
            group: info?.group ?? 1001,
            version: info?.reassignment?.version ?? 1,
            voters: isWhole ? target : target.dropLast(),
            learners: isWhole ? [] : target.suffix(1)
        )
    }

    private mutating func references(_ metadata: ClusterMetadata) -> [ReplicaReference] {
        let group = group(metadata)
        return (1...5).map {
            ReplicaReference(group: group, node: NodeID(owner: $0, incarnation: 1))
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
        var groups: [RaftGroupID] = []
        for topic in metadata.topics {
            #expect(metadata.topic(topic.topicID) == topic)
            for info in topic.partitions {
                groups.append(info.group)
                #expect(metadata.partition(info.group)?.info == info)
                #expect(info.group < metadata.nextGroupID)
                #expect(info.replicas.allSatisfy { $0.node.incarnation < info.nextIncarnation })
                let desired = info.desired.map(\.broker)
                #expect(!desired.isEmpty && Set(desired).count == desired.count)
                let buried = metadata.tombstone(info.group)?.unconfirmed ?? []
                #expect(buried.allSatisfy { info.wasRemoved($0) })
            }
        }
        #expect(Set(groups).count == groups.count)
        let moving = metadata.topics.flatMap(\.partitions).filter { $0.reassignment != nil }
        #expect(moving.count == metadata.reassignmentCount)
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
