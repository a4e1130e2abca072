import Glibc
import Synchronization
import Testing

@testable import Daemon
@testable import Systemd
@testable import Telemetry

@Suite struct ProgressTests {
    private let registry = ProgressRegistry()
    private let start = ContinuousClock.now

    @Test func `a loop that ticks is alive, and one that stops is stalled after its patience`() {
        let loop = registry.ticking("loop", patience: .seconds(3))
        loop.advance()
        #expect(registry.look(now: start) == .init(stalled: [], hasAdvanced: true))
        #expect(registry.look(now: start + .seconds(2)) == .init(stalled: [], hasAdvanced: false))
        #expect(registry.look(now: start + .seconds(4)).stalled == ["loop"])
        loop.advance()
        #expect(registry.look(now: start + .seconds(5)) == .init(stalled: [], hasAdvanced: true))
    }

    @Test func `a writer without work is idle for as long as it likes`() {
        let writer = registry.working("writer", patience: .seconds(20))
        writer.begin()
        writer.end()
        #expect(registry.look(now: start).hasAdvanced)
        #expect(registry.look(now: start + .seconds(3600)).stalled == [])
    }

    @Test func `a slow sync is not a hang until its patience is over`() {
        let writer = registry.working("writer", patience: .seconds(20))
        #expect(registry.look(now: start).stalled == [])
        writer.begin()
        #expect(registry.look(now: start + .seconds(19)).stalled == [])
        #expect(registry.look(now: start + .seconds(21)).stalled == ["writer"])
        writer.end()
        #expect(registry.look(now: start + .seconds(22)).stalled == [])
    }

    @Test func `a thread that hangs leaves its probe unanswered`() {
        let jobs = Mutex<[@Sendable () -> Void]>([])
        let probe = registry.probing("writer", patience: .seconds(20)) { job in
            jobs.withLock { $0.append(job) }
        }
        probe()
        probe()
        #expect(jobs.withLock { $0.count } == 1, "one probe at a time")
        #expect(registry.look(now: start).stalled == [])
        #expect(registry.look(now: start + .seconds(21)).stalled == ["writer"])
        jobs.withLock { $0.removeFirst() }()
        #expect(registry.look(now: start + .seconds(22)) == .init(stalled: [], hasAdvanced: true))
        probe()
        #expect(jobs.withLock { $0.count } == 1)
    }

