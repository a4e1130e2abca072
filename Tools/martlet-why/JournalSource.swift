import Glibc
import JournalHistory
import ToolSupport

/// Where a journal is read.
enum JournalSource: CustomStringConvertible {
    /// This machine's, with those that were gathered here.
    case local(since: String)
    /// Another machine's, by ssh.
    case host(String, since: String)
    /// The journal files of a folder.
    case directory(String, since: String)
    /// What `journalctl --output=export` has written.
    case file(String)

    var description: String {
        switch self {
        case .local: "this machine's journal"
        case .host(let host, _): "the journal of \(host)"
        case .directory(let path, _): path
        case .file(let path): path == "-" ? "stdin" : path
        }
    }

    /// Gives every entry to `take`.
    func read(_ take: (JournalEntry) -> Void) throws {
        switch self {
        case .local(let since): try run(Self.journalctl(since) + ["--merge"], take)
        case .directory(let path, let since):
            try run(Self.journalctl(since) + ["--directory=\(path)"], take)
        case .host(let host, let since):
            // The other side's shell reads it once more.
            try run(["ssh", host, Self.quoted(Self.journalctl(since))], take)
        case .file(let path):
            let descriptor = path == "-" ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else {
                throw ToolFailure(.refused, "\(path): \(String(cString: strerror(errno)))")
            }
            defer { if path != "-" { close(descriptor) } }
            Self.readAll(descriptor, take)
        }
    }

    private static func journalctl(_ since: String) -> [String] {
        [
            "journalctl", "--no-pager", "--quiet", "--output=export", "--since=\(since)",
            "--unit=brokerd*", "--unit=controllerd*",
        ]
    }

    private static func readAll(_ descriptor: Int32, _ take: (JournalEntry) -> Void) {
        var export = JournalExport()
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            export.append(buffer[..<count])
            while let entry = export.next() { take(entry) }
        }
        if let entry = export.end() { take(entry) }
    }

    /// Runs a program and reads its stdout; its stderr is the terminal's.
    private func run(_ arguments: [String], _ take: (JournalEntry) -> Void) throws {
        guard let pipe = popen(Self.quoted(arguments), "re") else {
            throw ToolFailure(.refused, "no shell can be run: \(String(cString: strerror(errno)))")
        }
        Self.readAll(fileno(pipe), take)
        let status = pclose(pipe)
        guard status == 0 else {
            throw ToolFailure(
                .refused,
                "\(self) cannot be read: \(arguments[0]) ended with status \(status >> 8 & 0xff)"
            )
        }
    }

    /// A command line of which a shell makes these very arguments.
    private static func quoted(_ arguments: [String]) -> String {
        arguments.map { argument in
            "'"
                + argument.split(separator: "'", omittingEmptySubsequences: false)
                .joined(separator: "'\\''") + "'"
        }.joined(separator: " ")
    }
}
