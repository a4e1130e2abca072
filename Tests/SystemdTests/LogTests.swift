import Glibc
import Logging
import Synchronization
import Testing

@testable import Systemd

/// Keeps entries, and can be held like a journald that does not read.
private final class Recorder: LogSink {
    private let kept = Mutex<[LogEntry]>([])
    private let held = Mutex<WakeSignal?>(nil)
    private let entered = WakeSignal()

    var entries: [LogEntry] { kept.withLock { $0 } }

    func hold() { held.withLock { $0 = WakeSignal() } }

    /// Waits until the logger thread hangs in a write.
    func waitUntilStuck() -> Bool { entered.wait(timeout: .seconds(5)) }

    func release() {
        let semaphore = held.withLock { held -> WakeSignal? in
            defer { held = nil }
            return held
        }
        semaphore?.signal()
    }

    func write(_ entry: LogEntry) {
        if let semaphore = held.withLock({ $0 }) {
            entered.signal()
            semaphore.wait()
        }
        kept.withLock { $0.append(entry) }
    }
}

@Suite struct LogTests {
    private let recorder = Recorder()

    private func logger(_ pipeline: LogPipeline) -> Logger {
        Logger(label: "test") { JournalLogHandler(label: $0, pipeline: pipeline) }
    }

    @Test func `an entry keeps its text, level, fields and place`() throws {
        let pipeline = LogPipeline(sink: recorder)
        logger(pipeline).notice(
            "Successfully started Raft group 1001 for partition test-topic-0 (join=false)",
            metadata: [
                "message-id": "\(MessageID.raftGroupStarted)", "MARTLET_GROUP": "1001",
                "peer-id": "2", "_odd": "x",
            ]
        )
        #expect(pipeline.flush())
        let entry = try #require(recorder.entries.first)
        #expect(entry.message.hasPrefix("Successfully started Raft group 1001"))
        #expect(entry.level == .notice)
        #expect(entry.priority == 5)
        #expect(entry.file == "SystemdTests/LogTests.swift")
        let fields = entry.fields.map { "\($0.name)=\($0.value)" }
        #expect(
            fields == [
                "MARTLET_GROUP=1001", "MARTLET_PEER_ID=2", "MARTLET__ODD=x",
                "MESSAGE_ID=\(MessageID.raftGroupStarted)",
            ]
        )
    }

    @Test func `a line on stderr has its priority, its exact text and the reader's fields`() {
        let entry = LogEntry(
            level: .warning,
            message: "one\ntwo\u{1b}[31m",
            metadata: ["message-id": "x", "MARTLET_GROUP": "1", "peer": "a\nb"],
            label: "l"
        )
        #expect(StandardErrorSink.line(entry) == "<4>one two [31m peer=a b\n")
    }

    @Test func `lines reach the descriptor whole and in order`() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        defer { close(ends[0]) }
        let pipeline = LogPipeline(sink: StandardErrorSink(descriptor: ends[1]))
        let logger = logger(pipeline)
        for number in 0..<100 { logger.info("line \(number)") }
        pipeline.close()
        close(ends[1])
        var text = ""
        var bytes = [UInt8](repeating: 0, count: 4096)
        while case let count = read(ends[0], &bytes, bytes.count), count > 0 {
            text += String(decoding: bytes[..<count], as: UTF8.self)
        }
        #expect(text == (0..<100).map { "<6>line \($0)\n" }.joined())
    }

    @Test func `a journal that hangs blocks nobody; drops are counted and reported`() throws {
        let pipeline = LogPipeline(sink: recorder, level: .info, entriesMax: 10)
        let logger = logger(pipeline)
        recorder.hold()
        logger.info("first")
        #expect(recorder.waitUntilStuck())
        for number in 0..<25 { logger.info("\(number)") }
        #expect(pipeline.dropped == 15)
        recorder.release()
        #expect(pipeline.flush())
        let messages = recorder.entries.map(\.message)
        let kept = ["first"] + (0..<10).map { "\($0)" }
        #expect(Array(messages.prefix(11)) == kept)
        #expect(
            messages.dropFirst(11)
                == ["dropped 15 log entries: the journal was slower than the daemon"]
        )
    }

    @Test func `a flush gives up when the journal hangs`() {
        let pipeline = LogPipeline(sink: recorder)
        recorder.hold()
        logger(pipeline).info("x")
        #expect(!pipeline.flush(timeout: .milliseconds(20)))
        recorder.release()
        #expect(pipeline.flush())
    }

    @Test func `a flood of one event is cut and reported, other events are not touched`() {
        let pipeline = LogPipeline(
            sink: recorder,
            level: .info,
            entriesMax: 100,
            limit: EventLimit(linesMax: 3, window: .seconds(3600))
        )
        let logger = logger(pipeline)
        for number in 0..<10 { logger.warning("peer \(number) was refused") }
        logger.notice("another event")
        pipeline.close()
        let left = """
            left out 7 lines of one event, after 3 within 3600 s; the first was: peer 3 was refused
            """
        #expect(
            recorder.entries.map(\.message) == [
                "peer 0 was refused", "peer 1 was refused", "peer 2 was refused", "another event",
                left,
            ]
        )
        #expect(recorder.entries.last?.level == .warning)
    }

    @Test func `each Raft group has its own share, and debugging has no limit`() {
        var limit = EventLimit(linesMax: 1, window: .seconds(30))
        func entry(_ group: String, _ level: Logger.Level = .info) -> LogEntry {
            LogEntry(
                level: level,
                message: "Leading Raft group \(group)",
                metadata: ["MARTLET_GROUP": "\(group)"],
                label: "l"
            )
        }
        let now = ContinuousClock.now
        func isAdmitted(_ entry: LogEntry, after time: Duration = .zero) -> Bool {
            limit.admits(entry, at: now + time)
        }
        func reports(after time: Duration) -> [String] {
            limit.reports(at: now + time).map(\.message)
        }
        #expect(isAdmitted(entry("1001")))
        #expect(isAdmitted(entry("1002")))
        #expect(limit.nextReport == nil)
        #expect(!isAdmitted(entry("1001")))
        #expect(limit.nextReport == now + .seconds(30))
        #expect(isAdmitted(entry("1001", .debug)))
        #expect(isAdmitted(entry("1001", .debug)))
        #expect(reports(after: .seconds(29)) == [])
        #expect(
            reports(after: .seconds(30)) == [
                """
                left out 1 lines of one event, after 1 within 30 s; \
                the first was: Leading Raft group 1001
                """
            ]
        )
        #expect(isAdmitted(entry("1001"), after: .seconds(31)), "a new window")
    }

    @Test func `the barrier waits until what was sent is read`() throws {
        let fake = try #require(FakeSocket())
        #expect(!JournalBarrier.wait(socket: fake.path, timeout: .milliseconds(20)))
        #expect(fake.receive() == "")
        let done = WakeSignal()
        let path = fake.path
        NamedThread.start(name: "barrier") {
            if JournalBarrier.wait(socket: path, timeout: .seconds(30)) { done.signal() }
        }
        #expect(fake.receive() == "")
        #expect(done.wait(timeout: .seconds(30)))
    }

    @Test func `without a journal there is nothing to wait for`() {
        #expect(!JournalBarrier.wait(socket: "/absent/socket", timeout: .seconds(30)))
    }

    @Test func `the pipeline's level holds for loggers without one of their own`() {
        let pipeline = LogPipeline(sink: recorder, level: .warning)
        var own = logger(pipeline)
        own.logLevel = .debug
        let common = logger(pipeline)
        common.info("no")
        own.debug("own")
        pipeline.level = .info
        common.info("yes")
        #expect(pipeline.flush())
        #expect(recorder.entries.map(\.message) == ["own", "yes"])
    }

    @Test func `a huge message is cut`() {
        let entry = LogEntry(
            level: .info,
            message: String(repeating: "x", count: 100_000),
            label: "l"
        )
        #expect(entry.message.utf8.count == LogEntry.textBytesMax + 3)
    }

    @Test func `stderr is the journal only when device and inode agree`() throws {
        var status = stat()
        #expect(fstat(0, &status) == 0)
        #expect(JournalStream.matches("\(status.st_dev):\(status.st_ino)", descriptor: 0))
        #expect(!JournalStream.matches("\(status.st_dev):\(status.st_ino + 1)", descriptor: 0))
        #expect(!JournalStream.matches("x", descriptor: 0))
        #expect(!JournalStream.matches("1:2:3", descriptor: 0))
        #expect(!JournalStream.matches("1:2", descriptor: -1))
    }

    @Test(
        .enabled("needs a machine without journald, and root") {
            geteuid() == 0 && access("/run/systemd/journal", F_OK) != 0
        }
    ) func `the native protocol carries every field`() throws {
        mkdir("/run/systemd", 0o755)
        #expect(mkdir("/run/systemd/journal", 0o755) == 0)
        defer { rmdir("/run/systemd/journal") }
        let fake = try #require(FakeSocket(path: "/run/systemd/journal/socket"))
        JournalSink(identifier: "brokerd").write(
            LogEntry(
                level: .error,
                message: "two\nlines",
                metadata: ["message-id": "abc", "MARTLET_TOPIC": "t"],
                label: "l",
                file: "M/F.swift",
                function: "f()",
                line: 7
            )
        )
        let datagram = try #require(fake.receive())
        // A value with a newline is sent as name, newline, 64-bit length, bytes.
        #expect(datagram.contains("MESSAGE\n\u{9}\0\0\0\0\0\0\0two\nlines\n"))
        for field in [
            "PRIORITY=3", "SYSLOG_IDENTIFIER=brokerd", "CODE_FILE=M/F.swift", "CODE_LINE=7",
            "CODE_FUNC=f()", "MARTLET_LOGGER=l", "MARTLET_TOPIC=t", "MESSAGE_ID=abc",
        ] { #expect(datagram.contains("\(field)\n"), "\(field)") }
    }
}
