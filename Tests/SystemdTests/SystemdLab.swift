import Foundation
import Testing

/// The daemons under real systemd in a container; runs with `Tools/check --all`.
@Suite(
    .enabled(
        if: LabMachine.skipReason == nil,
        Comment(rawValue: LabMachine.skipReason ?? "")
    ),
    .serialized
)
struct SystemdLab {
    /// The releases of Debian to boot: systemd 252, the oldest supported, and 257.
    static let releases = ["bookworm", "trixie"]

    @Test(arguments: releases)
    func `installed daemons start, serve, reload, restart and stop`(release: String) throws {
        try run("first-light.sh", release)
    }

    @Test(arguments: releases)
    func `no client is refused over restarts and a crash`(release: String) throws {
        try run("sockets.sh", release)
    }

    @Test(arguments: releases)
    func `a thread that stands still is named, and the daemon is started again`(
        release: String
    ) throws {
        try run("watchdog.sh", release)
    }

    @Test(arguments: releases)
    func `the journal holds nobody up and loses no last words`(release: String) throws {
        try run("journal.sh", release)
    }

    @Test(arguments: releases)
    func `a long log is replayed, and that of a later version is left alone`(
        release: String
    ) throws {
        try run("recovery.sh", release)
    }

    @Test(arguments: releases)
    func `the sandbox holds, the IP filter bites, credentials are private`(
        release: String
    ) throws {
        try run("sandbox.sh", release)
    }

    @Test(arguments: releases)
    func `several brokers run on one machine, and reloads return when they are done`(
        release: String
    ) throws {
        try run("instances.sh", release)
    }

    /// Boots a container with freshly installed daemons and runs one of the lab's scripts in it.
    private func run(_ script: String, _ release: String) throws {
        let installed = FileManager.default.temporaryDirectory
            .appendingPathComponent(
                "martlet-installed-\(ProcessInfo.processInfo.processIdentifier)"
            )
        defer { try? FileManager.default.removeItem(at: installed) }
        let install = try LabMachine.run(
            ["Tools/install", "--bin", LabMachine.release],
            ["DESTDIR": installed.path]
        )
        try #require(install.status == 0, "\(install.output)")
        let lab = "Tests/SystemdTests/lab/boot.sh"
        let suite = try LabMachine.run([lab, release, script, installed.path], [:])
        print(suite.output)
        #expect(suite.status == 0)
        #expect(suite.output.contains("\ndone: "), "the suite did not reach its end")
    }

    @Test(
        .enabled(if: LabMachine.canPackage, "apt-get install dpkg-dev debhelper po-debconf"),
        arguments: releases
    )
    func `the package is installed, upgraded, removed and purged`(release: String) throws {
        let files = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-packages-\(ProcessInfo.processInfo.processIdentifier)")
        defer { try? FileManager.default.removeItem(at: files) }
        let folder = files.appendingPathComponent("srv")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        func package(_ arguments: String...) throws -> URL {
            let made = try LabMachine.run(
                ["Tools/package-deb", "--quick", "--bin", LabMachine.release] + arguments,
                [:]
            )
            try #require(made.status == 0, "\(made.output)")
            let path = try #require(made.output.split(separator: "\n").last)
            let built = URL(fileURLWithPath: String(path))
            let kept = folder.appendingPathComponent(built.lastPathComponent)
            try? FileManager.default.removeItem(at: kept)
            try FileManager.default.moveItem(at: built, to: kept)
            return kept
        }
        let first = try Data(contentsOf: package("--version", "0.1.0"))
        let second = try Data(contentsOf: package("--version", "0.1.0"))
        #expect(first == second, "the same executables must give the same bytes")
        _ = try package("--version", "0.1.1")
        let suite = try LabMachine.run(
            ["Tests/SystemdTests/lab/boot.sh", release, "package.sh", files.path],
            [:]
        )
        print(suite.output)
        #expect(suite.status == 0)
        #expect(suite.output.contains("\ndone: "), "the suite did not reach its end")
    }
}

/// What the lab asks of the machine that runs the tests.
private enum LabMachine {
    static let root = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// What `Tools/release-build` has made.
    ///
    /// It is not built here: SwiftPM builds nothing while it runs tests, so a build from inside of
    /// one would wait for ever.
    static let release = ".build/release"

    /// Why no container is booted; asked of the machine only when containers are wanted.
    static let skipReason: String? = {
        let environment = ProcessInfo.processInfo.environment
        guard environment["MARTLET_SLOW"] == "1", environment["MARTLET_ALL"] == "1" else {
            return "boots containers: set MARTLET_SLOW=1 and MARTLET_ALL=1, or Tools/check --all"
        }
        guard
            FileManager.default.isExecutableFile(
                atPath: root.appendingPathComponent("\(release)/brokerd").path
            )
        else { return "there is no release build: run Tools/release-build, or Tools/check --all" }
        do {
            let probe = try run(["Tests/SystemdTests/lab/boot.sh", "--probe"], [:])
            // Anything but a clear no is for the test itself to find out.
            guard probe.status == 77 else { return nil }
            return probe.output.trimmingCharacters(in: .whitespacesAndNewlines)
        } catch {
            return "the lab's script cannot be run: \(error)"
        }
    }()

    /// Whether Debian's tools for making packages are here.
    static var canPackage: Bool {
        ["dh", "dpkg-buildpackage", "po2debconf"].allSatisfy {
            FileManager.default.isExecutableFile(atPath: "/usr/bin/\($0)")
        }
    }

    static func run(
        _ arguments: [String],
        _ environment: [String: String]
    ) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        process.currentDirectoryURL = root
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
