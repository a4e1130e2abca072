import Foundation
import Testing

/// The scripts of etcd's raft, which are data beside the repository, and how many we satisfy.
enum ConformanceSuite {
    /// How many directives the scripts hold; fewer would mean that some were not found.
    static let directiveCount = 743
    static let seeds: [UInt64] = [1, 2, 3, 5, 8, 13, 21, 34]

    struct Mismatch: CustomStringConvertible {
        let script: String
        let seed: UInt64
        let directive: Script.Directive
        let actual: String

        var description: String {
            """
            \(script):\(directive.line) (seed \(seed)) \(directive.command)
            --- expected
            \(directive.expected)--- actual
            \(actual)
            """
        }
    }

    struct Outcome {
        let mismatches: [Mismatch]
        let satisfied: Int
    }

    /// `shared/raft-conformance` beside one of the folders above this file; nil if absent.
    static let root: URL? = {
        var folder = URL(fileURLWithPath: #filePath)
        while folder.path != "/" {
            folder = folder.deletingLastPathComponent()
            let candidate = folder.appendingPathComponent("shared/raft-conformance")
            if FileManager.default.fileExists(atPath: candidate.path) { return candidate }
        }
        return nil
    }()

    static let isRequired = ProcessInfo.processInfo.environment["CI"] == "true"

    /// The names of the scripts: `folder/file.txt`.
    static let names: [String] = {
        guard let root else { return [] }
        return ["quorum", "confchange", "interaction"].flatMap { folder in
            let path = root.appendingPathComponent(folder).path
            let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
            return files.filter { $0.hasSuffix(".txt") }.sorted().map { "\(folder)/\($0)" }
        }
    }()

    /// Runs a script under every seed; a directive is satisfied if it is so under all of them.
    static func run(_ name: String) throws -> Outcome {
        guard let root else { throw ScriptError("the scripts are absent") }
        let script = try Script(contentsOf: root.appendingPathComponent(name))
        var mismatches: [Mismatch] = []
        for seed in seeds {
            let interpreter = interpreter(for: name, seed: seed)
            for directive in script.directives {
                var actual = interpreter.run(directive)
                if !actual.isEmpty, !actual.hasSuffix("\n") { actual += "\n" }
                if actual != directive.expected {
                    mismatches.append(
                        Mismatch(script: name, seed: seed, directive: directive, actual: actual)
                    )
                }
            }
        }
        let failed = Set(mismatches.map(\.directive.line)).count
        return Outcome(mismatches: mismatches, satisfied: script.directives.count - failed)
    }

    private static func interpreter(for name: String, seed: UInt64) -> any ScriptInterpreter {
        if name.hasPrefix("quorum/") { return QuorumInterpreter() }
        if name.hasPrefix("confchange/") { return ConfChangeInterpreter() }
        return InteractionInterpreter(seed: seed)
    }
}

/// Carries out the directives of one script, one after the other.
protocol ScriptInterpreter: AnyObject {
    func run(_ directive: Script.Directive) -> String
}
