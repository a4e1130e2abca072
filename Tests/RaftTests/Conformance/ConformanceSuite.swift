import Foundation
import RaftModel
import Testing

/// The scripts of etcd's raft, which are data beside the repository, and how many we satisfy.
enum ConformanceSuite {
    /// How many directives the scripts hold; fewer would mean that some were not found.
    static let directiveCount = 743
    static let seeds: [UInt64] = [1, 2, 3, 5, 8, 13, 21, 34]

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

    /// Runs a script under every seed.
    static func run(_ name: String) throws -> ScriptOutcome {
        guard let root else { throw ScriptError("the scripts are absent") }
        let script = try Script(contentsOf: root.appendingPathComponent(name))
        return ScriptOutcome(script, seeds) { interpreter(for: name, seed: $0) }
    }

    /// The model, after the traces of an interaction script.
    static func traced(_ name: String, seed: UInt64) throws -> RaftModel {
        guard let root else { throw ScriptError("the scripts are absent") }
        return traced(try Script(contentsOf: root.appendingPathComponent(name)), seed: seed)
    }

    static func traced(_ script: Script, seed: UInt64) -> RaftModel {
        let interpreter = InteractionInterpreter(seed: seed)
        for directive in script.directives { _ = interpreter.run(directive) }
        return interpreter.trace.model
    }

    private static func interpreter(for name: String, seed: UInt64) -> any ScriptInterpreter {
        if name.hasPrefix("quorum/") { return QuorumInterpreter() }
        if name.hasPrefix("confchange/") { return ConfChangeInterpreter() }
        return InteractionInterpreter(seed: seed)
    }
}
