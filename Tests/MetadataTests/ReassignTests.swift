import Metadata
import Model
import Testing

private let group: RaftGroupID = 1001

private func node(_ broker: Int32, _ incarnation: UInt32 = 1) -> NodeID {
    NodeID(owner: broker, incarnation: incarnation)
}

/// A partition on brokers 1, 2 and 3 of five, every replica started.
private struct Moves {
    var cluster = Cluster.withBrokers(5)

    init() throws {
        try cluster.createTopic("t", 1, [[1, 2, 3]])
        cluster.apply(.replicasStarted([1, 2, 3].map { .init(group: group, node: node($0)) }))
    }

    var info: PartitionInfo {
        get throws { try #require(cluster.metadata.partition(group)?.info) }
    }

    @discardableResult
    mutating func move(to brokers: [BrokerID]?) -> [Effect] {
        cluster.apply(.reassignPartition(.init(group: group, brokers: brokers)))
    }

    /// The group tells its members under the target that is in force, or under another one.
    @discardableResult
    mutating func tell(
        _ voters: [NodeID],
        learners: [NodeID] = [],
        version: MetadataVersion? = nil
    ) throws -> [Effect] {
        let current = try info.reassignment?.version ?? 0
        let members = GroupMembers(
            group: group,
            version: version ?? current,
            voters: voters,
            learners: learners
        )
        return cluster.apply(.membersChanged(members))
    }

    mutating func register(_ broker: Int32, directory: UInt64) {
        let session = UInt64.random(in: 100...UInt64.max)
        cluster.apply(
            .registerBroker(registration(broker, session: session, directory: directory))
        )
    }

    @discardableResult
    mutating func replace(_ lost: NodeID) -> [Effect] {
        cluster.apply(.replaceReplicas([ReplicaReference(group: group, node: lost)]))
    }
}

@Suite struct ReassignTests {
    @Test func `a move places new incarnations beside the replicas that there are`() throws {
        var moves = try Moves()
        #expect(moves.move(to: [4, 1, 2]) == [.reassignmentChanged(group)])
        let info = try moves.info
        #expect(info.replicas.map(\.node) == [node(1), node(2), node(3), node(4, 2)])
        #expect(info.desired.map(\.node) == [node(4, 2), node(1), node(2)])
        #expect(info.adding.map(\.node) == [node(4, 2)])
        #expect(info.removing.map(\.node) == [node(3)])
        #expect(info.replica(node(4, 2))?.directoryID == DirectoryID(uuid(4)))
        #expect(info.nextIncarnation == 3)
        #expect(moves.cluster.metadata.reassignments.map(\.info.group) == [group])
    }

    @Test func `where the replicas are already nothing is to be done`() throws {
        var moves = try Moves()
        #expect(moves.move(to: [1, 2, 3]) == [])
        #expect(moves.move(to: [3, 1, 2]) == [.reassignmentChanged(group)])
        #expect(try moves.info.reassignment == nil)
        #expect(try moves.info.preferredLeader == node(3))
    }

    @Test func `a target that cannot be is refused`() throws {
        var moves = try Moves()
        #expect(moves.move(to: [1, 9]) == [.refused(.unknownBroker(9))])
        #expect(moves.move(to: [1, 1]) == [.refused(.invalidAssignment)])
        #expect(moves.move(to: []) == [.refused(.invalidAssignment)])
        #expect(moves.move(to: nil) == [.refused(.notReassigned(group))])
        let nowhere = PartitionReassignment(group: 1234, brokers: [1])
        #expect(
            moves.cluster.apply(.reassignPartition(nowhere)) == [.refused(.unknownGroup(1234))]
        )
        #expect(try moves.info.replicas.count == 3)
    }

