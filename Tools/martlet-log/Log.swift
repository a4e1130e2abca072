import ArgumentParser
import Disk
import Model
import Raft
import RaftLog
import ToolSupport

@main
struct Log: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet log",
        abstract: "Shows and verifies what a data directory holds; writes nothing.",
        subcommands: [Dump.self, Verify.self]
    )

    static func main() async { await start() }

    func perform() async throws { throw CleanExit.helpRequest(Self.self) }
}

/// Reads a data directory, or explains why it cannot be read.
func inspect(_ path: String) throws(ToolFailure) -> LogInspector {
    let files = RealFiles()
    var path = path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    guard files.kind(of: path) == .directory else {
        throw ToolFailure(.usage, "there is no directory '\(path)'")
    }
    do throws(RaftLogError) {
        return try LogInspector.open(path, files: files)
    } catch {
        switch error {
        case .notADataDirectory:
            throw ToolFailure(
                .refused,
                "'\(path)' is no data directory",
                advice: "Name what data_directory says in the broker's or controller's settings."
            )
        case .damaged(let file, let reason): throw ToolFailure(.refused, "\(file): \(reason)")
        case .disk(let error):
            throw ToolFailure(
                .refused,
                "\(error)",
                advice: "Data directories are readable for the daemon's user: try sudo."
            )
        default: throw ToolFailure(.refused, "'\(path)': \(error)")
        }
    }
}

/// A number in 16 hexadecimal digits.
func hex(_ number: UInt64) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}

/// `group 1001 orders-0 node 1.1`.
func title(_ identity: GroupIdentity) -> String {
    "group \(identity.group) \(identity.topicName)-\(identity.partition) "
        + "node \(identity.node.owner).\(identity.node.incarnation)"
}

/// `entries 1...7, next offset 12, term 2, vote 1.1, commit 7`.
func extent(_ group: InspectedGroup) -> String {
    let vote = group.hardState.vote
    let words = vote == .none ? "none" : "\(vote.owner).\(vote.incarnation)"
    let entries =
        group.lastIndex < group.firstIndex
        ? "no entries after \(group.start.index)"
        : "entries \(group.firstIndex)...\(group.lastIndex)"
    return "\(entries), next offset \(group.nextOffset), term \(group.hardState.term), "
        + "vote \(words), commit \(group.hardState.commit)"
}
