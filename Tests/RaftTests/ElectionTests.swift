import Model
import Raft
import Testing

@Suite struct ElectionTests {
    @Test func `a candidate with a majority becomes leader and all follow it`() {
        let cluster = TestCluster(3)
        cluster.elect(1)
        for id: NodeID in [1, 2, 3] {
            #expect(cluster[id].leader == 1)
            #expect(cluster[id].term == 1)
        }
    }

    @Test func `a proposal is applied everywhere`() throws {
        let cluster = TestCluster(3)
        cluster.elect(1)
        try cluster.propose(1, "one")
        try cluster.propose(1, "two")
        cluster.settle()
        cluster.tick(1)
        cluster.settle()
        for id: NodeID in [1, 2, 3] { #expect(cluster.texts(id) == ["one", "two"]) }
    }
}
