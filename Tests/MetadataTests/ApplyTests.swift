import Metadata
import Model
import Testing

@Suite struct ApplyTests {
    @Test func `a new run of a broker gets a new incarnation, a repeated registration does not`() {
        var cluster = Cluster()
        #expect(
            cluster.apply(.registerBroker(registration(1)))
                == [.brokerRegistered(1, isNewRun: true), .brokerOnline(1)]
        )
        #expect(
            cluster.apply(.registerBroker(registration(1)))
                == [.brokerRegistered(1, isNewRun: false)]
        )
        #expect(cluster.metadata.broker(1)?.incarnation == 1)
        #expect(cluster.metadata.broker(1)?.registrationEpoch == 1)
        cluster.apply(.registerBroker(registration(1, session: 2)))
        #expect(cluster.metadata.broker(1)?.incarnation == 2)
        #expect(cluster.metadata.broker(1)?.registrationEpoch == 3)
    }

    @Test func `a broker that registered again is not taken offline for its former run`() {
        var cluster = Cluster.withBrokers(1)
        cluster.apply(.registerBroker(registration(1, session: 2)))
        let effects = cluster.apply(.brokerOffline(BrokerRun(broker: 1, registrationEpoch: 1)))
        #expect(effects == [.refused(.staleBrokerRun(1))])
        #expect(cluster.metadata.onlineBrokers.map(\.id) == [1])
        let run = BrokerRun(broker: 1, registrationEpoch: 2)
        #expect(cluster.apply(.brokerOffline(run)) == [.brokerOffline(1)])
        #expect(cluster.metadata.onlineBrokers.isEmpty)
        #expect(cluster.apply(.brokerOnline(run)) == [.brokerOnline(1)])
    }

    @Test func `a topic's partitions get groups from 1001 on and nodes of incarnation 1`() throws {
        var cluster = Cluster.withBrokers(3)
        let topic = try cluster.createTopic("t", 1, [[1, 2], [2, 3]])
        #expect(topic.partitions.map(\.group) == [1001, 1002])
        #expect(topic.partitions[1].preferredLeader == NodeID(owner: 2, incarnation: 1))
        #expect(topic.partitions[1].replicas(on: 3).map(\.directoryID) == [DirectoryID(uuid(3))])
        #expect(topic.partitions.allSatisfy { $0.replicas.allSatisfy { !$0.isStarted } })
        let second = try cluster.createTopic("a", 2, [[1]])
        #expect(second.partitions.map(\.group) == [1003])
        #expect(cluster.metadata.topics.map(\.name.text) == ["a", "t"])
    }

    @Test func `lookups find a topic by name and id and a partition by its group`() throws {
        var cluster = Cluster.withBrokers(2)
        let topic = try cluster.createTopic("t", 1, [[1], [2], [1, 2]])
        #expect(cluster.metadata.topic(topic.topicID) == topic)
        #expect(cluster.metadata.partition(1003)?.topicPartition == TopicPartition(topic.name, 2))
        #expect(cluster.metadata.partition(1004) == nil)
        #expect(cluster.metadata.partitions(on: 2).map(\.info.group) == [1002, 1003])
        #expect(cluster.metadata.replicas(on: 1).map(\.group) == [1001, 1003])
        #expect(cluster.metadata.wasKnown(1003))
        #expect(!cluster.metadata.wasKnown(1004) && !cluster.metadata.wasKnown(1))
    }

    @Test func `a name that is taken, an unknown broker and a doubled one are refused`() throws {
        var cluster = Cluster.withBrokers(2)
        try cluster.createTopic("t", 1, [[1]])
        func create(_ text: String, _ number: UInt64, _ assignments: [[BrokerID]]) throws
            -> [Effect]
        {
            cluster.apply(
                .createTopic(
                    TopicCreation(
                        name: try name(text),
                        topicID: TopicID(uuid(number)),
                        assignments: assignments
                    )
                )
            )
        }
        #expect(try create("t", 2, [[1]]) == [.refused(.topicExists(try name("t")))])
        #expect(try create("u", 1, [[1]]) == [.refused(.topicIDUsed(TopicID(uuid(1))))])
        #expect(try create("u", 2, [[3]]) == [.refused(.unknownBroker(3))])
        #expect(try create("u", 2, [[1, 1]]) == [.refused(.invalidAssignment)])
        #expect(try create("u", 2, []) == [.refused(.invalidAssignment)])
        #expect(cluster.metadata.topics.count == 1)
        #expect(cluster.metadata.nextGroupID == 1002)
    }

    @Test func `a deleted topic leaves tombstones until every replica has confirmed`() throws {
        var cluster = Cluster.withBrokers(2)
        let topic = try cluster.createTopic("t", 1, [[1, 2]])
        #expect(cluster.apply(.deleteTopic(topic.topicID)) == [.topicDeleted(topic)])
        #expect(cluster.metadata.topic(topic.name) == nil)
        #expect(cluster.metadata.partition(1001) == nil)
        let nodes = topic.partitions[0].replicas.map(\.node)
        #expect(cluster.metadata.tombstone(1001)?.unconfirmed == nodes)
        let first = ReplicaReference(group: 1001, node: nodes[0])
        let second = ReplicaReference(group: 1001, node: nodes[1])
        #expect(cluster.apply(.replicasPurged([first])) == [.replicasPurged([first])])
        #expect(cluster.apply(.replicasPurged([first])) == [])
        #expect(
            cluster.apply(.replicasPurged([second]))
                == [.replicasPurged([second]), .tombstoneRemoved(1001)]
        )
        #expect(cluster.metadata.tombstones.isEmpty)
        #expect(try cluster.createTopic("t", 2, [[1]]).partitions[0].group == 1002)
    }

    @Test func `a start is recorded once, and not for a group that was deleted`() throws {
        var cluster = Cluster.withBrokers(1)
        let topic = try cluster.createTopic("t", 1, [[1]])
        let replica = ReplicaReference(group: 1001, node: topic.partitions[0].preferredLeader)
        #expect(cluster.apply(.replicasStarted([replica])) == [.replicasStarted([replica])])
        #expect(cluster.apply(.replicasStarted([replica])) == [])
        #expect(cluster.metadata.partition(1001)?.info.replicas[0].isStarted == true)
        cluster.apply(.deleteTopic(topic.topicID))
        #expect(cluster.apply(.replicasStarted([replica])) == [])
    }

    @Test func `partitions are added behind the last one only`() throws {
        var cluster = Cluster.withBrokers(1)
        let topic = try cluster.createTopic("t", 1, [[1]])
        func add(_ first: PartitionID) -> [Effect] {
            cluster.apply(
                .createPartitions(
                    PartitionCreation(topicID: topic.topicID, first: first, assignments: [[1]])
                )
            )
        }
        #expect(add(0) == [.refused(.partitionCountDiffers(1))])
        #expect(add(1) == [.partitionsCreated(topic.name, topic.topicID, first: 1)])
        #expect(cluster.metadata.topic(topic.name)?.partition(1)?.group == 1002)
    }

    @Test func `producer ids are never given twice`() {
        var cluster = Cluster()
        #expect(
            cluster.apply(.allocateProducerIDs(1000))
                == [.producerIDsAllocated(first: 0, count: 1000)]
        )
        #expect(
            cluster.apply(.allocateProducerIDs(1))
                == [.producerIDsAllocated(first: 1000, count: 1)]
        )
        #expect(
            cluster.apply(.allocateProducerIDs(0)) == [.refused(.invalidProducerIDCount(0))]
        )
    }

    @Test func `a controller that joined is remembered once, in order`() {
        var cluster = Cluster()
        #expect(cluster.apply(.controllerJoined(3)) == [.controllerJoined(3)])
        #expect(cluster.apply(.controllerJoined(1)) == [.controllerJoined(1)])
        #expect(cluster.apply(.controllerJoined(3)) == [])
        #expect(cluster.metadata.controllers == [1, 3])
    }

    @Test func `a cluster keeps its first identity`() {
        var cluster = Cluster()
        let id = ClusterID(uuid(1))
        #expect(cluster.apply(.setClusterID(id)) == [.clusterNamed(id)])
        #expect(cluster.apply(.setClusterID(id)) == [])
        #expect(
            cluster.apply(.setClusterID(ClusterID(uuid(2)))) == [.refused(.clusterIDDiffers(id))]
        )
        #expect(cluster.metadata.clusterID == id)
    }

    @Test func `the newest term wins in the leader table, whatever the order`() {
        var table = LeaderTable()
        let old = PartitionLeader(group: 1001, term: 3, node: 1)
        let new = PartitionLeader(group: 1001, term: 4, node: 2)
        let tookNew = table.take(new)
        let tookOld = table.take(old)
        let tookAgain = table.take(new)
        #expect(tookNew && !tookOld && !tookAgain)
        table.take(PartitionLeader(group: 1000, term: 1, node: 9))
        #expect(table.leader(of: 1001) == new)
        #expect(table.all.map(\.group) == [1000, 1001])
        table.forget(1001)
        #expect(table.leader(of: 1001) == nil && table.count == 1)
    }
}
