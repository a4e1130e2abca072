import Model
import Testing

@testable import Raft

/// A replica at rest has the effects of one that is awake.
@Suite struct RestTests {
    /// A cluster that is led through the same run as another one, with replicas that rest or not.
    private final class Twin {
        let cluster: TestCluster
        let mayRest: Bool
        var rests: [NodeID: RaftRest] = [:]
        private(set) var taken = 0

        init(_ cluster: TestCluster, mayRest: Bool) {
            self.cluster = cluster
            self.mayRest = mayRest
        }

        func tick(_ id: NodeID) {
            if mayRest, rests[id] == nil {
                rests[id] = cluster[id].rest
                if rests[id] != nil { cluster[id].releaseSpareMemory() }
            }
            switch rests[id]?.tick() ?? .wake {
            case .nothing: taken += 1
            case .heartbeats:
                taken += 1
                beat(id)
            case .wake:
                wake(id)
                cluster.tick(id)
            }
            cluster.collect(id)
        }

        private func beat(_ id: NodeID) {
            guard let rest = rests[id] else { return }
            for place in 0..<rest.peerCount {
                cluster.network.append(
                    Message(
                        type: .heartbeat,
                        to: rest.peer(place),
                        from: id,
                        term: rest.term,
                        commit: rest.commit
                    )
                )
            }
        }

        func wake(_ id: NodeID) {
            if let rest = rests.removeValue(forKey: id) { cluster[id].wake(from: rest) }
        }

        func deliver(_ count: Int) {
            for _ in 0..<min(count, cluster.network.count) {
                let message = cluster.network.removeFirst()
                guard !cluster.loses(message) else { continue }
                if hear(message) {
                    taken += 1
                } else {
                    wake(message.to)
                    try? cluster[message.to].step(message)
                }
                cluster.collect(message.to)
            }
        }

        private func hear(_ message: Message) -> Bool {
            guard message.context == nil else { return false }
            let (from, to) = (message.from, message.to)
            switch message.type {
            case .heartbeat:
                let isAll = rests[to]?.hearHeartbeat(
                    from: from,
                    term: message.term,
                    commit: message.commit
                )
                guard isAll == true else { return false }
                cluster.network.append(
                    Message(type: .heartbeatResponse, to: from, from: to, term: message.term)
                )
                return true
            case .heartbeatResponse:
                return rests[to]?.hearHeartbeatResponse(from: from, term: message.term) ?? false
            default: return false
            }
        }

        /// Everything that a replica knows; it is awake afterwards.
        func text(_ id: NodeID) -> String {
            wake(id)
            let progress = cluster[id].status.progress.map {
                "\($0) \($0.sentCommit) \($0.wasRecentlyActive) \($0.isPaused)"
            }
            return """
                \(cluster[id].status.hardState) \(cluster[id].status.softState) \(progress) \
                \(cluster[id].electionElapsed) \(cluster[id].heartbeatElapsed) \
                \(cluster[id].randomizedElectionTicks) \(cluster[id].lastIndex) \
                \(cluster[id].commit) \(cluster[id].hasReady)
                """
        }

        var wire: [String] { cluster.network.map { "\($0.type) \($0.from)>\($0.to) \($0)" } }
    }

    private static let ids: [NodeID] = [1, 2, 3]

