import Glibc
import Testing

@testable import Systemd

/// The environment is the process's, so these tests run one after the other.
@Suite(.serialized) struct NotifyTests {
    @Test func `messages arrive at the notify socket as systemd reads them`() throws {
        let fake = try #require(FakeSocket())
        setenv("NOTIFY_SOCKET", fake.path, 1)
        defer { unsetenv("NOTIFY_SOCKET") }
        let notifier = SystemdNotifier()
        let status = "serving: 12 partitions, leader of 4, 0 under-replicated"
        notifier.send(.ready(status: status))
        #expect(fake.receive() == "READY=1\nSTATUS=\(status)")
        notifier.send(.status("a\nREADY=1"))
        #expect(fake.receive() == "STATUS=a READY=1")
        notifier.send(.stopping(status: "stopping"))
        #expect(fake.receive() == "STOPPING=1\nSTATUS=stopping")
        notifier.send(.extendTimeout(.milliseconds(1500)))
        #expect(fake.receive() == "EXTEND_TIMEOUT_USEC=1500000")
        notifier.send(.watchdog)
        #expect(fake.receive() == "WATCHDOG=1")
    }

    @Test func `a reload carries the monotonic time of now`() throws {
        let fake = try #require(FakeSocket())
        setenv("NOTIFY_SOCKET", fake.path, 1)
        defer { unsetenv("NOTIFY_SOCKET") }
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        SystemdNotifier().send(.reloading())
        let lines = try #require(fake.receive()).split(separator: "\n")
        #expect(lines.first == "RELOADING=1")
        let sent = try #require(Int(lines[1].dropFirst("MONOTONIC_USEC=".count)))
        #expect(sent / 1_000_000 >= now.tv_sec)
        #expect(sent / 1_000_000 <= now.tv_sec + 5)
    }

    @Test func `without a manager messages go nowhere`() {
        unsetenv("NOTIFY_SOCKET")
        SystemdNotifier().send(.watchdog)
    }

    @Test func `the watchdog's time is read only when it is for this process`() {
        setenv("WATCHDOG_USEC", "10000000", 1)
        defer {
            unsetenv("WATCHDOG_USEC")
            unsetenv("WATCHDOG_PID")
        }
        #expect(ServiceManager.watchdogTimeout() == .seconds(10))
        setenv("WATCHDOG_PID", "\(getpid())", 1)
        #expect(ServiceManager.watchdogTimeout() == .seconds(10))
        setenv("WATCHDOG_PID", "1", 1)
        #expect(ServiceManager.watchdogTimeout() == nil)
        unsetenv("WATCHDOG_USEC")
        #expect(ServiceManager.watchdogTimeout() == nil)
    }

    @Test func `sockets for another process are not taken`() {
        setenv("LISTEN_FDS", "1", 1)
        setenv("LISTEN_PID", "1", 1)
        setenv("LISTEN_FDNAMES", "client", 1)
        defer { for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] { unsetenv(name) } }
        #expect(ServiceManager.listenSockets().isEmpty)
        #expect(ServiceManager.listenSockets(named: "client").isEmpty)
    }

    @Test func `the system stops once there is a file that says so`() throws {
        let fake = try #require(FakeSocket())
        #expect(ServiceManager.isSystemStopping(file: fake.path))
        #expect(!ServiceManager.isSystemStopping(file: fake.path + ".absent"))
    }

    @Test func `a descriptor that was kept can be forgotten`() throws {
        let fake = try #require(FakeSocket())
        setenv("NOTIFY_SOCKET", fake.path, 1)
        defer { unsetenv("NOTIFY_SOCKET") }
        ServiceManager.forget(name: "clients")
        #expect(fake.receive() == "FDSTOREREMOVE=1\nFDNAME=clients")
    }

    @Test func `without a manager there is nobody to wait for`() {
        unsetenv("NOTIFY_SOCKET")
        #expect(ServiceManager.waitUntilHeard(timeout: .seconds(30)))
    }

    @Test func `a manager that does not act is waited for no longer than was said`() throws {
        let fake = try #require(FakeSocket())
        setenv("NOTIFY_SOCKET", fake.path, 1)
        defer { unsetenv("NOTIFY_SOCKET") }
        #expect(!ServiceManager.waitUntilHeard(timeout: .milliseconds(20)))
        #expect(fake.receive() == "BARRIER=1")
    }

    @Test func `a credential is read from its directory and from nowhere else`() throws {
        var template = Array("/tmp/martlet-test-XXXXXX".utf8CString)
        _ = try #require(mkdtemp(&template))
        let bytes = template.dropLast().map { UInt8(bitPattern: $0) }
        let folder = String(decoding: bytes, as: UTF8.self)
        let file = try #require(fopen("\(folder)/tls.key", "w"))
        fputs("secret", file)
        fclose(file)
        setenv("CREDENTIALS_DIRECTORY", folder, 1)
        defer {
            unsetenv("CREDENTIALS_DIRECTORY")
            unlink("\(folder)/tls.key")
            rmdir(folder)
        }
        #expect(ServiceManager.credential("tls.key") == Array("secret".utf8))
        #expect(ServiceManager.credential("other") == nil)
        #expect(ServiceManager.credential("../etc/passwd") == nil)
        #expect(ServiceManager.credential("..") == nil)
    }

    @Test func `the allocator takes the tuning`() {
        #expect(ProcessTuning.tuneAllocator())
    }
}
