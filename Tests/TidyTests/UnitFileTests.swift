import Foundation
import Testing

/// The units as `Tools/install` puts them in place, judged by systemd's own tools.
@Suite struct UnitFileTests {
    /// The units that run something.
    static let services = ["brokerd.service", "brokerd@.service", "controllerd.service"]
    /// The exposure that a daemon may have; redis has 1.2, etcd 9.2.
    static let exposureMax = 1.2

    /// A stand-in for `martlet-topic` that describes itself.
    static let verb = """
        #!/bin/sh
        echo '{"command": {"commandName": "topic", "abstract": "Makes topics.", "arguments": []}}'

        """

    let repository = Repository.here

    /// A root with the installed units, stand-ins for the binaries, and systemd's own units.
    private func withInstalledRoot(_ body: (URL) throws -> Void) throws {
        let files = FileManager.default
        let root = files.temporaryDirectory.appendingPathComponent("martlet-\(UUID().uuidString)")
        defer { try? files.removeItem(at: root) }
        let bin = root.appendingPathComponent("bin")
        try files.createDirectory(at: bin, withIntermediateDirectories: true)
        for name in ["brokerd", "controllerd", "martlet", "martlet-topic"] {
            try files.copyItem(
                at: URL(fileURLWithPath: "/bin/true").resolvingSymlinksInPath(),
                to: bin.appendingPathComponent(name)
            )
        }
        // A verb says what it does, for the manual.
        let verb = bin.appendingPathComponent("martlet-topic")
        try files.removeItem(at: verb)
        try Self.verb.write(to: verb, atomically: true, encoding: .utf8)
        try files.setAttributes([.posixPermissions: 0o755], ofItemAtPath: verb.path)
        // ExecReload's shell, which every system has.
        try files.copyItem(
            at: URL(fileURLWithPath: "/bin/sh").resolvingSymlinksInPath(),
            to: bin.appendingPathComponent("sh")
        )
        let install = try run([
            "env", "DESTDIR=\(root.path)", "Tools/install", "--bin", bin.path,
        ])
        try #require(install.status == 0, "\(install.output)")
        let units = root.appendingPathComponent("usr/lib/systemd/system")
        let copy = try run(["cp", "-rn", "/usr/lib/systemd/system/.", units.path])
        try #require(copy.status == 0, "\(copy.output)")
        try body(root)
    }

    @Test func `the units are verified without a word`() throws {
        try withInstalledRoot { root in
            let names = [
                "brokerd.service", "brokerd@1.service", "controllerd.service", "martlet.target",
                "martlet.slice",
            ]
            let verify = try run(
                ["systemd-analyze", "verify", "--man=no", "--root=\(root.path)"] + names
            )
            #expect(verify.status == 0)
            #expect(verify.output == "")
        }
    }

    @Test func `everything is installed where Debian expects it`() throws {
        try withInstalledRoot { root in
            for path in [
                "usr/sbin/brokerd", "usr/sbin/controllerd", "usr/bin/martlet",
                "usr/lib/martlet/martlet-topic", "usr/lib/sysusers.d/martlet.conf",
                "usr/lib/tmpfiles.d/martlet.conf", "usr/lib/systemd/catalog/martlet.catalog",
                "usr/lib/systemd/system/brokerd.service.d/credentials.conf",
                "usr/lib/systemd/system-preset/90-martlet.preset", "usr/share/man/man8/brokerd.8",
                "usr/share/man/man1/martlet-topic.1", "usr/share/man/man5/martlet.yaml.5",
                "usr/share/bash-completion/completions/martlet",
                "etc/martlet/brokerd.yaml", "etc/martlet/controllerd.yaml",
                "usr/share/doc/martlet/broker2.yaml",
            ] {
                let found = FileManager.default.fileExists(
                    atPath: root.appendingPathComponent(path).path
                )
                #expect(found, "\(path) is missing")
            }
            let settings = root.appendingPathComponent("etc/martlet/brokerd.yaml")
            let text = try String(contentsOf: settings, encoding: .utf8)
            #expect(text.contains("\ndata_directory: /var/lib/martlet/broker\n"))
            #expect(text.contains("\ndefault_replication_factor: 1\n"))
        }
    }

    @Test func `settings that exist are left alone`() throws {
        try withInstalledRoot { root in
            let settings = root.appendingPathComponent("etc/martlet/brokerd.yaml")
            try "mine\n".write(to: settings, atomically: true, encoding: .utf8)
            let again = try run([
                "env", "DESTDIR=\(root.path)", "Tools/install", "--bin", "\(root.path)/bin",
            ])
            #expect(again.status == 0, "\(again.output)")
            #expect(try String(contentsOf: settings, encoding: .utf8) == "mine\n")
        }
    }

    @Test(arguments: services) func `a daemon is exposed by 1.2 at most`(unit: String) throws {
        let path = repository.root.appendingPathComponent("systemd/\(unit)").path
        let result = try run([
            "systemd-analyze", "security", "--offline=true", "--no-pager", path,
        ])
        let line = try #require(
            result.output.split(separator: "\n").last { $0.contains("Overall exposure level") }
        )
        // What follows the number is a face, whose shape depends on the locale.
        let after = try #require(line.split(separator: ":").dropFirst().first)
        let exposure = try #require(after.split(separator: " ").first.flatMap { Double($0) })
        #expect(exposure <= Self.exposureMax, "\(line)")
    }

    @Test(arguments: services) func `a daemon's unit says what operators rely on`(
        unit: String
    ) {
        let lines = Set(repository.lines("systemd/\(unit)").map(String.init))
        for line in [
            "Type=notify", "NotifyAccess=main", "User=martlet", "WatchdogSec=15s",
            "RestartPreventExitStatus=64 74 78", "Restart=on-failure", "Slice=martlet.slice",
        ] { #expect(lines.contains(line), "\(unit) lacks \(line)") }
    }
}