    @Test(arguments: 1...60)
    func `whatever happens, rest changes neither messages nor states`(seed: Int) {
        var random = Random(seed: UInt64(seed))
        let twins = [false, true].map { mayRest in
            Twin(
                TestCluster(
                    3,
                    learners: seed % 6 == 0 ? [3] : [],
                    seed: UInt64(seed),
                    configure: {
                        $0.maxInflightMessages = 1 + seed % 3
                        $0.heartbeatTicks = 1 + seed % 2
                        $0.preVote = seed % 4 != 0
                        $0.checkQuorum = seed % 7 != 0
                    }
                ),
                mayRest: mayRest
            )
        }
        // Some runs are mostly quiet, so that replicas rest for long.
        let quiet = seed % 3 == 0 ? 3 : 100
        for step in 0..<3_000 {
            let id = Self.ids[random.below(3)]
            let (choice, count) = (random.below(100), random.below(8))
            let isQuiet = random.below(100) >= quiet
            for twin in twins {
                disturb(twin, id, isQuiet ? 24 + choice % 76 : choice, count, step)
            }
            #expect(twins[0].wire == twins[1].wire)
            if random.below(40) == 0 {
                for id in Self.ids { #expect(twins[0].text(id) == twins[1].text(id)) }
            }
            guard twins[0].wire == twins[1].wire else { return }
        }
        #expect(twins[0].taken == 0 && twins[1].taken > 500, "\(twins[1].taken)")
        #expect(seed % 3 == 0 || twins[0].cluster.texts(1).count > 3, "it was worth something")
    }

    private func disturb(_ twin: Twin, _ id: NodeID, _ choice: Int, _ count: Int, _ step: Int) {
        let cluster = twin.cluster
        if choice < 24 { for id in Self.ids { twin.wake(id) } }
        switch choice {
        case 0: cluster.isolate(id)
        case 1..<4: cluster.heal()
        case 4: cluster.loses = { $0.to == id && $0.type == .append }
        case 5: cluster.network.reverse()
        case 6: if let late = cluster.network.first { cluster.network.append(late) }
        case 7: cluster.restart(id, seed: UInt64(step))
        case 8: cluster[id].transferLeadership(to: Self.ids[count % 3])
        case 9: cluster[id].forgetLeader()
        case 10..<14: cluster[id].readIndex(context: UInt64(step))
        case 14..<24: try? cluster.propose(id, "\(step)")
        case 24..<50: for id in Self.ids { twin.tick(id) }
        case 50..<70:
            for id in Self.ids {
                if !cluster.isIdle(id) { twin.wake(id) }
                cluster.write(id)
                cluster.apply(id)
            }
        default: twin.deliver(count * 4)
        }
        for id in Self.ids { cluster.collect(id) }
    }

    /// A leader, awake, whose followers have everything and have just answered.
    private func quietCluster(_ count: Int = 3) -> TestCluster {
        let cluster = TestCluster(count)
        cluster.elect(1)
        cluster.tick(1)
        cluster.settle()
        return cluster
    }

    private func rest(_ cluster: TestCluster, _ id: NodeID) -> RaftRest? { cluster[id].rest }

    @Test func `a quiet group rests, and a round of heartbeats wakes nobody`() throws {
        let cluster = quietCluster()
        var leader = try #require(rest(cluster, 1))
        var followers = try [#require(rest(cluster, 2)), #require(rest(cluster, 3))]
        for _ in 0..<100 {
            let outcome = leader.tick()
            #expect(outcome == .heartbeats)
            #expect(Set((0..<leader.peerCount).map { leader.peer($0) }) == [2, 3])
            for place in followers.indices {
                let ticked = followers[place].tick()
                let isHeard = followers[place].hearHeartbeat(from: 1, term: 1, commit: 1)
                #expect(ticked == .nothing && isHeard)
                let isAnswered = leader.hearHeartbeatResponse(from: followers[place].id, term: 1)
                #expect(isAnswered)
            }
        }
        #expect(leader.isAnswering(2) && leader.isAnswering(3) && !leader.isAnswering(4))
        cluster[1].wake(from: leader)
        #expect(cluster[1].role == .leader)
        #expect(cluster[1].progress(of: 3)?.isAnswering == true)
    }

    @Test func `a follower at rest that hears nothing wakes for its election`() throws {
        let cluster = quietCluster()
        cluster.isolate(1)
        let timeout = cluster[2].randomizedElectionTicks
        var follower = try #require(rest(cluster, 2))
        for _ in 1..<timeout { #expect(follower.tick() == .nothing) }
        #expect(follower.tick() == .wake)
        #expect(follower.tick() == .wake)
        cluster[2].wake(from: follower)
        cluster.tick(2)
        #expect(cluster[2].role == .preCandidate)
    }

    @Test func `a leader at rest that one member does not answer wakes for its check`() throws {
        let cluster = quietCluster()
        var leader = try #require(rest(cluster, 1))
        var ticks = 0
        while leader.tick() != .wake, ticks < 100 {
            ticks += 1
            _ = leader.hearHeartbeatResponse(from: 2, term: 1)
        }
        // One period in which all had answered before, and one in which one did not.
        #expect((10..<20).contains(ticks))
        #expect(leader.isAnswering(2) && leader.isAnswering(3))
        cluster[1].wake(from: leader)
        cluster.tick(1)
        #expect(cluster[1].role == .leader)
        #expect(cluster[1].progress(of: 2)?.isAnswering == true)
        #expect(cluster[1].progress(of: 3)?.isAnswering == false)
    }

    @Test func `what is not for a replica at rest leaves it as it was`() throws {
        let cluster = quietCluster()
        var follower = try #require(rest(cluster, 2))
        _ = follower.tick()
        let left = follower.ticksLeft
        for (from, term, commit) in [(1, 1, 2), (3, 1, 1), (1, 2, 1), (1, 0, 1), (2, 1, 1)]
            as [(NodeID, Term, LogIndex)]
        {
            let isAll = follower.hearHeartbeat(from: from, term: term, commit: commit)
            #expect(!isAll)
        }
        let asLeader = follower.hearHeartbeatResponse(from: 1, term: 1)
        #expect(!asLeader && follower.ticksLeft == left)
        var leader = try #require(rest(cluster, 1))
        for (from, term) in [(2, 2), (2, 0), (1, 1), (4, 1), (.none, 1)] as [(NodeID, Term)] {
            let isAll = leader.hearHeartbeatResponse(from: from, term: term)
            #expect(!isAll)
        }
        let asFollower = leader.hearHeartbeat(from: 1, term: 1, commit: 0)
        #expect(!asFollower)
        cluster[2].forgetLeader()
        var alone = try #require(rest(cluster, 2))
        let ofNobody = alone.hearHeartbeat(from: .none, term: 1, commit: 0)
        #expect(!ofNobody)
    }

    @Test func `a leader that waits for anything stays awake`() throws {
        let cluster = quietCluster()
        #expect(rest(cluster, 1) != nil)
        cluster[1].readIndex(context: 1)
        #expect(rest(cluster, 1) == nil)
        cluster.settle()
        #expect(rest(cluster, 1) != nil)
        cluster.loses = { $0.to == 3 }
        try cluster.propose(1, "a")
        #expect(rest(cluster, 1) == nil)
        cluster.settle()
        #expect(rest(cluster, 1) == nil, "one member lacks the entry")
        cluster.heal()
        cluster.tick(1)
        cluster.settle()
        cluster.tick(1)
        cluster.settle()
        #expect(rest(cluster, 1) != nil)
        cluster.loses = { $0.to == 2 && $0.type == .timeoutNow }
        cluster[1].transferLeadership(to: 2)
        #expect(rest(cluster, 1) == nil)
    }

    @Test func `a replica that rests keeps no memory for its next round`() throws {
        let cluster = quietCluster()
        try cluster.propose(1, "a")
        cluster.settle()
        for id in Self.ids {
            let kept = [cluster[id].messages.capacity, cluster[id].log.unstable.entries.capacity]
            #expect(kept.contains { $0 > 0 })
            cluster[id].releaseSpareMemory()
            #expect(cluster[id].messages.capacity == 0)
            #expect(cluster[id].messagesAfterAppend.capacity == 0)
            #expect(cluster[id].log.unstable.entries.capacity == 0)
        }
        try cluster.propose(1, "b")
        cluster.settle()
        #expect(cluster.texts(3).suffix(2) == ["a", "b"])
    }

    @Test func `the record of a replica that is awake takes nothing`() {
        var awake = RaftRest.awake
        #expect(awake.isAwake && !awake.isLeader)
        let outcome = awake.tick()
        let isHeard = awake.hearHeartbeat(from: .none, term: 0, commit: 0)
        let isAnswered = awake.hearHeartbeatResponse(from: .none, term: 0)
        #expect(outcome == .wake && !isHeard && !isAnswered)
    }

    @Test func `candidates stay awake, and so does a leader of very many members`() throws {
        let cluster = quietCluster()
        cluster.isolate(2)
        try cluster[2].campaign()
        #expect(rest(cluster, 2) == nil)
        #expect(rest(quietCluster(9), 1)?.peerCount == 8)
        #expect(rest(quietCluster(10), 1) == nil)
    }

    @Test func `a replica that moved on while it rested cannot be woken`() async {
        await #expect(processExitsWith: .failure) {
            let cluster = TestCluster(3)
            cluster.elect(1)
            let rest = cluster[2].rest
            try? cluster[2].step(Message(type: .heartbeat, to: 2, from: 3, term: 9))
            if let rest { cluster[2].wake(from: rest) }
        }
    }
}
