import Metadata
import Model
import Testing

private func loads(_ count: Int) -> [PartitionAssigner.Load] {
    (1...count).map { PartitionAssigner.Load(broker: BrokerID(Int32($0))) }
}

/// How many replicas and preferred leaders each broker has.
private func counts(
    _ assignments: [[BrokerID]],
    brokers: Int
) -> (replicas: [Int], leaders: [Int]) {
    var replicas = [Int](repeating: 0, count: brokers)
    var leaders = replicas
    for assignment in assignments {
        for broker in assignment { replicas[Int(broker.rawValue) - 1] += 1 }
        if let leader = assignment.first { leaders[Int(leader.rawValue) - 1] += 1 }
    }
    return (replicas, leaders)
}

private func spread(_ counts: [Int]) -> Int { (counts.max() ?? 0) - (counts.min() ?? 0) }

@Suite struct AssignerTests {
    @Test(arguments: 1...9)
    func `replicas and leaders differ by at most one on equal brokers`(brokers: Int) throws {
        for factor in 1...min(brokers, 5) {
            for partitions in 1...60 {
                let assignments = try PartitionAssigner.assign(
                    partitions: partitions,
                    replicationFactor: factor,
                    over: loads(brokers)
                )
                #expect(assignments.count == partitions)
                #expect(assignments.allSatisfy { Set($0).count == factor })
                let counts = counts(assignments, brokers: brokers)
                let place = "\(brokers) brokers, factor \(factor), \(partitions) partitions"
                #expect(spread(counts.replicas) <= 1, "\(place): \(counts.replicas)")
                #expect(spread(counts.leaders) <= 1, "\(place): \(counts.leaders)")
            }
        }
    }

    @Test(arguments: 1...20)
    func `many topics one after the other stay balanced`(seed: UInt64) throws {
        var random = Drawn(state: seed)
        let brokers = Int32.random(in: 3...7, using: &random)
        var cluster = Cluster.withBrokers(brokers)
        var all: [[BrokerID]] = []
        for number in 1...40 {
            let assignments = try PartitionAssigner.assign(
                partitions: Int.random(in: 1...9, using: &random),
                replicationFactor: Int.random(in: 1...3, using: &random),
                over: cluster.metadata.onlineLoads()
            )
            try cluster.createTopic("topic-\(number)", UInt64(number), assignments)
            all += assignments
        }
        let counts = counts(all, brokers: Int(brokers))
        #expect(spread(counts.replicas) <= 2, "\(counts.replicas)")
        #expect(spread(counts.leaders) <= 3, "\(counts.leaders)")
    }

    @Test func `the loss of a broker moves its leaders to several others`() throws {
        let assignments = try PartitionAssigner.assign(
            partitions: 24,
            replicationFactor: 2,
            over: loads(4)
        )
        let followers = Set(assignments.filter { $0[0] == 1 }.map { $0[1] })
        #expect(followers.count >= 2, "\(assignments)")
    }

    @Test func `the same question has the same answer, whatever the order of brokers`() throws {
        let forward = try PartitionAssigner.assign(
            partitions: 7,
            replicationFactor: 3,
            over: loads(5)
        )
        let backward = try PartitionAssigner.assign(
            partitions: 7,
            replicationFactor: 3,
            over: loads(5).reversed()
        )
        #expect(forward == backward)
        #expect(forward[0] == [1, 2, 3])
    }

    @Test func `too few brokers are named with both numbers`() {
        #expect(throws: AssignmentError.insufficientBrokers(need: 3, have: 2)) {
            try PartitionAssigner.assign(partitions: 1, replicationFactor: 3, over: loads(2))
        }
        #expect(
            AssignmentError.insufficientBrokers(need: 3, have: 2).description
                == "insufficient brokers: need 3, have 2"
        )
        #expect(throws: AssignmentError.invalidCount("replication factor", 0)) {
            try PartitionAssigner.assign(partitions: 1, replicationFactor: 0, over: loads(2))
        }
    }

    @Test func `brokers that are offline get nothing, and what they hold is not counted`() throws {
        var cluster = Cluster.withBrokers(3)
        try cluster.createTopic("t", 1, [[1, 2, 3]])
        cluster.apply(.brokerOffline(BrokerRun(broker: 1, registrationEpoch: 1)))
        #expect(
            cluster.metadata.onlineLoads() == [
                PartitionAssigner.Load(broker: 2, replicas: 1),
                PartitionAssigner.Load(broker: 3, replicas: 1),
            ]
        )
    }
}
