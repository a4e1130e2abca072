import Model
import Testing

@testable import Raft

/// What a leader knows of one member's log, and how that changes.
@Suite struct ProgressTests {
    private func progress(
        match: LogIndex,
        next: LogIndex,
        _ state: ProgressState = .probe
    ) -> Progress {
        var progress = Progress(
            id: 2,
            match: match,
            next: next,
            inflights: Inflights(countMax: 256, bytesMax: 0)
        )
        switch state {
        case .probe: break
        case .replicate:
            progress.becomeReplicate()
            progress.next = next
        case .snapshot:
            progress.becomeSnapshot(next - 1)
        }
        return progress
    }

    @Test func `a progress is described in etcd's words`() {
        var inflights = Inflights(countMax: 1, bytesMax: 0)
        inflights.add(123, bytes: 1)
        var progress = Progress(id: 2, match: 1, next: 2, inflights: inflights)
        progress.isLearner = true
        progress.isFlowPaused = true
        progress.state = .snapshot
        progress.pendingSnapshot = 123
        #expect(
            progress.description
                == "StateSnapshot match=1 next=2 learner paused pendingSnap=123 inactive "
                + "inflight=1[full]"
        )
    }

    @Test(
        arguments: [
            (.probe, false, false), (.probe, true, true), (.replicate, false, false),
            (.replicate, true, true), (.snapshot, false, true), (.snapshot, true, true),
        ] as [(ProgressState, Bool, Bool)]
    )
    func `a member is paused by flow control or by a snapshot under way`(
        state: ProgressState,
        isFlowPaused: Bool,
        isPaused: Bool
    ) {
        var progress = progress(match: 1, next: 5, state)
        progress.isFlowPaused = isFlowPaused
        #expect(progress.isPaused == isPaused)
    }

    @Test func `any answer that says something new resumes a paused member`() {
        var progress = progress(match: 0, next: 2)
        progress.isFlowPaused = true
        let isDecreased = progress.maybeDecrease(rejected: 1, hint: 1)
        #expect(isDecreased)
        #expect(!progress.isFlowPaused)
        progress.isFlowPaused = true
        let isUpdated = progress.maybeUpdate(2)
        #expect(isUpdated)
        #expect(!progress.isFlowPaused)
    }

    @Test func `probing begins after the match, or after a snapshot that arrived`() {
        var replicating = progress(match: 1, next: 5, .replicate)
        replicating.becomeProbe()
        #expect(replicating.description == "StateProbe match=1 next=2 inactive")
        var installed = progress(match: 1, next: 11, .snapshot)
        installed.becomeProbe()
        #expect(installed.description == "StateProbe match=1 next=11 inactive")
        var failed = progress(match: 1, next: 11, .snapshot)
        failed.pendingSnapshot = 0
        failed.becomeProbe()
        #expect(failed.description == "StateProbe match=1 next=2 inactive")
    }

    @Test func `replicating begins after the match`() {
        var progress = progress(match: 1, next: 5)
        progress.becomeReplicate()
        #expect(progress.description == "StateReplicate match=1 next=2 inactive")
    }

    @Test func `a snapshot under way is remembered by its end`() {
        var progress = progress(match: 1, next: 5)
        progress.becomeSnapshot(10)
        #expect(
            progress.description
                == "StateSnapshot match=1 next=11 paused pendingSnap=10 inactive"
        )
    }

    @Test(
        arguments: [
            (2, 3, 5, false), (3, 3, 5, false), (4, 4, 5, true), (5, 5, 6, true),
        ] as [(LogIndex, LogIndex, LogIndex, Bool)]
    )
    func `an acknowledgement never moves a member back`(
        acknowledged: LogIndex,
        match: LogIndex,
        next: LogIndex,
        isNews: Bool
    ) {
        var progress = progress(match: 3, next: 5)
        let isUpdated = progress.maybeUpdate(acknowledged)
        #expect(isUpdated == isNews)
        #expect(progress.match == match)
        #expect(progress.next == next)
    }

    @Test(
        arguments: [
            // Replicating: old news, and a place above the match.
            (.replicate, 5, 10, 5, 5, false, 10), (.replicate, 5, 10, 4, 4, false, 10),
            (.replicate, 5, 10, 9, 9, true, 6),
            // Probing: only the answer to the probe under way counts; the hint shortens the way.
            (.probe, 0, 10, 5, 5, false, 10), (.probe, 0, 10, 9, 9, true, 9),
            (.probe, 0, 2, 1, 1, true, 1), (.probe, 0, 1, 0, 0, true, 1),
            (.probe, 0, 10, 9, 2, true, 3), (.probe, 0, 10, 9, 0, true, 1),
            // A hint below the match is an old one.
            (.probe, 4, 10, 9, 2, true, 5),
        ] as [(ProgressState, LogIndex, LogIndex, LogIndex, LogIndex, Bool, LogIndex)]
    )
    func `a rejection moves a member back, if it is not out of date`(
        state: ProgressState,
        match: LogIndex,
        next: LogIndex,
        rejected: LogIndex,
        hint: LogIndex,
        isNews: Bool,
        newNext: LogIndex
    ) {
        var progress = progress(match: match, next: next, state)
        let isDecreased = progress.maybeDecrease(rejected: rejected, hint: hint)
        #expect(isDecreased == isNews)
        #expect(progress.match == match)
        #expect(progress.next == newNext)
    }

    @Test(
        arguments: [(5, 4, 9, true), (5, 5, 9, false), (5, 4, 5, false), (5, 3, 5, true)]
            as [(LogIndex, LogIndex, LogIndex, Bool)]
    )
    func `a commit index is news if the member can use it and was not told`(
        commit: LogIndex,
        sent: LogIndex,
        next: LogIndex,
        isNews: Bool
    ) {
        var progress = progress(match: 1, next: next, .replicate)
        progress.sentCommit = sent
        #expect(progress.canBumpCommit(commit) == isNews)
    }
}