    @Test func `the supervisor feeds the watchdog only while all parts advance`() {
        let recorder = Recorder()
        let loop = registry.ticking("loop", patience: .zero)
        let supervisor = Supervisor(
            notifier: recorder,
            progress: registry,
            status: { "serving" },
            watchdog: .seconds(8),
            logger: recorder.logger
        )
        #expect(supervisor.interval == .seconds(1))
        supervisor.enter(.serving)
        loop.advance()
        supervisor.look(now: start + .seconds(1))
        supervisor.look(now: start + .seconds(2))
        supervisor.look(now: start + .seconds(3))
        loop.advance()
        supervisor.look(now: start + .seconds(4))
        // Of the report the first line: the others are not this test's.
        let events = recorder.events.map { $0.split(separator: "\n").first.map(String.init) ?? "" }
        #expect(
            events == [
                "WATCHDOG=1", "STATUS=serving",
                "error: no progress: loop for 1 s; the watchdog is not fed",
                "STATUS=serving; no progress: loop",
                "WATCHDOG=1", "notice: progress again: loop; the watchdog is fed",
                "STATUS=serving",
            ]
        )
    }

    @Test func `a start that makes progress asks for more time`() {
        let recorder = Recorder()
        let replay = registry.working("replay")
        let supervisor = Supervisor(
            notifier: recorder,
            progress: registry,
            status: { "serving" },
            watchdog: nil,
            logger: recorder.logger
        )
        supervisor.enter(.starting("log recovery"))
        replay.advance()
        supervisor.look()
        supervisor.look()
        #expect(
            recorder.events == [
                "STATUS=starting: log recovery", "EXTEND_TIMEOUT_USEC=30000000", "WATCHDOG=1",
                "WATCHDOG=1",
            ]
        )
    }

    @Test func `a start says how far it is, and asks for time with each step`() {
        let recorder = Recorder()
        let supervisor = Supervisor(
            notifier: recorder,
            progress: registry,
            status: { "serving" },
            watchdog: nil,
            logger: recorder.logger
        )
        supervisor.enter(.starting("log recovery"))
        registry.step("read 4 of 64 MiB")
        supervisor.look()
        supervisor.look()
        registry.step("read 8 of 64 MiB")
        supervisor.look()
        supervisor.enter(.starting("peer listener"))
        #expect(
            recorder.events.filter { $0 != "WATCHDOG=1" } == [
                "STATUS=starting: log recovery", "EXTEND_TIMEOUT_USEC=30000000",
                "STATUS=starting: log recovery: read 4 of 64 MiB", "EXTEND_TIMEOUT_USEC=30000000",
                "STATUS=starting: log recovery: read 8 of 64 MiB", "STATUS=starting: peer listener",
            ]
        )
    }

    @Test func `the report of a stall says what every part and thread does`() throws {
        let metrics = MetricsRegistry()
        metrics.gauge(.walQueueDepth).set(3)
        let loop = registry.ticking("event loop", patience: .seconds(3))
        let writer = registry.working("WAL writer")
        loop.advance()
        writer.begin()
        #expect(registry.look(now: start) == .init(stalled: [], hasAdvanced: true))
        #expect(registry.look(now: start + .seconds(4)).stalled == ["event loop"])
        writer.end()
        let report = StallReport(
            stalled: ["event loop"],
            progress: registry,
            threads: [
                ThreadState(id: 7, name: "wal", state: "D", waitsIn: "folio_wait_bit", call: 75)
            ],
            metrics: metrics,
            now: start + .seconds(4)
        )
        #expect(
            report.text == """
                no progress: event loop for 4 s; the watchdog is not fed
                  event loop: nothing for 4 s, 1 done since the start
                  WAL writer: goes on or is idle, 1 done since the start
                  thread 7 wal: D in folio_wait_bit, system call 75
                  wal_queue_depth 3
                """
        )
    }

    @Test func `the kernel tells of every thread what it does`() throws {
        let (held, holding) = (WakeSignal(), WakeSignal())
        NamedThread.start(name: "held (one)") {
            holding.signal()
            held.wait()
        }
        holding.wait()
        defer { held.signal() }
        let threads = ThreadState.all()
        #expect(threads.contains { $0.id == getpid() })
        let thread = try #require(threads.first { $0.name == "held (one)" })
        #expect("RS".contains(thread.state))
        #expect(ThreadState.all("/absent") == [])
    }

    @Test func `a task pool that does not turn is found`() {
        let recorder = Recorder()
        let jobs = Mutex<[@Sendable () -> Void]>([])
        let supervisor = Supervisor(
            notifier: recorder,
            progress: registry,
            status: { "serving" },
            watchdog: .seconds(8),
            probe: registry.probing("task pool", patience: .seconds(20)) { job in
                jobs.withLock { $0.append(job) }
            },
            logger: recorder.logger
        )
        supervisor.enter(.starting("log recovery"))
        supervisor.look(now: start)
        #expect(jobs.withLock { $0.isEmpty }, "a start is watched by its own time limit")
        supervisor.enter(.serving)
        supervisor.look(now: start + .seconds(1))
        #expect(jobs.withLock { $0.count } == 1)
        supervisor.look(now: start + .seconds(30))
        let first = recorder.events.first { $0.hasPrefix("error: ") }?.split(separator: "\n").first
        #expect(first == "error: no progress: task pool for 29 s; the watchdog is not fed")
    }

    @Test func `after READY the status is looked at sooner for a while`() {
        let supervisor = Supervisor(
            notifier: Recorder(),
            progress: registry,
            status: { "" },
            watchdog: .seconds(8),
            logger: Recorder().logger
        )
        #expect(supervisor.nextWait() == .milliseconds(200), "a start may have little time")
        supervisor.enter(.serving)
        #expect(supervisor.nextWait() == .seconds(1))
        supervisor.ready()
        let waits = (0..<12).map { _ in supervisor.nextWait() }
        #expect(waits.prefix(10).allSatisfy { $0 == .milliseconds(200) })
        #expect(waits.suffix(2).allSatisfy { $0 == .seconds(1) })
    }

    @Test func `a short watchdog is looked after four times as often`() {
        let supervisor = Supervisor(
            notifier: Recorder(),
            progress: registry,
            status: { "" },
            watchdog: .seconds(2),
            logger: Recorder().logger
        )
        #expect(supervisor.interval == .milliseconds(500))
    }
}
