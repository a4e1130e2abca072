import Metadata
import Model
import Testing

/// Who the controllers are, as commands say it.
@Suite struct ControllerReplicaTests {
    private func node(_ id: Int32, _ incarnation: UInt32 = 1) -> NodeID {
        NodeID(owner: id, incarnation: incarnation)
    }

    private func directory(_ number: UInt64) -> DirectoryID { DirectoryID(uuid(number)) }

    private func founded(_ count: Int32) -> Cluster {
        var cluster = Cluster()
        let founders = (1...count).map {
            ControllerReplica(
                node: node($0),
                directoryID: nil,
                address: "c\($0):9190",
                state: .voting
            )
        }
        cluster.apply(.controllersFounded(founders))
        return cluster
    }

    private func placement(
        _ id: Int32,
        _ directory: UInt64,
        node: NodeID? = nil,
        at address: String? = nil
    ) -> MetadataCommand {
        .placeController(
            ControllerPlacement(
                id: ControllerID(id),
                node: node,
                directoryID: self.directory(directory),
                address: address ?? "c\(id):9190"
            )
        )
    }

    private func members(_ voters: [NodeID], _ learners: [NodeID] = []) -> MetadataCommand {
        .controllersChanged(ControllerMembers(voters: voters, learners: learners))
    }

    @Test func `a new controller joins, votes once the group says so, and is placed once`() {
        var cluster = founded(1)
        let effects = cluster.apply(placement(2, 20))
        let replica = ControllerReplica(
            node: node(2),
            directoryID: directory(20),
            address: "c2:9190",
            state: .joining
        )
        #expect(effects == [.controllerPlaced(replica)])
        #expect(cluster.apply(placement(2, 20)) == [], "the same directory has its place")
        #expect(cluster.apply(members([node(1)], [node(2)])) == [])
        #expect(cluster.metadata.controllerReplicas.map(\.state) == [.voting, .joining])
        var voter = replica
        voter.state = .voting
        #expect(cluster.apply(members([node(1), node(2)])) == [.controllerVotes(voter)])
        #expect(cluster.apply(members([node(1), node(2)])) == [])
    }

    @Test func `another directory is another incarnation, and the former one has to go`() {
        var cluster = founded(3)
        cluster.apply(placement(2, 20))
        let nodes = [node(1), node(2), node(2, 2), node(3)]
        #expect(cluster.metadata.controllerReplicas.map(\.node) == nodes)
        #expect(
            cluster.metadata.controllerReplicas.map(\.state)
                == [.voting, .leaving, .joining, .voting]
        )
        // Lost once more before it ever voted: a third incarnation, and two that go.
        cluster.apply(placement(2, 21))
        #expect(cluster.metadata.controllerReplicas(of: 2).map(\.node.incarnation) == [1, 2, 3])
        let removed = cluster.apply(members([node(1), node(2, 3), node(3)]))
        #expect(removed.count == 3)
        #expect(cluster.metadata.controllerReplicas(of: 2).map(\.node) == [node(2, 3)])
        #expect(cluster.metadata.controllerReplicas.allSatisfy { $0.state == .voting })
    }

    @Test func `one that was removed is never known by its old number again`() {
        var cluster = founded(3)
        #expect(cluster.apply(.removeController(3)) == [.controllerLeaving(3)])
        #expect(cluster.apply(.removeController(3)) == [], "it is on its way")
        #expect(cluster.apply(members([node(1), node(2), node(3)])) == [], "it votes still")
        #expect(cluster.apply(members([node(1), node(2)])).count == 1)
        #expect(cluster.metadata.controllerReplicas.map(\.id) == [1, 2])
        let stale = placement(3, 30, node: node(3))
        #expect(cluster.apply(stale) == [.refused(.controllerReplicaUnknown(node(3)))])
        cluster.apply(placement(3, 31))
        #expect(cluster.metadata.controllerReplicas(of: 3).map(\.node) == [node(3, 2)])
    }

    @Test func `one that has moved with its data keeps its place at the new address`() throws {
        var cluster = founded(3)
        let effects = cluster.apply(placement(2, 20, node: node(2), at: "elsewhere:1"))
        let moved = try #require(cluster.metadata.controllerReplicas(of: 2).first)
        #expect(effects == [.controllerMoved(moved)])
        #expect(moved.node == node(2) && moved.address == "elsewhere:1")
        #expect(moved.directoryID == directory(20) && moved.state == .voting)
    }

    @Test func `the last one stays, and there are never too many`() {
        var cluster = founded(1)
        #expect(cluster.apply(.removeController(1)) == [.refused(.lastController(1))])
        #expect(cluster.apply(placement(1, 10)) == [.refused(.lastController(1))])
        cluster.apply(placement(2, 20))
        // A learner has not everything yet.
        #expect(cluster.apply(.removeController(1)) == [.refused(.lastController(1))])
        var crowd = founded(Int32(ClusterMetadata.controllersMax))
        #expect(crowd.apply(placement(8, 80)) == [.refused(.tooManyControllers)])
        var unknown = Cluster()
        #expect(unknown.apply(placement(2, 20)) == [.refused(.controllersUnknown)])
    }

    @Test func `founders are recorded once`() {
        var cluster = founded(3)
        let before = cluster.metadata.controllerReplicas
        let other = ControllerReplica(
            node: node(9),
            directoryID: nil,
            address: "c9:9190",
            state: .voting
        )
        #expect(cluster.apply(.controllersFounded([other])) == [])
        #expect(cluster.metadata.controllerReplicas == before)
    }

    @Test func `metadata of a release without these lists are read`() throws {
        let cluster = founded(3)
        let text = String(decoding: cluster.metadata.json, as: UTF8.self)
        let start = try #require(text.firstRange(of: "\"controller_incarnations\""))
        let end = try #require(text.firstRange(of: "\"controllers\""))
        let old = text[..<start.lowerBound] + text[end.lowerBound...]
        let read = try ClusterMetadata(json: Array(old.utf8))
        #expect(read.controllerReplicas.isEmpty && read.version == cluster.metadata.version)
    }
}
