public import Model

/// Why replicas cannot be placed.
public enum AssignmentError: Error, Equatable, Sendable, CustomStringConvertible {
    /// There are fewer brokers than each partition is to have replicas.
    case insufficientBrokers(need: Int, have: Int)
    /// The number of partitions or of replicas is below 1.
    case invalidCount(String, Int)

    /// A sentence for the log and the client.
    public var description: String {
        switch self {
        case .insufficientBrokers(let need, let have):
            "insufficient brokers: need \(need), have \(have)"
        case .invalidCount(let what, let count): "invalid \(what): \(count)"
        }
    }
}

/// Chooses the brokers that hold a topic's replicas.
///
/// Replicas and preferred leaders are spread evenly: first within the topic, then over all topics.
/// Ties go to brokers that share fewer partitions, then to the lower broker id, so that the same
/// question always has the same answer.
public struct PartitionAssigner: Sendable {
    /// What one broker holds already.
    public struct Load: Equatable, Sendable {
        /// The broker.
        public var broker: BrokerID
        /// How many replicas it holds.
        public var replicas: Int
        /// How many of them are preferred leaders.
        public var leaders: Int

        /// Describes a broker's load.
        public init(broker: BrokerID, replicas: Int = 0, leaders: Int = 0) {
            self.broker = broker
            self.replicas = replicas
            self.leaders = leaders
        }
    }

    private struct Candidate {
        let load: Load
        var topicReplicas = 0
        var topicLeaders = 0
        /// How many partitions of this topic it shares with the candidate at a position.
        var shared: [Int]

        var replicas: (Int, Int) { (topicReplicas, load.replicas + topicReplicas) }
        var leaders: (Int, Int) { (topicLeaders, load.leaders + topicLeaders) }
    }

    private var candidates: [Candidate]

    /// Makes an assigner for these brokers; each stands in the list once.
    public init(_ loads: [Load]) {
        let sorted = loads.sorted { $0.broker < $1.broker }
        let shared = [Int](repeating: 0, count: sorted.count)
        candidates = sorted.map { Candidate(load: $0, shared: shared) }
    }

    /// Makes an assigner for the brokers of a cluster that are online.
    public init(_ metadata: ClusterMetadata) {
        self.init(metadata.onlineLoads())
    }

    /// The brokers of each partition in turn, the preferred leader first.
    public static func assign(
        partitions: Int,
        replicationFactor: Int,
        over loads: [Load]
    ) throws(AssignmentError) -> [[BrokerID]] {
        var assigner = PartitionAssigner(loads)
        return try assigner.assign(partitions: partitions, replicationFactor: replicationFactor)
    }

    /// The brokers of each partition in turn, the preferred leader first.
    ///
    /// What is assigned counts as load of the next call.
    public mutating func assign(
        partitions: Int,
        replicationFactor: Int
    ) throws(AssignmentError) -> [[BrokerID]] {
        guard partitions > 0 else { throw .invalidCount("number of partitions", partitions) }
        guard replicationFactor > 0 else {
            throw .invalidCount("replication factor", replicationFactor)
        }
        guard replicationFactor <= candidates.count else {
            throw .insufficientBrokers(need: replicationFactor, have: candidates.count)
        }
        var placed = (0..<partitions).map { _ in place(replicationFactor) }
        for partition in placed.indices { lead(&placed[partition]) }
        while improveLeaders(of: &placed) {}
        return placed.map { $0.map { candidates[$0].load.broker } }
    }

    private mutating func place(_ count: Int) -> [Int] {
        var chosen: [Int] = []
        while chosen.count < count { chosen.append(next(besides: chosen)) }
        for one in chosen {
            candidates[one].topicReplicas += 1
            for other in chosen where other != one { candidates[one].shared[other] += 1 }
        }
        precondition(Set(chosen).count == count, "a partition's replicas share a broker")
        return chosen
    }

    /// Puts the replica whose broker leads the least first.
    private mutating func lead(_ chosen: inout [Int]) {
        let best = chosen.indices.min {
            candidates[chosen[$0]].leaders < candidates[chosen[$1]].leaders
        }
        guard let best else { return }
        candidates[chosen[best]].topicLeaders += 1
        chosen.swapAt(0, best)
    }

    private func next(besides chosen: [Int]) -> Int {
        var best = -1
        var bestRank = (0, 0, 0)
        for position in candidates.indices where !chosen.contains(position) {
            let candidate = candidates[position]
            let rank = (
                candidate.replicas.0, candidate.replicas.1,
                chosen.reduce(0) { $0 + candidate.shared[$1] }
            )
            if best < 0 || rank < bestRank {
                best = position
                bestRank = rank
            }
        }
        precondition(best >= 0, "no broker is left for a replica")
        return best
    }

    // MARK: Leaders

    /// Moves leadership along a chain of partitions from a broker with too many to one with fewer.
    ///
    /// Each broker of the chain hands one partition that it leads to the next one, which holds a
    /// replica of it; only the ends' counts change. False if no chain makes things more even, which
    /// comes about because each chain lowers the sum of the squares of the counts.
    private mutating func improveLeaders(of placed: inout [[Int]]) -> Bool {
        for start in candidates.indices {
            guard let chain = chain(from: start, in: placed) else { continue }
            for step in chain {
                let replica = placed[step.partition].firstIndex(of: step.to)
                guard let replica else { preconditionFailure("a chain outside the replicas") }
                placed[step.partition].swapAt(0, replica)
            }
            candidates[start].topicLeaders -= 1
            candidates[chain[chain.count - 1].to].topicLeaders += 1
            return true
        }
        return false
    }

    private struct Step {
        let partition: Int
        let to: Int
    }

    /// The shortest chain from a broker to one that should lead in its stead.
    private func chain(from start: Int, in placed: [[Int]]) -> [Step]? {
        var reachedBy = [Step?](repeating: nil, count: candidates.count)
        var queue = [start]
        var position = 0
        while position < queue.count {
            let broker = queue[position]
            position += 1
            for (partition, replicas) in placed.enumerated() where replicas[0] == broker {
                for next in replicas.dropFirst() where next != start && reachedBy[next] == nil {
                    reachedBy[next] = Step(partition: partition, to: next)
                    queue.append(next)
                    guard shouldLead(next, insteadOf: start) else { continue }
                    return path(to: next, reachedBy, placed)
                }
            }
        }
        return nil
    }

    private func path(to end: Int, _ reachedBy: [Step?], _ placed: [[Int]]) -> [Step] {
        var steps: [Step] = []
        var broker = end
        while let step = reachedBy[broker] {
            steps.append(step)
            broker = placed[step.partition][0]
        }
        return steps.reversed()
    }

    private func shouldLead(_ broker: Int, insteadOf other: Int) -> Bool {
        let (few, fewInAll) = candidates[broker].leaders
        let (many, manyInAll) = candidates[other].leaders
        return many >= few + 2 || many == few + 1 && manyInAll >= fewInAll + 2
    }
}
