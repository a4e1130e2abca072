import AllocationCounter
import Glibc

/// `raft-benchmark [GROUPS [ROUNDS]]`: what the steps of consensus cost when nothing goes wrong.
///
/// Prints, for every call into a core of a steady group of three, how long it takes and how often
/// it asks for heap memory. The groups take turns, so that their memory is as cold as in a daemon.
@main
enum RaftBenchmark {
    static func main() {
        let arguments = CommandLine.arguments.dropFirst().map { Int($0) ?? 0 }
        guard arguments.count <= 2, arguments.allSatisfy({ $0 > 0 }) else {
            print("usage: raft-benchmark [GROUPS [ROUNDS]]")
            exit(64)
        }
        let groups = (0..<(arguments.first ?? 100)).map { _ in SteadyGroup(payloadBytes: 1_024) }
        let rounds = arguments.dropFirst().first ?? 1_000
        for _ in 0..<rounds / 10 + 1 { measure(groups, nil) }
        let meter = Meter()
        for _ in 0..<rounds { measure(groups, meter) }
        meter.report(calls: groups.count * rounds)
    }

    private static func measure(_ groups: [SteadyGroup], _ meter: Meter?) {
        for phase in SteadyGroup.Phase.allCases {
            let allocations = allocation_count()
            let start = nanoseconds()
            for group in groups { group.perform(phase) }
            meter?.add(
                phase,
                nanoseconds: nanoseconds() - start,
                allocations: allocation_count() - allocations
            )
            for group in groups { group.carry(phase) }
        }
    }

    private static func nanoseconds() -> Int {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}

/// The sums over all rounds.
private final class Meter {
    private var nanoseconds: [SteadyGroup.Phase: Int] = [:]
    private var allocations: [SteadyGroup.Phase: UInt] = [:]

    func add(_ phase: SteadyGroup.Phase, nanoseconds: Int, allocations: UInt) {
        self.nanoseconds[phase, default: 0] += nanoseconds
        self.allocations[phase, default: 0] += allocations
    }

    func report(calls: Int) {
        print("call                                   ns  allocations")
        var total = (nanoseconds: 0.0, allocations: 0.0)
        for phase in SteadyGroup.Phase.allCases {
            let count = Double(calls * (phase.isDoneTwice ? 2 : 1))
            let time = Double(nanoseconds[phase, default: 0]) / count
            let memory = Double(allocations[phase, default: 0]) / count
            total.nanoseconds += Double(nanoseconds[phase, default: 0]) / Double(calls)
            total.allocations += Double(allocations[phase, default: 0]) / Double(calls)
            row(phase.rawValue, time, memory)
        }
        row("one round of all three replicas", total.nanoseconds, total.allocations)
    }

    private func row(_ name: String, _ nanoseconds: Double, _ allocations: Double) {
        let time = String(Int(nanoseconds.rounded()))
        let memory = String((allocations * 100).rounded() / 100)
        print(
            name + String(repeating: " ", count: max(1, 41 - name.count - time.count)) + time
                + String(repeating: " ", count: max(1, 13 - memory.count)) + memory
        )
    }
}
