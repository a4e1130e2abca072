import Model
import Testing

@testable import KafkaClient

@Suite struct StopCheckTests {
    private func cluster(_ partitions: [(replicas: [Int32], inSync: [Int32])]) -> ClusterDescription
    {
        let described = partitions.enumerated().map { number, partition in
            PartitionDescription(
                id: Int32(number),
                leader: partition.inSync.first ?? -1,
                leaderEpoch: 1,
                replicas: partition.replicas,
                inSync: partition.inSync,
                offline: []
            )
        }
        let topic = TopicDescription(
            name: "orders",
            id: UniqueID(high: 0, low: 1),
            isInternal: false,
            partitions: described
        )
        return ClusterDescription(clusterID: "c", controllerID: 1, brokers: [], topics: [topic])
    }

    private func atRisk(_ replicas: [Int32], _ inSync: [Int32], without broker: Int32) -> Bool {
        !cluster([(replicas, inSync)]).partitionsAtRisk(withoutBroker: broker).isEmpty
    }

    @Test func `a partition with all its copies lets one of them go`() {
        #expect(!atRisk([1, 2, 3], [1, 2, 3], without: 1))
    }

    @Test func `an under-replicated one does not, and names who is missing`() {
        let risks = cluster([
            ([1, 2, 3], [1, 3]), ([2, 3, 4], [2, 3, 4]), ([3, 2, 1], [3, 1]),
        ])
        .partitionsAtRisk(withoutBroker: 1)
        #expect(risks.map(\.partition.description) == ["orders-0", "orders-2"])
        #expect(risks.map(\.missing) == [[2], [2]])
    }

    @Test func `who has no copy, or one that does not count, may go`() {
        #expect(!atRisk([1, 2, 3], [1, 3], without: 4))
        #expect(!atRisk([1, 2, 3], [1, 3], without: 2))
    }

    @Test func `one copy or two hold nobody up, and are counted`() {
        #expect(!atRisk([1], [1], without: 1))
        #expect(!atRisk([1, 2], [1, 2], without: 1))
        #expect(!atRisk([1, 2], [1], without: 1))
        let thin = cluster([([1], [1]), ([1, 2], [1, 2]), ([1, 2, 3], [1, 2, 3]), ([2], [2])])
        #expect(thin.thinPartitions(ofBroker: 1) == 2)
    }

    @Test func `a quorum that is lost already holds nobody up`() {
        #expect(!atRisk([1, 2, 3], [1], without: 1))
    }

    @Test func `five copies bear that one is missing, and not that two are`() {
        #expect(!atRisk([1, 2, 3, 4, 5], [1, 2, 3, 4], without: 1))
        #expect(atRisk([1, 2, 3, 4, 5], [1, 2, 3], without: 1))
    }

    @Test func `of three controllers with one away nobody else may go`() {
        let controllers = [(1, true, true), (2, true, false), (3, true, true), (4, false, true)]
            .map { id, votes, isActive in
                ControllerDescription(id: id, isVoter: votes, isActive: isActive, end: 9)
            }
        var quorum = QuorumDescription(leader: 1, epoch: 1, committed: 9, controllers: controllers)
        #expect(quorum.missing(withoutController: 1) == [2])
        #expect(quorum.missing(withoutController: 3) == [2])
        #expect(quorum.missing(withoutController: 2) == [])
        #expect(quorum.missing(withoutController: 4) == [])
        quorum.controllers[1].isActive = true
        #expect(quorum.missing(withoutController: 1) == [])
    }
}
