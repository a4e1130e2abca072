import Synchronization
import Testing

@testable import Daemon
@testable import Systemd

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
        #expect(
            recorder.events == [
                "WATCHDOG=1", "STATUS=serving",
                "error: no progress: loop; the watchdog is not fed",
                "STATUS=serving; no progress: loop",
                "WATCHDOG=1", "STATUS=serving",
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

    @Test func `after READY the status is looked at sooner for a while`() {
        let supervisor = Supervisor(
            notifier: Recorder(),
            progress: registry,
            status: { "" },
            watchdog: .seconds(8),
            logger: Recorder().logger
        )
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