    @Test func `a move is finished when the group has committed exactly the target`() throws {
        var moves = try Moves()
        moves.move(to: [4, 1, 2])
        moves.cluster.apply(.replicasStarted([.init(group: group, node: node(4, 2))]))
        let target = [node(1), node(2), node(4, 2)]
        #expect(try moves.tell([node(1), node(2), node(3)], learners: [node(4, 2)]) == [])
        #expect(try moves.tell(target, version: 1) == [], "members under an older target")
        let gone = ReplicaReference(group: group, node: node(3))
        #expect(
            try moves.tell(target) == [.replicasRemoved([gone]), .reassignmentFinished(group)]
        )
        let info = try moves.info
        #expect(info.replicas.map(\.node) == [node(4, 2), node(1), node(2)])
        #expect(info.reassignment == nil && info.adding.isEmpty && info.removing.isEmpty)
        #expect(info.replicas.allSatisfy { !$0.joins })
        #expect(info.wasRemoved(node(3)) && !info.wasRemoved(node(3, 9)))
        #expect(moves.cluster.metadata.reassignmentCount == 0)
        #expect(moves.cluster.metadata.tombstone(group)?.unconfirmed == [node(3)])
        #expect(
            moves.cluster.apply(.replicasPurged([gone]))
                == [.replicasPurged([gone]), .tombstoneRemoved(group)]
        )
    }

    @Test func `a founder that never ran joins like others once the members have changed`() throws {
        var cluster = Cluster.withBrokers(4)
        try cluster.createTopic("t", 1, [[1, 2, 3]])
        cluster.apply(.replicasStarted([1, 3].map { .init(group: group, node: node($0)) }))
        cluster.apply(.reassignPartition(.init(group: group, brokers: [1, 2, 4])))
        let move = try #require(cluster.metadata.partition(group)?.info)
        #expect(move.replicas.filter { !$0.joins }.map(\.node) == [node(1), node(2), node(3)])
        cluster.apply(.replicasStarted([.init(group: group, node: node(4, 2))]))
        let members = GroupMembers(
            group: group,
            version: try #require(move.reassignment?.version),
            voters: [node(1), node(2), node(4, 2)]
        )
        cluster.apply(.membersChanged(members))
        let info = try #require(cluster.metadata.partition(group)?.info)
        #expect(info.replicas.filter(\.joins).map(\.node) == [node(2)])
    }

    @Test func `a cancelled move goes back, and what it added is removed again`() throws {
        var moves = try Moves()
        moves.move(to: [4, 5, 1])
        #expect(moves.move(to: nil) == [.reassignmentChanged(group)])
        let info = try moves.info
        #expect(info.desired.map(\.node) == [node(1), node(2), node(3)])
        #expect(info.removing.map(\.node) == [node(4, 2), node(5, 3)])
        #expect(moves.move(to: nil) == [], "it goes back already")
        try moves.tell([node(1), node(2), node(3)])
        #expect(try moves.info.replicas.map(\.node) == [node(1), node(2), node(3)])
        #expect(
            moves.cluster.metadata.tombstone(group)?.unconfirmed == [node(4, 2), node(5, 3)]
        )
    }

    @Test func `a move back after a finished one never uses a number twice`() throws {
        var moves = try Moves()
        moves.move(to: [1, 2, 4])
        try moves.tell([node(1), node(2), node(4, 2)])
        moves.move(to: [1, 2, 3])
        #expect(try moves.info.adding.map(\.node) == [node(3, 3)])
        try moves.tell([node(1), node(2), node(3, 3)])
        #expect(try moves.info.replicas.map(\.node) == [node(1), node(2), node(3, 3)])
        #expect(
            moves.cluster.metadata.tombstone(group)?.unconfirmed == [node(3), node(4, 2)]
        )
    }

    @Test func `a second move takes the place of the first, and cancels to the very first state`()
        throws
    {
        var moves = try Moves()
        moves.move(to: [1, 2, 4])
        let first = try moves.info.reassignment?.version
        moves.move(to: [2, 4, 5])
        let info = try moves.info
        #expect(info.desired.map(\.node) == [node(2), node(4, 2), node(5, 3)])
        #expect(info.removing.map(\.node) == [node(1), node(3)])
        #expect(try moves.tell([node(1), node(2), node(4, 2)], version: first) == [])
        // The group had gone as far as the first target; replica 3 is let go.
        let gone = ReplicaReference(group: group, node: node(3))
        #expect(
            try moves.tell([node(1), node(2), node(4, 2)], learners: [node(5, 3)])
                == [.replicasRemoved([gone])]
        )
        moves.move(to: nil)
        #expect(try moves.info.desired.map(\.node) == [node(1), node(2), node(3, 4)])
    }

    @Test func `a replica whose directory is gone is replaced in its place`() throws {
        var moves = try Moves()
        moves.register(1, directory: 77)
        let lost = ReplicaReference(group: group, node: node(1))
        #expect(moves.replace(node(1)) == [.replicaReplaced(lost, by: node(1, 2))])
        #expect(moves.replace(node(1)) == [], "it is replaced already")
        #expect(try moves.info.desired.map(\.node) == [node(1, 2), node(2), node(3)])
        #expect(try moves.info.replica(node(1, 2))?.directoryID == DirectoryID(uuid(77)))
        try moves.tell([node(1, 2), node(2), node(3)])
        #expect(try moves.info.replicas.map(\.node) == [node(1, 2), node(2), node(3)])
        #expect(moves.cluster.metadata.tombstones.isEmpty, "there is nothing to delete")
    }

    @Test func `a broker that gets its old directory back takes up what lies there`() throws {
        var moves = try Moves()
        moves.register(1, directory: 77)
        moves.replace(node(1))
        moves.register(1, directory: 1)
        let lost = ReplicaReference(group: group, node: node(1, 2))
        #expect(moves.replace(node(1, 2)) == [.replicaReplaced(lost, by: node(1))])
        #expect(try moves.info.desired.map(\.node) == [node(1), node(2), node(3)])
        try moves.tell([node(1), node(2), node(3)])
        #expect(try moves.info.replicas.map(\.node) == [node(1), node(2), node(3)])
    }

    @Test
    func `a damaged replica leaves first, and its data are deleted before its successor comes`()
        throws
    {
        var moves = try Moves()
        #expect(
            moves.replace(node(2))
                == [
                    .replicaReplaced(
                        ReplicaReference(group: group, node: node(2)),
                        by: node(2, 2)
                    )
                ]
        )
        #expect(try moves.info.replicas(on: 2).map(\.node) == [node(2), node(2, 2)])
        let gone = ReplicaReference(group: group, node: node(2))
        #expect(try moves.tell([node(1), node(3)]) == [.replicasRemoved([gone])])
        #expect(moves.cluster.metadata.tombstone(group)?.unconfirmed == [node(2)])
        #expect(try moves.info.reassignment != nil)
        #expect(
            try moves.tell([node(1), node(2, 2), node(3)]) == [.reassignmentFinished(group)]
        )
        // The successor is damaged too.
        moves.replace(node(2, 2))
        #expect(try moves.info.desired.map(\.node) == [node(1), node(2, 3), node(3)])
    }

    @Test func `a replacement during a move belongs to the move`() throws {
        var moves = try Moves()
        moves.move(to: [1, 2, 4])
        let before = try #require(try moves.info.reassignment)
        moves.register(4, directory: 44)
        moves.replace(node(4, 2))
        let after = try #require(try moves.info.reassignment)
        #expect(after.version > before.version && after.original == [1, 2, 3])
        #expect(after.target == [node(1), node(2), node(4, 3)])
        #expect(try moves.tell([node(1), node(2), node(4, 2)], version: before.version) == [])
        try moves.tell([node(1), node(2), node(4, 3)])
        #expect(moves.cluster.metadata.tombstone(group)?.unconfirmed == [node(3)])
    }

    @Test func `a topic that is deleted during a move leaves tombstones of all replicas`() throws {
        var moves = try Moves()
        moves.move(to: [1, 2, 4])
        try moves.tell([node(1), node(2), node(4, 2)])
        moves.move(to: [2, 4, 5])
        moves.cluster.apply(.deleteTopic(TopicID(uuid(1))))
        #expect(
            moves.cluster.metadata.tombstone(group)?.unconfirmed
                == [node(1), node(2), node(3), node(4, 2), node(5, 3)]
        )
        #expect(moves.cluster.metadata.reassignmentCount == 0)
        #expect(try moves.cluster.createTopic("t", 2, [[1]]).partitions[0].group == 1002)
    }

    @Test func `loads count the replicas that are to be`() throws {
        var moves = try Moves()
        moves.move(to: [4, 1, 2])
        let loads = moves.cluster.metadata.onlineLoads()
        #expect(loads.map(\.replicas) == [1, 1, 0, 1, 0])
        #expect(loads.map(\.leaders) == [0, 0, 0, 1, 0])
        #expect(moves.cluster.metadata.topics[0].replicationFactor == 3)
    }
}

