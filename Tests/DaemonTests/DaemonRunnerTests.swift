import Glibc
import Synchronization
import Testing

@testable import Daemon
@testable import Systemd

@Suite(.timeLimit(.minutes(1))) struct DaemonRunnerTests {
    private let recorder = Recorder()

    @Test func `services start top to bottom and stop bottom to top around READY and STOPPING`()
        async
    {
        var runner = recorder.runner([
            recorder.service("log"), recorder.service("groups"), recorder.service("listener"),
        ])
        runner.introduction = "broker 7"
        runner.status = { "serving: 3 partitions" }
        let work = Task { [runner] in await runner.run() }
        await recorder.wait(for: "notice: testd is ready: broker 7")
        runner.control.stop(reason: "SIGTERM")
        #expect(await work.value == .success)
        #expect(
            recorder.story == [
                "log started", "groups started", "listener started",
                "READY=1 STATUS=serving: 3 partitions", "notice: testd is ready: broker 7",
                "notice: testd stops: SIGTERM", "STOPPING=1 STATUS=stopping",
                "listener stopped", "groups stopped", "log stopped",
                "notice: testd has stopped",
            ]
        )
        #expect(recorder.events.contains("STATUS=starting: groups"))
        #expect(recorder.events.contains("STATUS=stopping: groups"))
    }

    @Test func `a start that fails stops what had started and gives the error's status`() async {
        struct DiskBroken: Error, CustomStringConvertible { let description = "disk broken" }
        var runner = recorder.runner([
            recorder.service("log"), recorder.service("groups", failsWith: DiskBroken()),
            recorder.service("listener"),
        ])
        runner.exitStatus = { $0 is DiskBroken ? .storage : .failure }
        #expect(await runner.run() == .storage)
        let story = recorder.story
        #expect(!story.contains("listener started"))
        #expect(!story.contains("listener stopped"))
        #expect(!story.contains { $0.hasPrefix("READY=1") })
        #expect(story.contains("critical: testd ends with status 74: disk broken"))
        #expect(story.contains("log stopped"))
    }

    @Test func `a service that fails later ends the daemon with its status`() async {
        let runner = recorder.runner([
            recorder.service("log"),
            recorder.service("raft") {
                throw DaemonFailure(status: .software, reason: "invariant")
            },
        ])
        #expect(await runner.run() == .software)
        #expect(recorder.story.contains("critical: testd ends with status 70: invariant"))
        #expect(recorder.story.contains("raft stopped"))
        #expect(recorder.story.contains("log stopped"))
    }

    @Test func `a service that ends by itself ends the daemon`() async {
        let runner = recorder.runner([recorder.service("raft") {}])
        #expect(await runner.run() == .software)
        #expect(
            recorder.story.contains("critical: testd ends with status 70: raft ended by itself")
        )
    }

    @Test func `a failure from anywhere wins over a later stop and names its reason`() async {
        let runner = recorder.runner([recorder.service("log")])
        let work = Task { [runner] in await runner.run() }
        await recorder.wait(for: "notice: testd is ready")
        runner.control.fail(.storage, reason: "fdatasync: Input/output error")
        runner.control.fail(.software, reason: "second")
        runner.control.stop(reason: "SIGTERM")
        #expect(await work.value == .storage)
        #expect(
            recorder.story.contains(
                "critical: testd ends with status 74: fdatasync: Input/output error"
            )
        )
        #expect(!recorder.story.contains { $0.contains("second") })
    }

    @Test func `a stop during the start never reports READY`() async {
        let (gate, open) = AsyncStream.makeStream(of: Void.self)
        let recorder = recorder
        let runner = recorder.runner([
            DaemonService(
                "replay",
                start: {
                    recorder.note("replay begun")
                    for await _ in gate { return }
                    try Task.checkCancellation()
                },
                stop: { recorder.note("replay stopped") }
            ),
            recorder.service("listener"),
        ])
        let work = Task { [runner] in await runner.run() }
        await recorder.wait(for: "replay begun")
        runner.control.stop(reason: "SIGTERM")
        #expect(await work.value == .success)
        open.finish()
        #expect(!recorder.story.contains { $0.hasPrefix("READY=1") })
        #expect(!recorder.story.contains("listener started"))
        #expect(recorder.story.contains("replay stopped"))
        #expect(recorder.story.contains("STOPPING=1 STATUS=stopping"))
    }

    @Test func `a service that never stops does not keep the daemon`() async {
        let recorder = recorder
        var runner = recorder.runner([
            DaemonService(
                "stuck",
                start: {},
                stop: {
                    while true { try? await Task.sleep(for: .seconds(3600)) }
                }
            )
        ])
        runner.stopTimeout = .milliseconds(50)
        let work = Task { [runner] in await runner.run() }
        await recorder.wait(for: "notice: testd is ready")
        runner.control.stop(reason: "SIGTERM")
        #expect(await work.value == .failure)
        #expect(recorder.story.contains("error: testd did not stop in time and ends as it is"))
    }

    /// A daemon that waits before it stops, until `obstacle` is nil.
    private func waiting(_ obstacle: Obstacle) -> DaemonRunner {
        var runner = recorder.runner([recorder.service("log")])
        runner.stopWait = .seconds(3600)
        runner.stopObstacle = { obstacle.text.withLock { $0 } }
        runner.isSystemStopping = { false }
        return runner
    }

    private final class Obstacle: Sendable {
        let text = Mutex<String?>("broker 2 is away")
        let isSystemStopping = Mutex(false)
    }

    private static let waits = "STATUS=waits to stop: broker 2 is away"

    @Test func `a stop waits while others need this daemon, says so, and then goes on`() async {
        let obstacle = Obstacle()
        let runner = waiting(obstacle)
        let work = Task { [runner] in await runner.run() }
        await recorder.wait(for: "notice: testd is ready")
        runner.control.stop(reason: "SIGTERM")
        await recorder.wait(for: Self.waits)
        #expect(
            recorder.story.contains("warning: testd waits before it stops: broker 2 is away")
        )
        #expect(!recorder.story.contains("log stopped"))
        #expect(!recorder.story.contains("STOPPING=1 STATUS=stopping"))
        obstacle.text.withLock { $0 = nil }
        #expect(await work.value == .success)
        #expect(recorder.story.contains("log stopped"))
        #expect(!recorder.story.contains { $0.contains("waits no longer") })
    }

    @Test func `who asks a second time does not wait`() async {
        let runner = waiting(Obstacle())
        let work = Task { [runner] in await runner.run() }
        await recorder.wait(for: "notice: testd is ready")
        runner.control.stop(reason: "SIGTERM")
        await recorder.wait(for: Self.waits)
        runner.control.stop(reason: "SIGTERM")
        #expect(await work.value == .success)
        #expect(
            recorder.story.contains("warning: testd waits no longer: it was asked again")
        )
    }

    @Test func `a wait ends with its time`() async {
        var runner = waiting(Obstacle())
        runner.stopWait = .milliseconds(1)
        let work = Task { [runner] in await runner.run() }
        await recorder.wait(for: "notice: testd is ready")
        runner.control.stop(reason: "SIGTERM")
        #expect(await work.value == .success)
        #expect(recorder.story.contains("warning: testd waits no longer: its time is over"))
    }

    @Test func `a system that shuts down waits for nobody, also when it begins later`() async {
        let obstacle = Obstacle()
        var runner = waiting(obstacle)
        runner.isSystemStopping = { obstacle.isSystemStopping.withLock { $0 } }
        let work = Task { [runner] in await runner.run() }
        await recorder.wait(for: "notice: testd is ready")
        runner.control.stop(reason: "SIGTERM")
        await recorder.wait(for: Self.waits)
        obstacle.isSystemStopping.withLock { $0 = true }
        #expect(await work.value == .success)
    }

    @Test func `what fails meanwhile ends the wait`() async {
        let runner = waiting(Obstacle())
        let work = Task { [runner] in await runner.run() }
        await recorder.wait(for: "notice: testd is ready")
        runner.control.stop(reason: "SIGTERM")
        await recorder.wait(for: Self.waits)
        runner.control.fail(.storage, reason: "disk broken")
        #expect(await work.value == .storage)
    }

    @Test func `time is asked for while a daemon waits to stop, and its parts are watched`() {
        let progress = ProgressRegistry()
        let ticks = progress.ticking("event loop")
        let supervisor = Supervisor(
            notifier: recorder,
            progress: progress,
            status: { "serving" },
            watchdog: .seconds(1),
            logger: recorder.logger
        )
        supervisor.enter(.waitingToStop("broker 2 is away"))
        ticks.advance()
        supervisor.look()
        #expect(recorder.events.contains("EXTEND_TIMEOUT_USEC=30000000"))
        #expect(recorder.events.contains("WATCHDOG=1"))
        let fed = recorder.events.count { $0 == "WATCHDOG=1" }
        supervisor.look(now: .now + .seconds(3600))
        #expect(recorder.events.count { $0 == "WATCHDOG=1" } == fed)
    }

    @Test func `a reload says RELOADING and READY`() async {
        var runner = recorder.runner([recorder.service("log")])
        runner.reload = { "log_level" }
        let work = Task { [runner] in await runner.run() }
        await recorder.wait(for: "notice: testd is ready")
        runner.control.reload()
        await recorder.wait(for: "notice: settings reloaded: log_level")
        runner.control.stop(reason: "SIGTERM")
        #expect(await work.value == .success)
        let story = recorder.story
        let reloading = story.firstIndex(of: "RELOADING=1") ?? -1
        let ready = story.lastIndex(of: "READY=1 STATUS=serving") ?? -1
        #expect(reloading >= 0)
        #expect(ready > reloading)
    }

    @Test func `a refused reload is READY again and says so in the status`() async {
        struct Bad: Error, CustomStringConvertible { let description = "b.yaml:3: unknown key" }
        var runner = recorder.runner([recorder.service("log")])
        runner.reload = { throw Bad() }
        let work = Task { [runner] in await runner.run() }
        await recorder.wait(for: "notice: testd is ready")
        runner.control.reload()
        await recorder.wait(
            for: "READY=1 STATUS=serving; settings refused: b.yaml:3: unknown key"
        )
        runner.control.stop(reason: "SIGTERM")
        #expect(await work.value == .success)
        #expect(
            recorder.story.contains("error: settings refused: b.yaml:3: unknown key")
        )
    }

    @Test func `SIGHUP reloads and SIGTERM stops`() async {
        var runner = recorder.runner([recorder.service("log")])
        runner.takesSignals = true
        runner.reload = { "x" }
        let work = Task { [runner] in await runner.run() }
        await recorder.wait(for: "notice: testd is ready")
        kill(getpid(), SIGHUP)
        await recorder.wait(for: "notice: settings reloaded: x")
        kill(getpid(), SIGTERM)
        #expect(await work.value == .success)
        #expect(recorder.story.contains("notice: testd stops: SIGTERM"))
    }
}
