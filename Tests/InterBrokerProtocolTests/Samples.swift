import InterBrokerProtocol
import Model

/// One request of every type, with every optional field set.
enum Samples {
    static let id = UniqueID(high: 0x1111_1111_1111_4111, low: 0x8111_1111_1111_1111)
    static let node = NodeID(owner: 2, incarnation: 1)

    static let header = RequestHeader(
        clusterID: ClusterID(id),
        senderRole: .controller,
        senderID: 1,
        targetID: 2,
        requestID: RequestID(id),
        controllerEpoch: 7
    )

    static let start = StartPartitionRaftGroupRequest(
        raftGroupID: 1001,
        topicID: TopicID(id),
        topicName: "test-topic",
        partitionID: 0,
        nodeMembers: ["4294967297": "broker1:9192", "8589934593": "broker2:9192"],
        join: false,
        directoryID: DirectoryID(id)
    )

    static let stop = StopPartitionRaftGroupRequest(
        raftGroupID: 1001,
        topicID: TopicID(id),
        topicName: "test-topic",
        partitionID: 0,
        purge: true,
        directoryID: DirectoryID(id),
        nodeID: node
    )

    static let leader = LeaderReport(group: 1001, term: 3, node: node)
    static let command = VersionedCommand(version: 9, command: #"{"a":1}"#)

    static let all: [any InterBrokerRequest] = [
        ControllerDiscoverRequest(),
        ControllerVerifyRequest(),
        GetTopicMetadataRequest(sinceVersion: 4, page: 1, pageVersion: 9),
        start,
        stop,
        RegisterBrokerRequest(
            clientHost: "h",
            clientPort: 9092,
            peerAddress: "h:9192",
            directoryID: DirectoryID(id),
            session: SessionID(id),
            rack: "r"
        ),
        BrokerHeartbeatRequest(
            session: SessionID(id),
            metadataVersion: 5,
            digest: "00ff",
            groups: [
                HostedReplica(group: 1001, node: node),
                HostedReplica(group: 1002, node: node, isSuspect: true),
            ]
        ),
        ReportLeadersRequest(
            session: SessionID(id),
            leaders: [leader],
            members: [
                MembersReport(group: 1001, targetVersion: 7, voters: [node], learners: [1])
            ]
        ),
        MetadataChangedRequest(
            version: 9,
            fromVersion: 8,
            commands: [command],
            leaders: [leader]
        ),
        CreateTopicsRequest(topics: [
            NewTopic(
                name: "t",
                partitions: 3,
                replicationFactor: 3,
                assignments: ["0": [1, 2, 3]],
                configs: ["retention.ms": "1"]
            )
        ]),
        DeleteTopicsRequest(topics: [TopicReference(name: "t", topicID: TopicID(id))]),
        CreatePartitionsRequest(topics: [
            PartitionIncrease(name: "t", count: 6, assignments: ["3": [1]])
        ]),
        AlterConfigsRequest(resources: [
            ConfigChange(resourceType: 2, name: "t", set: ["k": "v"], removed: ["x"])
        ]),
        AllocateProducerIDsRequest(count: 1000),
        RaftStreamRequest(
            session: SessionID(id),
            formatVersion: RaftStreamRequest.currentFormatVersion
        ),
        ReassignPartitionsRequest(partitions: [
            PartitionMove(topicName: "t", partitionID: 0, replicas: [1, 2])
        ]),
        WriteTxnMarkersRequest(markers: [
            TransactionMarker(
                producerID: 1,
                producerEpoch: 2,
                coordinatorEpoch: 3,
                commit: true,
                partitions: [MarkedPartition(topicID: TopicID(id), partitionID: 0)]
            )
        ]),
        AddControllerRequest(
            id: 2,
            directoryID: DirectoryID(id),
            address: "h:9190",
            timeoutMs: 30_000
        ),
        RemoveControllerRequest(id: 2, directoryID: DirectoryID(id), timeoutMs: 30_000),
        DescribeControllersRequest(),
        ControlledShutdownRequest(isHindered: true),
    ]
}