@Suite struct ReassignFormatTests {
    @Test func `the bytes of commands are fixed`() {
        let move = PartitionReassignment(group: 1001, brokers: [1, 4])
        #expect(
            MetadataCommand.reassignPartition(move).jsonText == """
                {"body":{"brokers":[1,4],"group":1001},"type":"reassignPartition","version":1}
                """
        )
        let cancel = PartitionReassignment(group: 1001, brokers: nil)
        #expect(
            MetadataCommand.reassignPartition(cancel).jsonText == """
                {"body":{"group":1001},"type":"reassignPartition","version":1}
                """
        )
        let members = GroupMembers(group: 1001, version: 7, voters: [1, 2], learners: [3])
        #expect(
            MetadataCommand.membersChanged(members).jsonText == """
                {"body":{"group":1001,"learners":[3],"version":7,"voters":[1,2]},\
                "type":"membersChanged","version":1}
                """
        )
    }

    @Test func `a snapshot holds the move, and one without any is what it was before`() throws {
        var cluster = Cluster.withBrokers(3)
        try cluster.createTopic("t", 1, [[1, 2]])
        let before = String(decoding: cluster.metadata.json, as: UTF8.self)
        #expect(!before.contains("reassignment") && !before.contains("joins"))
        #expect(try ClusterMetadata(json: Array(before.utf8)) == cluster.metadata)
        cluster.apply(.reassignPartition(.init(group: 1001, brokers: [1, 3])))
        let after = cluster.metadata.json
        #expect(
            String(decoding: after, as: UTF8.self).contains(
                """
                "reassignment":{"original":[1,2],"target":[4294967297,12884901890],"version":5}
                """
            )
        )
        let read = try ClusterMetadata(json: after)
        #expect(read == cluster.metadata && read.reassignmentCount == 1)
    }

    @Test func `a move to a replica that is not there is refused as malformed`() throws {
        var cluster = Cluster.withBrokers(3)
        try cluster.createTopic("t", 1, [[1, 2]])
        cluster.apply(.reassignPartition(.init(group: 1001, brokers: [1, 3])))
        let text = String(decoding: cluster.metadata.json, as: UTF8.self)
        let wrong = text.replacing("\"target\":[4294967297,", with: "\"target\":[77,")
        #expect(wrong != text)
        #expect(throws: MetadataError.malformed("target of partition 0 of topic t")) {
            try ClusterMetadata(json: Array(wrong.utf8))
        }
    }
}
