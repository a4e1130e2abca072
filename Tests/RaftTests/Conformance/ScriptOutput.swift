import Raft

/// What a directive writes, log lines included.
final class ScriptOutput {
    static let levels = ["DEBUG", "INFO", "WARN", "ERROR", "FATAL", "NONE"]

    private(set) var text = ""
    /// Log lines below this level are not written; the last level mutes everything.
    var level = 0

    var isQuiet: Bool { level == Self.levels.count - 1 }

    func write(_ text: String) {
        if !isQuiet { self.text += text }
    }

    func log(_ level: LogLevel, _ line: () -> String) {
        guard Int(level.rawValue) >= self.level else { return }
        write("\(Self.levels[Int(level.rawValue)]) \(line())\n")
    }

    func reset() { text = "" }

    /// Writes what `body` writes, each line with two spaces in front.
    func indented(_ body: () throws -> Void) rethrows {
        let before = text
        text = ""
        defer {
            var lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            if lines.last == "" { lines.removeLast() }
            text = before + lines.map { "  \($0)\n" }.joined()
        }
        try body()
    }

    func setLevel(_ name: String) throws {
        guard let level = Self.levels.firstIndex(of: name.uppercased()) else {
            throw ScriptError("log levels must be either of \(Self.levels)")
        }
        self.level = level
    }
}
