import RaftModel
import Simulation
import Testing

/// Defects that are put in on purpose: a simulator that misses them proves nothing.
@Suite struct SabotageTests {
    /// Within how many seeds each defect must show; see the table in Tests/Simulation/README.md.
    static let seedsMax: UInt64 = 40

    @Test(arguments: Sabotage.allCases)
    func `a defect is found`(sabotage: Sabotage) throws {
        for seed in 1...Self.seedsMax {
            let result = Simulation(seed: seed, sabotage: sabotage).run(steps: 20_000)
            guard let violation = result.violation else { continue }
            print("\(sabotage.rawValue): seed \(seed), event \(result.steps): \(violation)")
            return
        }
        Issue.record("\(sabotage.rawValue) goes unnoticed for \(Self.seedsMax) seeds")
    }

    /// Neither what is read leaves a line in a trace, nor what a core takes for stored.
    static let traced = Sabotage.allCases.filter {
        $0 != .readWithoutQuorum && $0 != .termMissingInStorageAnswer
    }

    @Test(arguments: traced)
    func `a defect is found in the traces alone`(sabotage: Sabotage) throws {
        for seed in 1...Self.seedsMax {
            let result = Simulation(seed: seed, sabotage: sabotage, watch: .model)
                .run(steps: 20_000)
            guard let violation = result.violation else { continue }
            let rule = violation.prefix { $0 != ":" }
            #expect(Rule(rawValue: String(rule)) != nil, "the model says it, and nobody else")
            print("\(sabotage.rawValue): seed \(seed), event \(result.steps): \(rule)")
            return
        }
        Issue.record("\(sabotage.rawValue) goes unnoticed for \(Self.seedsMax) seeds")
    }
}
