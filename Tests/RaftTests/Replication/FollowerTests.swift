import Model
import Raft
import Testing

/// Raft thesis 3.5: what a follower does with what its leader sends, and what it answers.
@Suite struct FollowerTests {
    @Test(
        arguments: [
            // Another term before the entries, and nothing there at all.
            (3, 2, [], 3, 2, 0, true), (3, 3, [], 3, 2, 0, true),
            // What conflicts goes, what is new is appended.
            (1, 1, [], 1, 2, 1, false), (0, 0, [2], 1, 1, 1, false),
            (2, 2, [2, 2], 3, 4, 3, false), (2, 2, [2], 4, 3, 3, false),
            (1, 1, [2], 4, 2, 2, false),
            // The commit index follows no further than the log is the leader's.
            (1, 1, [], 3, 2, 1, false), (2, 2, [], 3, 2, 2, false), (2, 2, [], 4, 2, 2, false),
        ] as [(Term, LogIndex, [Term], LogIndex, LogIndex, LogIndex, Bool)]
    )
    func `an append is checked, then taken, then committed as far as it goes`(
        logTerm: Term,
        index: LogIndex,
        terms: [Term],
        leaderCommit: LogIndex,
        last: LogIndex,
        commit: LogIndex,
        isRejected: Bool
    ) throws {
        let solo = SoloNode(terms: [1, 2])
        let answer = try solo.step(
            Message(
                type: .append,
                from: 2,
                term: 3,
                logTerm: logTerm,
                index: index,
                entries: entries(terms, from: index + 1),
                commit: leaderCommit
            )
        )
        #expect(answer.map(\.reject) == [isRejected])
        #expect(solo.node.lastIndex == last)
        #expect(solo.node.commit == commit)
    }

    @Test(arguments: [(3, 3), (1, 2)] as [(LogIndex, LogIndex)])
    func `a heartbeat raises the commit index and never lowers it`(
        sent: LogIndex,
        commit: LogIndex
    ) throws {
        let solo = SoloNode(
            terms: [1, 2, 3],
            hardState: HardState(term: 3, vote: 0, commit: 2)
        )
        let answer = try solo.step(Message(type: .heartbeat, from: 2, term: 3, commit: sent))
        #expect(answer.map(\.type) == [.heartbeatResponse])
        #expect(solo.node.commit == commit)
    }

    /// Two logs, what the follower answers to the first append, and where the leader goes on.
    struct Divergence: Sendable {
        let leader: [Term]
        let follower: [Term]
        var compaction: LogIndex?
        let hint: (term: Term, index: LogIndex)
        let next: (term: Term, index: LogIndex)
    }

    @Test(arguments: [
        // The leader skips the terms that the follower does not reach.
        Divergence(
            leader: [1, 2, 2, 4, 4, 4, 4],
            follower: [1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3],
            hint: (3, 7),
            next: (2, 3)
        ),
        Divergence(
            leader: [1, 2, 2, 3, 4, 4, 4, 5],
            follower: [1, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3],
            hint: (3, 8),
            next: (3, 4)
        ),
        Divergence(
            leader: [2, 5, 5, 5, 5, 5, 5, 5, 5],
            follower: [2, 4, 4, 4, 4, 4],
            hint: (4, 6),
            next: (2, 1)
        ),
        // The follower skips the terms that the leader does not have.
        Divergence(
            leader: [1, 1, 1, 1],
            follower: [1, 2, 2, 4],
            hint: (1, 1),
            next: (1, 1)
        ),
        Divergence(
            leader: [1, 1, 1, 1, 1, 1],
            follower: [1, 2, 2, 4],
            hint: (1, 1),
            next: (1, 1)
        ),
        Divergence(
            leader: [1, 1, 1, 1],
            follower: [1, 2, 2, 4, 4, 4],
            hint: (1, 1),
            next: (1, 1)
        ),
        Divergence(
            leader: [2, 2, 2, 2, 2],
            follower: [2, 4, 4, 4, 4, 4, 4, 4],
            hint: (2, 1),
            next: (2, 1)
        ),
        // Nothing diverges; the follower is only shorter.
        Divergence(
            leader: [1, 1, 1, 4, 5],
            follower: [1, 1, 1, 4],
            hint: (4, 4),
            next: (4, 4)
        ),
        // An append that comes so late that the place is compacted.
        Divergence(
            leader: [1, 1, 3],
            follower: [1, 1, 3, 3, 3],
            compaction: 5,
            hint: (0, 3),
            next: (1, 2)
        ),
    ])
    func `a rejection and its answer skip whole terms`(logs: Divergence) throws {
        let lastTerm = try #require(logs.leader.last)
        let leader = SoloNode(
            terms: logs.leader,
            hardState: HardState(
                term: lastTerm - 1,
                vote: 0,
                commit: LogIndex(UInt64(logs.leader.count))
            )
        )
        try leader.lead()
        // The follower has voted in the leader's term; longer logs of higher terms are of no use.
        let follower = SoloNode(
            terms: logs.follower,
            hardState: HardState(term: lastTerm, vote: 2, commit: 0)
        )
        if let compaction = logs.compaction { follower.storage.compact(to: compaction) }
        func hear(_ messages: [Message]) throws -> Message {
            var message = try #require(messages.first { $0.to == 2 })
            message.from = 2
            var answer = try #require(try follower.step(message).first)
            answer.from = 2
            return answer
        }
        leader.tick(1)
        let beat = try hear(leader.drain())
        #expect(beat.type == .heartbeatResponse)
        let rejection = try hear(try leader.step(beat))
        #expect(rejection.reject)
        #expect(rejection.logTerm == logs.hint.term)
        #expect(rejection.rejectHint == logs.hint.index)
        let next = try #require(try leader.step(rejection).first)
        #expect(next.type == .append)
        #expect(next.logTerm == logs.next.term)
        #expect(next.index == logs.next.index)
    }
}
