import Foundation
import Testing

/// The daemons under real systemd in a container; runs with `Tools/check --all`.
@Suite(
    .enabled(
        if: ProcessInfo.processInfo.environment["MARTLET_ALL"] == "1",
        "boots containers: set MARTLET_ALL=1, or run Tools/check --all"
    ),
    .serialized
)
struct SystemdLab {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    @Test func `installed daemons start, serve, reload, restart and stop under systemd`() throws {
        let installed = FileManager.default.temporaryDirectory
            .appendingPathComponent(
                "martlet-installed-\(ProcessInfo.processInfo.processIdentifier)"
            )
        defer { try? FileManager.default.removeItem(at: installed) }
        let install = try run(["Tools/install"], ["DESTDIR": installed.path])
        try #require(install.status == 0, "\(install.output)")
        let lab = "Tests/SystemdTests/lab/boot.sh"
        let suite = try run([lab, "first-light.sh", installed.path], [:])
        print(suite.output)
        if suite.status == 77 { return }
        #expect(suite.status == 0)
        #expect(suite.output.contains("1.."), "the suite did not reach its end")
    }

    private func run(
        _ arguments: [String],
        _ environment: [String: String]
    ) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.currentDirectoryURL = Self.root
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let data = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: data, as: UTF8.self))
    }
}
