import Foundation

/// The source tree that the tidy rules read.
struct Repository {
    /// The folder of `Package.swift`.
    let root: URL

    static let here = Repository(
        root: URL(fileURLWithPath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    )

    /// The files under a folder whose names end in `suffix`, as paths from the root, sorted.
    func files(under folder: String, suffix: String) -> [String] {
        let base = root.appendingPathComponent(folder)
        guard
            let walker = FileManager.default.enumerator(
                at: base,
                includingPropertiesForKeys: nil,
                options: [.skipsHiddenFiles]
            )
        else { return [] }
        var found: [String] = []
        for case let url as URL in walker where url.lastPathComponent.hasSuffix(suffix) {
            found.append(String(url.path.dropFirst(root.path.count + 1)))
        }
        return found.sorted()
    }

    /// The names of the folders and files directly in a folder, sorted.
    func entries(of folder: String) -> [String] {
        let path = root.appendingPathComponent(folder).path
        return ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
    }

    /// A file's lines; a missing file has none.
    func lines(_ path: String) -> [Substring] {
        let url = root.appendingPathComponent(path)
        guard let text = try? String(contentsOf: url, encoding: .utf8) else { return [] }
        return text.split(separator: "\n", omittingEmptySubsequences: false)
    }

    /// Whether a path exists.
    func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appendingPathComponent(path).path)
    }

    /// All Swift files that people write: generated ones are exempt from the rules of size.
    var handwritten: [String] {
        ["Modules", "Tools", "Tests"].flatMap { files(under: $0, suffix: ".swift") }
            .filter { !$0.contains("/Generated/") } + ["Package.swift"]
    }
}

/// What a command printed, and how it ended.
struct CommandResult {
    let status: Int32
    let output: String
}

/// Runs a command and waits for its end.
func run(_ arguments: [String], in folder: URL = Repository.here.root) throws -> CommandResult {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = arguments
    process.currentDirectoryURL = folder
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    try process.run()
    let data = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return CommandResult(
        status: process.terminationStatus,
        output: String(decoding: data, as: UTF8.self)
    )
}
