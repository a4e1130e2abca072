import Glibc

/// `martlet VERB ...` runs the executable `martlet-VERB`, as git does with its verbs.
@main
enum Dispatcher {
    static let usage = """
        usage: martlet VERB [ARGUMENTS]
               martlet help [VERB]

        """

    static func main() {
        let arguments = Array(CommandLine.arguments.dropFirst())
        let verbs = VerbFinder()
        switch arguments.first {
        case nil, "-h", "--help":
            show(verbs)
            exit(arguments.isEmpty ? 64 : 0)
        case "help" where arguments.count == 1:
            show(verbs)
        case "help":
            run(arguments[1], ["--help"], verbs)
        case "--version", "version":
            print("martlet 0.1.0")
        case let verb?:
            run(verb, Array(arguments.dropFirst()), verbs)
        }
    }

    static func show(_ verbs: VerbFinder) {
        print(usage)
        print("Verbs:")
        let all = verbs.all()
        let width = all.map(\.name.count).max() ?? 0
        for verb in all {
            let blanks = String(repeating: " ", count: width - verb.name.count)
            let line = "  \(verb.name)\(blanks)  \(Summary.of(verb.path))"
            print(line.count > 80 ? String(line.prefix(77)) + "..." : line)
        }
        if all.isEmpty {
            print("  none: no martlet-VERB beside martlet, on PATH or in /usr/lib/martlet")
        }
        print("\nEach verb explains itself: martlet VERB --help")
    }

    /// Becomes the verb's executable.
    static func run(_ verb: String, _ arguments: [String], _ verbs: VerbFinder) {
        guard let path = verbs.path(of: verb) else {
            complain("there is no verb '\(verb)'")
            if let near = verbs.nearest(to: verb) { complain("  Did you mean '\(near)'?") }
            complain("  `martlet help` lists the verbs.")
            exit(64)
        }
        var pointers = ([path] + arguments).map { strdup($0) }
        pointers.append(nil)
        execv(path, pointers)
        complain("cannot run \(path): \(String(cString: strerror(errno)))")
        exit(70)
    }

    static func complain(_ line: String) {
        let text = line.hasPrefix(" ") ? line : "martlet: \(line)"
        _ = (text + "\n").withCString { write(STDERR_FILENO, $0, strlen($0)) }
    }
}
