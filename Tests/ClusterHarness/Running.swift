import Glibc

/// What a finished command has written, and how it ended.
package struct CommandResult: Sendable {
    /// How it ended.
    package let exit: ChildProcess.Exit
    /// Its standard output.
    package let output: String
    /// Its standard error.
    package let errors: String

    /// Whether it ended with status 0.
    package var isSuccess: Bool { exit == .status(0) }
    /// Everything that a reader of a failed test wants to see.
    package var report: String { "\(exit)\n\(output)\(errors)" }
}

/// Runs a command to its end.
///
/// - Throws: when it cannot be started, or does not end in time; it is killed then.
package func runCommand(
    _ program: String,
    _ arguments: [String],
    input: String? = nil,
    in directory: String,
    within patience: Duration = .seconds(90)
) async throws -> CommandResult {
    let stem =
        "\(directory)/command-\(monotonicMilliseconds())-\(UInt32.random(in: 0...UInt32.max))"
    let files = ["in", "out", "err"].map { "\(stem).\($0)" }
    defer { for file in files { unlink(file) } }
    if let input { try writeFile(files[0], input) }
    let child = try ChildProcess(
        program,
        arguments,
        environment: commandEnvironment(),
        input: input == nil ? "/dev/null" : files[0],
        output: files[1],
        errors: files[2]
    )
    let exit: ChildProcess.Exit
    do {
        exit = try await child.waitForExit(within: patience)
    } catch {
        child.end()
        let written = readFile(files[1]) + readFile(files[2])
        throw HarnessError("\(program) \(arguments.joined(separator: " ")): \(error)\n\(written)")
    }
    return CommandResult(exit: exit, output: readFile(files[1]), errors: readFile(files[2]))
}

/// What the commands of a test see of this process's environment.
package func commandEnvironment() -> [String: String] {
    var environment = [
        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "LC_ALL": "C.UTF-8",
    ]
    for name in ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV"] {
        if let value = getenv(name) { environment[name] = String(cString: value) }
    }
    return environment
}

/// A whole file as text; empty if it cannot be read.
package func readFile(_ path: String) -> String {
    String(decoding: readBytes(path, from: 0), as: UTF8.self)
}

/// A file's bytes from a position on; empty if it cannot be read.
package func readBytes(_ path: String, from start: Int) -> [UInt8] {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return [] }
    defer { close(file) }
    var bytes: [UInt8] = []
    var piece = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = pread(file, &piece, piece.count, off_t(start + bytes.count))
        guard count > 0 else { return bytes }
        bytes += piece[..<count]
    }
}

/// Writes a new file.
package func writeFile(_ path: String, _ text: String) throws {
    let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw HarnessError("cannot write \(path)") }
    defer { close(file) }
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
        let count = rest.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        guard count > 0 else { throw HarnessError("cannot write \(path)") }
        rest = rest.dropFirst(count)
    }
}
