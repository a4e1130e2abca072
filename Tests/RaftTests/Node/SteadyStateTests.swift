import AllocationCounter
import Model
import Testing

@testable import raft_benchmark

/// What a group costs in which nothing goes wrong: no heap memory, however long it goes on.
@Suite struct SteadyStateTests {
    @Test func `a steady leader and its followers ask for no heap memory`() {
        let group = SteadyGroup(payloadBytes: 1_000)
        var counts: [SteadyGroup.Phase: UInt] = [:]
        for phase in SteadyGroup.Phase.allCases { counts[phase] = 0 }
        func round(_ isCounted: Bool) {
            for phase in SteadyGroup.Phase.allCases {
                let before = allocation_count()
                group.perform(phase)
                let count = allocation_count() - before
                if isCounted { counts[phase, default: 0] += count }
                group.carry(phase)
            }
        }
        // Arrays and windows grow to their size in the first rounds.
        for _ in 0..<100 { round(false) }
        let applied = group.applied
        for _ in 0..<1_000 { round(true) }
        #expect(group.applied == applied + 1_000, "every round commits and applies one entry")
        for (phase, count) in counts { #expect(count == 0, "\(phase.rawValue)") }
    }

    @Test func `an allocation is counted`() {
        let before = allocation_count()
        let array = [UInt8](repeating: 1, count: Int.random(in: 1_000...2_000))
        withExtendedLifetime(array) {}
        #expect(allocation_count() > before)
    }
}
