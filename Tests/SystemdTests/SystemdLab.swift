import Foundation
import Testing

/// The daemons under real systemd, in a container or on a kernel of its own; runs with
/// `Tools/check --all`.
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

    @Test(.enabled(if: LabMachine.umlSkipReason == nil, "\(LabMachine.umlSkipReason ?? "")"))
    func `on a kernel of their own, the limits of the units do what they say`() throws {
        try runInstalled("uml.sh", "limits.sh")
    }

    @Test(.enabled(if: LabMachine.umlSkipReason == nil, "\(LabMachine.umlSkipReason ?? "")"))
    func `of 20 power cuts under load none takes what was acknowledged`() throws {
        try runInstalled("uml.sh", "power-cut.sh")
    }

    @Test(arguments: releases)
    func `installed daemons start, serve, reload, restart and stop`(release: String) throws {
        try runInstalled("boot.sh", release, "first-light.sh")
    }

    @Test(arguments: releases)
    func `no client is refused over restarts and a crash`(release: String) throws {
        try runInstalled("boot.sh", release, "sockets.sh")
    }

    @Test(arguments: releases)
    func `a thread that stands still is named, and the daemon is started again`(
        release: String
    ) throws {
        try runInstalled("boot.sh", release, "watchdog.sh")
    }

    @Test(arguments: releases)
    func `the journal holds nobody up and loses no last words`(release: String) throws {
        try runInstalled("boot.sh", release, "journal.sh")
    }

    @Test(arguments: releases)
    func `a long log is replayed, and that of a later version is left alone`(
        release: String
    ) throws {
        try runInstalled("boot.sh", release, "recovery.sh")
    }

    @Test(arguments: releases)
    func `the sandbox holds, the IP filter bites, credentials are private`(
        release: String
    ) throws {
        try runInstalled("boot.sh", release, "sandbox.sh")
    }

    @Test(arguments: releases)
    func `several brokers run on one machine, and reloads return when they are done`(
        release: String
    ) throws {
        try runInstalled("boot.sh", release, "instances.sh")
    }

    @Test func `the journal tells why leaders moved`() throws {
        try runInstalled("boot.sh", "bookworm", "why.sh")
    }

    /// Boots a system with freshly installed daemons and runs one of the lab's suites in it.
    private func runInstalled(_ lab: String, _ arguments: String...) throws {
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
        try run(lab, arguments + [installed.path])
    }

    @Test(
        .enabled(if: LabMachine.canPackage, "apt-get install dpkg-dev debhelper po-debconf"),
        arguments: releases
    )
    func `the package is installed, upgraded, removed and purged`(release: String) throws {
        try withPackages { tree, isReproducible in
            #expect(isReproducible, "the same executables must give the same bytes")
            try run("boot.sh", [release, "package.sh", tree.path])
        }
    }

    @Test(
        .enabled(if: LabMachine.canPackage, "apt-get install dpkg-dev debhelper po-debconf"),
        .enabled(
            if: LabMachine.hostsSkipReason == nil,
            Comment(rawValue: LabMachine.hostsSkipReason ?? "")
        )
    )
    func `three hosts lose nothing through cuts, crashes, reboots and upgrades`() throws {
        try withPackages { tree, _ in
            try run("hosts.sh", ["bookworm", tree.appendingPathComponent("srv").path])
        }
    }

    /// Runs one of the lab's scripts, shows what it says, and expects it to come to a good end.
    private func run(_ lab: String, _ arguments: [String]) throws {
        let suite = try LabMachine.run(["Tests/SystemdTests/lab/\(lab)"] + arguments, [:])
        print(suite.output)
        #expect(suite.status == 0)
        #expect(suite.output.contains("\ndone: "), "the suite did not reach its end")
    }

    /// Makes the packages of two versions, in the folder `srv` of a tree that is gone afterwards;
    /// the first of them twice, to see whether it is the same.
    private func withPackages(_ body: (_ tree: URL, _ isReproducible: Bool) throws -> Void) throws {
        let files = FileManager.default.temporaryDirectory
            .appendingPathComponent("martlet-packages-\(ProcessInfo.processInfo.processIdentifier)")
        defer { try? FileManager.default.removeItem(at: files) }
        let folder = files.appendingPathComponent("srv")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        func package(_ version: String) throws -> URL {
            let made = try LabMachine.run(
                [
                    "Tools/package-deb", "--quick", "--bin", LabMachine.release, "--version",
                    version,
                ],
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
        let first = try Data(contentsOf: package("0.1.0"))
        let second = try Data(contentsOf: package("0.1.0"))
        _ = try package("0.1.1")
        try body(files, first == second)
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
        return refusal("boot.sh")
    }()

    /// Why user-mode Linux is not booted, where containers are.
    static let umlSkipReason = skipReason ?? refusal("uml.sh")

    /// Why no three hosts are booted; they need a network of their own and clients beside that.
    static let hostsSkipReason = skipReason ?? refusal("hosts.sh")

    /// What a script of the lab has against this machine.
    private static func refusal(_ lab: String) -> String? {
        do {
            let probe = try run(["Tests/SystemdTests/lab/\(lab)", "--probe"], [:])
            // Anything but a clear no is for the test itself to find out.
            guard probe.status == 77 else { return nil }
            return probe.output.trimmingCharacters(in: .whitespacesAndNewlines)
        } catch {
            return "the lab's script cannot be run: \(error)"
        }
    }

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
