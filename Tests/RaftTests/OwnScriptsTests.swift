import Foundation
import RaftModel
import Testing

/// Our own scripts, for what no script of etcd's covers; `scripts/README.md` explains them.
@Suite struct OwnScriptsTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("scripts")

    static let names: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return files.filter { $0.hasSuffix(".txt") }.sorted()
    }()

    private static func run(_ name: String) throws -> ScriptOutcome {
        let script = try Script(contentsOf: folder.appendingPathComponent(name))
        return ScriptOutcome(script, ConformanceSuite.seeds) { InteractionInterpreter(seed: $0) }
    }

    @Test(arguments: names)
    func `a script of ours is satisfied under every seed`(name: String) throws {
        let outcome = try Self.run(name)
        if ProcessInfo.processInfo.environment["REWRITE"] == "1" {
            return try Self.rewrite(name, outcome)
        }
        if let first = outcome.mismatches.first {
            Issue.record("\(outcome.mismatches.count) mismatches, the first:\n\(first)")
        }
    }

    @Test(arguments: names)
    func `what the replicas of a script trace is legal`(name: String) throws {
        let script = try Script(contentsOf: Self.folder.appendingPathComponent(name))
        for seed in ConformanceSuite.seeds {
            let model = ConformanceSuite.traced(script, seed: seed)
            #expect(model.violation == nil, "seed \(seed), \(model.lineCount) lines")
        }
    }

    @Test func `our scripts cover what etcd's leave out`() throws {
        let subjects: Set = [
            "cold_entries.txt", "inflight_bytes.txt", "lease_reads.txt", "paging.txt",
            "paging_async.txt",
            "proposal_forwarding_off.txt", "read_index.txt", "read_index_joint.txt", "restart.txt",
            "uncommitted_limit.txt",
        ]
        #expect(subjects.subtracting(Self.names).isEmpty)
        var count = 0
        var satisfied = 0
        for name in Self.names {
            let outcome = try Self.run(name)
            count += outcome.directiveCount
            satisfied += outcome.satisfied
        }
        print("Raft scripts of our own: \(satisfied)/\(count) directives in \(Self.names.count)")
        #expect(satisfied == count)
    }

    /// Writes what came out into the script; whoever does that reads the difference.
    private static func rewrite(_ name: String, _ outcome: ScriptOutcome) throws {
        let url = folder.appendingPathComponent(name)
        var lines = try String(contentsOf: url, encoding: .utf8).components(separatedBy: "\n")
        var last = Int.max
        let first = outcome.mismatches.filter { $0.seed == ConformanceSuite.seeds[0] }
        for mismatch in first.sorted(by: { $0.directive.line > $1.directive.line }) {
            let range = mismatch.directive.expectedLines
            precondition(range.upperBound <= last, "directives overlap")
            last = range.lowerBound
            let actual = mismatch.actual.split(separator: "\n", omittingEmptySubsequences: false)
            lines.replaceSubrange(range, with: actual.dropLast().map(String.init))
        }
        try lines.joined(separator: "\n").write(to: url, atomically: true, encoding: .utf8)
    }
}
