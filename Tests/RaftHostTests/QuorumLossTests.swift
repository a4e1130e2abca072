import Model
import Raft
import Testing

@testable import RaftHost

/// Who is missed when replica 1 asks whether it may stop.
@Suite struct QuorumLossTests {
    private func missed(
        _ voters: [UInt64],
        leaving: [UInt64] = [],
        learners: [UInt64] = [],
        live: Set<UInt64>,
        stopping: UInt64 = 1
    ) -> [UInt64] {
        let state = ConfState(
            voters: voters.map { NodeID($0) },
            votersOutgoing: leaving.map { NodeID($0) },
            learners: learners.map { NodeID($0) }
        )
        return state.votersMissed(whenStopping: NodeID(stopping)) { live.contains($0.rawValue) }
            .map(\.rawValue)
    }

    @Test func `a replica that is alone never waits`() {
        #expect(missed([1], live: []) == [])
    }

    @Test func `one of three may stop while the other two live, and not while one is away`() {
        #expect(missed([1, 2, 3], live: [2, 3]) == [])
        #expect(missed([1, 2, 3], live: [2]) == [3])
        #expect(missed([1, 2, 3], live: [3]) == [2])
    }

    @Test func `a quorum that is lost already holds nobody up`() {
        #expect(missed([1, 2, 3], live: []) == [])
        #expect(missed([1, 2, 3, 4, 5], live: [2]) == [])
    }

    @Test func `where nobody is away waiting would not help`() {
        #expect(missed([1, 2], live: [2]) == [])
        #expect(missed([1, 2], live: []) == [])
    }

    @Test func `larger groups bear more`() {
        #expect(missed([1, 2, 3, 4, 5], live: [2, 3, 4]) == [])
        #expect(missed([1, 2, 3, 4, 5], live: [2, 3]) == [4, 5])
        #expect(missed([1, 2, 3, 4], live: [2, 3]) == [4])
    }

    @Test func `learners and strangers have no vote that could be missed`() {
        #expect(missed([2, 3, 4], learners: [1], live: [2, 3]) == [])
        #expect(missed([2, 3, 4], live: [2, 3]) == [])
    }

    @Test func `both halves of a joint configuration keep their quorum`() {
        #expect(missed([1, 2, 3], leaving: [1, 4, 5], live: [2, 3, 4, 5]) == [])
        #expect(missed([1, 2, 3], leaving: [1, 4, 5], live: [2, 3, 4]) == [5])
        #expect(missed([2, 3, 4], leaving: [1, 2, 3], live: [2, 4]) == [3])
    }
}
