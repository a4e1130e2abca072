import ArgumentParser
import Model
import RaftLog
import ToolSupport

struct Verify: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Verifies every byte of data directories, and compares replicas.",
        discussion: """
            Each directory is verified: rows, payloads, batches and the running hash over them. \
            With several directories, the committed entries of each group are compared between \
            them. The daemons may run; nothing is written. Ends with 1 when something is wrong.
            """
    )

    @Argument(help: ArgumentHelp("Data directories.", valueName: "dir"))
    var directories: [String]

    func perform() async throws {
        var inspectors: [LogInspector] = []
        for path in directories {
            let inspector = try inspect(path)
            if let same = inspectors.first(where: { $0.directoryID == inspector.directoryID }) {
                throw ToolFailure(
                    .usage,
                    "'\(same.path)' and '\(inspector.path)' are one data directory, "
                        + "\(inspector.directoryID)"
                )
            }
            inspectors.append(inspector)
        }
        var (replicas, entries, problems) = (0, 0, 0)
        for inspector in inspectors {
            print("\(inspector.path): directory \(inspector.directoryID)")
            for problem in inspector.problems { print("  PROBLEM \(problem)") }
            problems += inspector.problems.count
            for group in inspector.groups {
                let found = inspector.verify(group)
                show(found)
                replicas += 1
                entries += found.entryCount
                problems += found.problems.count
            }
        }
        var summary =
            "\(Words.count(inspectors.count, "directory", plural: "directories")), "
            + "\(Words.count(replicas, "replica")), "
            + "\(Words.count(entries, "entry", plural: "entries"))"
        if inspectors.count > 1 {
            let (groups, differences) = compare(inspectors)
            problems += differences
            summary += ", \(Words.count(groups, "group")) compared"
        }
        print("\(summary): \(problems == 0 ? "sound" : Words.count(problems, "problem"))")
        if problems > 0 { throw ExitCode(ToolStatus.refused.rawValue) }
    }

    private func show(_ found: VerifiedGroup) {
        let group = found.group
        let verdict = found.problems.isEmpty ? "sound" : "DAMAGED"
        let bytes = Words.bytes(Int(clamping: found.payloadBytes))
        print("  \(title(group.identity)): \(extent(group)), \(bytes): \(verdict)")
        for problem in found.problems { print("    PROBLEM \(problem)") }
    }

    /// Compares every group that several directories have.
    private func compare(_ inspectors: [LogInspector]) -> (groups: Int, differences: Int) {
        print("replicas:")
        let groups = Set(inspectors.flatMap { $0.groups.map(\.identity.group) }).sorted()
        var (compared, differences) = (0, 0)
        for group in groups {
            let result = ReplicaComparison.compare(group, in: inspectors)
            guard result.paths.count > 1 else {
                print("  group \(group): only in \(result.paths.joined())")
                continue
            }
            compared += 1
            let copies = Words.count(result.paths.count, "replica")
            if let difference = result.difference {
                differences += 1
                print("  group \(group): \(copies) DIFFER")
                print("    PROBLEM \(difference)")
            } else {
                print("  group \(group): \(copies) equal through entry \(result.through)")
            }
        }
        return (compared, differences)
    }
}
