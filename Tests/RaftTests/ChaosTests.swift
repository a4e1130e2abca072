import Model
import Raft
import Testing

/// Runs with lost, late and repeated messages, slow disks and crashes; safety always holds.
@Suite struct ChaosTests {
    /// What must hold at every moment, checked against everything that ever happened.
    private struct Witness {
        var leaders: [Term: NodeID] = [:]
        var applied: [LogIndex: Entry] = [:]

        mutating func look(at cluster: TestCluster, _ ids: [NodeID]) {
            for id in ids {
                let term = cluster[id].term
                if cluster[id].role == .leader {
                    let known = leaders[term]
                    #expect(known == nil || known == id, "two leaders in term \(term)")
                    leaders[term] = id
                }
                for entry in cluster.applied(id) {
                    let known = applied[entry.index]
                    #expect(known == nil || known == entry, "two entries at \(entry.index)")
                    applied[entry.index] = entry
                }
                let indexes = cluster.applied(id).map(\.index)
                #expect(indexes == (0..<indexes.count).map { LogIndex(UInt64($0) + 1) })
            }
        }
    }

    @Test(arguments: 1...30)
    func `logs agree whatever happens, and go on when it ends`(seed: Int) throws {
        var random = Random(seed: UInt64(seed))
        let ids = (1...UInt64(3 + 2 * (seed % 2))).map { NodeID($0) }
        let cluster = TestCluster(
            ids.count,
            seed: UInt64(seed),
            configure: {
                $0.maxInflightMessages = 1 + seed % 4
                $0.maxBytesPerMessage = seed % 3 == 0 ? 0 : 60
                $0.maxInflightBytes = 0
                $0.maxCommittedBytesPerReady = 1 + seed % 50
                $0.preVote = seed % 5 != 0
                $0.checkQuorum = seed % 4 != 0
            }
        )
        var witness = Witness()
        var proposed = 0
        for _ in 0..<2_000 {
            disturb(cluster, ids, &random)
            if let leader = ids.first(where: { cluster[$0].role == .leader }), random.below(3) == 0
            {
                if (try? cluster.propose(leader, "\(proposed)")) != nil { proposed += 1 }
            }
            witness.look(at: cluster, ids)
        }
        cluster.heal()
        cluster.stalledDisks = []
        for _ in 0..<100 {
            for id in ids { cluster.tick(id) }
            cluster.settle()
        }
        let leader = try #require(ids.first { cluster[$0].role == .leader })
        try cluster.propose(leader, "last")
        cluster.settle()
        cluster.tick(leader, 1)
        cluster.settle()
        witness.look(at: cluster, ids)
        for id in ids {
            #expect(cluster.texts(id).last == "last")
            #expect(cluster.applied(id) == cluster.applied(leader))
            #expect(cluster.storage(id).entries == cluster.storage(leader).entries)
        }
        #expect(proposed > 10, "the run was worth something")
    }

    private func disturb(_ cluster: TestCluster, _ ids: [NodeID], _ random: inout Random) {
        let id = ids[random.below(ids.count)]
        switch random.below(100) {
        case 0: cluster.restart(id, seed: random.next())
        case 1: cluster.isolate(id)
        case 2..<5: cluster.heal()
        case 5:
            let (from, to) = (id, ids[random.below(ids.count)])
            cluster.loses = { $0.from == from && $0.to == to }
        case 6..<9:
            // The network repeats and reorders.
            if let late = cluster.network.first { cluster.network.append(late) }
            cluster.network.reverse()
        case 9:
            if let target = ids.first(where: { cluster[$0].role == .leader }) {
                cluster[target].transferLeadership(to: id)
            }
        case 10..<40: cluster.tick(id)
        case 40..<60: cluster.write(id)
        case 60..<75: cluster.collect(id)
        case 75..<85: cluster.apply(id)
        default: cluster.deliver()
        }
    }
}
