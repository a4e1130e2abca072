import RaftModel
import Testing

@Suite struct ConformanceTests {
    @Test(arguments: ConformanceSuite.names)
    func `a script of etcd's raft is satisfied under every seed`(name: String) throws {
        let outcome = try ConformanceSuite.run(name)
        if let first = outcome.mismatches.first {
            Issue.record("\(outcome.mismatches.count) mismatches, the first:\n\(first)")
        }
    }

    @Test(arguments: ConformanceSuite.names.filter { $0.hasPrefix("interaction/") })
    func `what the replicas of a script trace is legal`(name: String) throws {
        // It has the checks of proposals switched off, and proposes what they would refuse.
        let isUnchecked = name.hasSuffix("confchange_disable_validation.txt")
        for seed in ConformanceSuite.seeds {
            let model = try ConformanceSuite.traced(name, seed: seed)
            #expect(model.violation?.rule == (isUnchecked ? .legalAppend : nil), "seed \(seed)")
        }
    }

    @Test func `all directives of etcd's raft are satisfied`() throws {
        guard ConformanceSuite.root != nil else {
            print("SKIPPED: Raft conformance, because ../shared/raft-conformance is absent")
            #expect(!ConformanceSuite.isRequired, "the conformance scripts are required in CI")
            return
        }
        var satisfied = 0
        for name in ConformanceSuite.names {
            satisfied += try ConformanceSuite.run(name).satisfied
        }
        print(
            "Raft conformance: \(satisfied)/\(ConformanceSuite.directiveCount) directives, "
                + "\(ConformanceSuite.seeds.count) seeds"
        )
        #expect(satisfied == ConformanceSuite.directiveCount)
    }
}
