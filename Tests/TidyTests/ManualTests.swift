import Foundation
import Testing

/// What the manual promises: everything that an operator can set, see or meet is described.
@Suite struct ManualTests {
    let repository = Repository.here
    /// Where the executables lie that were built together with these tests.
    static let bin = ".build/debug"

    /// The verbs of `martlet` that are shipped, with the word "martlet-" before them.
    private var verbs: [String] {
        repository.entries(of: "Tools")
            .filter { $0.hasPrefix("martlet-") && $0 != "martlet-simulate" }
    }

    /// The pages as they are installed, by name; the executables say what their verbs do.
    private func pages() throws -> [String: String] { try Self.made.get() }

    private static let made = Result { try makePages() }

    private static func makePages() throws -> [String: String] {
        let out = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-manual-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: out) }
        let made = try run(["Tools/man-pages", bin, out.path])
        try #require(made.status == 0, "\(made.output)")
        var pages: [String: String] = [:]
        for section in try FileManager.default.contentsOfDirectory(atPath: out.path) {
            let folder = out.appendingPathComponent(section)
            for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
                pages[name] = try String(
                    contentsOf: folder.appendingPathComponent(name),
                    encoding: .utf8
                )
            }
        }
        return pages
    }

    /// What the items of a page are called: the lines after `.TP`, without their fonts.
    private func items(_ page: String?) -> Set<String> {
        var found: Set<String> = []
        var begins = false
        for line in (page ?? "").split(separator: "\n") {
            if begins {
                let name = line.replacing(/^\.[A-Z]+[ ]/, with: "")
                found.insert(String(name.replacing("\\-", with: "-")))
            }
            begins = line == ".TP"
        }
        return found
    }

    /// All matches of an expression's first group in a file of the tree.
    private func names(_ expression: Regex<(Substring, Substring)>, in path: String) -> [String] {
        repository.lines(path).joined(separator: "\n").matches(of: expression)
            .map { String($0.output.1) }
    }

    @Test func `every executable and every verb has a page without gaps`() throws {
        let pages = try pages()
        #expect(verbs.count >= 6)
        for name in verbs.map({ "\($0).1" }) + ["martlet.1", "brokerd.8", "controllerd.8"] {
            #expect(pages[name] != nil, "\(name) is missing")
        }
        for verb in verbs {
            let link = ".BR \(verb.replacing("-", with: "\\-")) (1)"
            #expect(pages["martlet.1"]?.contains(link) == true, "martlet.1 lacks \(verb)")
        }
        for (name, text) in pages {
            #expect(!text.contains(/@(verbs|statuses|metrics|settings|version)/), "\(name)")
            #expect(text.contains("\n.SH NAME\n"), "\(name)")
        }
    }

    @Test func `roff has nothing to complain of`() throws {
        let out = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-roff-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: out) }
        try #require(run(["Tools/man-pages", Self.bin, out.path]).status == 0)
        let judged = try run([
            "sh", "-c", "groff -man -ww -Tutf8 -rHY=0 -z \"$1\"/man?/*", "sh", out.path,
        ])
        #expect(judged.output == "")
    }

    @Test func `every setting stands in the examples and in martlet.yaml`() throws {
        let text = try #require(try pages()["martlet.yaml.5"])
        let parts = text.split(separator: ".SH ").map(String.init)
        let source = repository.lines("Modules/Settings/SettingsChanges.swift")
            .joined(separator: "\n").split(separator: "extension ").map(String.init)
        // What brokers and controllers share is compared in the file's first part.
        let shared = source[0].matches(of: /compare\("([\w.]+)"/).map { String($0.output.1) }
        #expect(shared.count >= 9)
        for (heading, settings) in [
            ("BROKERD", "BrokerSettings"), ("CONTROLLERD", "ControllerSettings"),
        ] {
            let part = try #require(parts.first { $0.hasPrefix("\(heading)\n") })
            let own = try #require(source.first { $0.hasPrefix(settings) })
            let keys = shared + own.matches(of: /compare\("([\w.]+)"/).map { String($0.output.1) }
            let described = items(".SH \(part)")
            #expect(Set(keys).subtracting(described).isEmpty, "not described")
            // The groups themselves are described as well.
            let extra = described.subtracting(keys).subtracting(["listeners", "advertised"])
            #expect(extra.isEmpty, "described, but no settings")
        }
    }

    @Test func `every metric is described`() throws {
        let described = items(try pages()["martlet-metrics.7"])
        let counted = names(/MetricName\(\s*"(\w+)"/, in: MetricTests.list)
        #expect(counted.count > 40)
        #expect(described == Set(counted))
    }

    @Test(arguments: ["brokerd.8", "controllerd.8"])
    func `a daemon's page names its statuses, signals and options`(page: String) throws {
        let described = items(try pages()[page])
        let statuses = names(/case \w+ = (\d+)/, in: "Modules/Daemon/ExitStatus.swift")
        #expect(statuses.count >= 6)
        #expect(described.filter { $0.allSatisfy(\.isNumber) } == Set(statuses))
        let all = described.joined(separator: " ")
        let signals = names(/UnixSignalsSequence\((.*)\)/, in: "Modules/Daemon/DaemonRunner.swift")
        let trapped = try #require(signals.first).matches(of: /\.(sig[a-z]+)/)
        #expect(trapped.count >= 3)
        for signal in trapped { #expect(all.contains(signal.output.1.uppercased())) }
        let options = names(/\n          (--[a-z-]+)/, in: "Modules/Daemon/DaemonArguments.swift")
        #expect(options.count >= 4)
        for option in options + ["--help"] { #expect(all.contains(option), "\(option)") }
    }

    @Test func `the statuses of the verbs are those that they exit with`() throws {
        let statuses = names(/case \w+ = (\d+)/, in: "Tools/ToolSupport/ToolCommand.swift")
        #expect(statuses.count >= 5)
        let pages = try pages()
        for name in verbs + ["martlet"] {
            let described = items(pages["\(name).1"]).filter { $0.allSatisfy(\.isNumber) }
            #expect(described == Set(statuses), "\(name)")
        }
    }

    @Test func `every help fits 80 columns`() throws {
        var commands = [["martlet"], ["brokerd"], ["controllerd"]]
        for verb in verbs {
            let help = try run(["\(Self.bin)/\(verb)", "--help"]).output
            let list = help.firstRange(of: "SUBCOMMANDS:").map { help[$0.upperBound...] } ?? ""
            commands +=
                [[verb]] + list.matches(of: /\n  ([a-z-]+)[ ]/).map { [verb, "\($0.output.1)"] }
        }
        #expect(commands.count > 12)
        for command in commands {
            let help = try run(["\(Self.bin)/\(command[0])"] + command.dropFirst() + ["--help"])
            #expect(help.status == 0, "\(command)")
            for line in help.output.split(separator: "\n") {
                #expect(line.count <= 80, "\(command): \(line)")
            }
        }
    }

    @Test func `the shell completes verbs, their subcommands and their options`() throws {
        let script = """
            PATH=$PWD/\(Self.bin):$PATH
            . systemd/completion/martlet
            COMP_WORDS=(martlet "$@") COMP_CWORD=$#
            _martlet martlet "${COMP_WORDS[$#]}" "${COMP_WORDS[$#-1]}"
            echo "${COMPREPLY[*]}"
            """
        func complete(_ words: String...) throws -> String {
            try run(["bash", "-c", script, "bash"] + words).output
                .trimmingCharacters(in: .newlines)
        }
        #expect(try complete("to") == "topic")
        #expect(try complete("topic", "de") == "describe delete")
        #expect(try complete("topic", "create", "orders", "--pa") == "--partitions")
        #expect(try complete("bench", "--no") == "--no-idempotence")
        #expect(try complete("help", "clu") == "cluster")
    }

    @Test func `the package's version is that of the daemons and the tools`() throws {
        let first = try #require(repository.lines("systemd/debian/changelog").first)
        let version = try #require(first.firstMatch(of: /\((.*?)\)/)).output.1
        for tool in ["brokerd", "controllerd"] {
            #expect(names(/version = "(.*)"/, in: "Tools/\(tool)/Main.swift") == [String(version)])
        }
        #expect(names(/"martlet (\d.*)"/, in: "Tools/martlet/Dispatcher.swift") == ["\(version)"])
    }

    @Test func `dependencies are pinned to one version`() {
        let packages = repository.lines("Package.swift").filter { $0.contains(".package(url:") }
        #expect(packages.count >= 6)
        for line in packages { #expect(line.contains("exact: \""), "\(line)") }
    }
}
