import ArgumentParser
import JournalHistory
import Model
import ToolSupport

@main
struct Why: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet why",
        abstract: "Says from the journals why a partition's leader moved.",
        usage: """
            martlet why <topic>/<partition> [--host <host> ...] [<option> ...]
            martlet why controllers [<option> ...]
            """,
        discussion: """
            Reads the journals of brokerd and controllerd and tells who led, in which term, for \
            how long nobody did, and what happened to the one before. It needs no running cluster. \
            Name every machine of the cluster with --host (read by ssh), or give it journals that \
            were copied; without either it reads this machine's, with those that \
            systemd-journal-remote has gathered here.
            """
    )

    @Argument(help: "Such as orders/0; 'controllers' for the controllers' own leader.")
    var partition: String

    @Option(help: ArgumentHelp("Read the journal of a machine by ssh; may be repeated."))
    var host: [String] = []

    @Option(
        help: ArgumentHelp("Read the journal files of a folder; may be repeated.", valueName: "dir")
    )
    var directory: [String] = []

    @Option(
        help: ArgumentHelp(
            "Read what journalctl -o export has written; - for stdin; may be repeated."
        )
    )
    var file: [String] = []

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("How far to look back, in journalctl's words.", valueName: "time")
    )
    var since = "-1d"

    @Option(help: ArgumentHelp("How many changes to show; 0 for all.", valueName: "count"))
    var last = 3

    static func main() async { await start() }

    func validate() throws {
        _ = try subject()
        guard last >= 0 else { throw ValidationError("--last must be 0 or more") }
        for host in host where host.hasPrefix("-") || host.isEmpty {
            throw ValidationError("'\(host)' is no machine")
        }
    }

    /// `orders/0`, and `orders-0` as log lines have it.
    private func subject() throws -> LeaderHistory.Subject {
        // The second is the name that the controllers' own lines carry.
        if partition == "controllers" || partition == "__cluster_metadata/0" { return .controllers }
        if let cut = partition.lastIndex(where: { $0 == "/" || $0 == "-" }),
            let topic = TopicName(String(partition[..<cut])),
            let number = Int32(partition[partition.index(after: cut)...]), number >= 0
        {
            return .partition(topic: topic.text, number: number)
        }
        throw ValidationError("'\(partition)' is no partition; one looks like orders/0")
    }

    func perform() async throws {
        let subject = try subject()
        var entries: [JournalEntry] = []
        var failure: ToolFailure?
        for source in sources {
            let count = entries.count
            do {
                try source.read { entries.append($0) }
                if entries.count == count {
                    Terminal.say("martlet why: no entries of Martlet in \(source)")
                }
            } catch let unread as ToolFailure {
                // A machine that is down is often what is asked about: the others tell of it.
                Terminal.say("martlet why: \(unread.message)")
                failure = unread
            }
        }
        if entries.isEmpty, let failure { throw failure }
        let history = LeaderHistory(of: subject, in: entries)
        guard !history.moves.isEmpty else {
            throw ToolFailure(
                .refused,
                "nobody is known to have led \(name(subject)) since \(since)",
                advice: "Look further back (--since), or read more journals (--host)."
            )
        }
        tell(history, subject)
    }

    private var sources: [JournalSource] {
        var sources = host.map { JournalSource.host($0, since: since) }
        sources += directory.map { .directory($0, since: since) }
        sources += file.map { .file($0) }
        return sources.isEmpty ? [.local(since: since)] : sources
    }

    private func name(_ subject: LeaderHistory.Subject) -> String {
        switch subject {
        case .controllers: "the controllers"
        case .partition(let topic, let number): "\(topic)-\(number)"
        }
    }

    private func tell(_ history: LeaderHistory, _ subject: LeaderHistory.Subject) {
        guard let newest = history.moves.last, let group = history.group else { return }
        let kind = subject == .controllers ? "controller" : "broker"
        print(
            """
            \(name(subject)) (Raft group \(group)): led by \(kind) \(newest.to.node) since \
            \(Clock.full(newest.to.entry.time)), term \(newest.to.term)
            """
        )
        let shown = last == 0 ? history.moves[...] : history.moves.suffix(last)
        if shown.count < history.moves.count {
            let more = history.moves.count - shown.count
            print("\(Words.count(more, "earlier change")) not shown (--last 0)")
        }
        for move in shown { tell(move, kind) }
        if !history.unheard.isEmpty {
            print("\nnot among the journals read: \(kind) \(Words.list(history.unheard))")
        }
    }

    private func tell(_ move: LeaderHistory.Move, _ kind: String) {
        var head = "\nterm \(move.to.term): \(kind) "
        if let from = move.from, from.node != move.to.node { head += "\(from.node) -> " }
        head += "\(move.to.node), \(Clock.full(move.to.entry.time))"
        if let gap = move.leaderless { head += ", \(Clock.span(gap)) without a leader" }
        print(head)
        print("  why: \(move.cause)")
        for entry in move.evidence {
            print("  \(Clock.time(entry.time)) \(entry.host) \(entry.identifier): \(entry.message)")
        }
    }
}
