import Logging
import Synchronization

@testable import Daemon
@testable import Systemd

/// Writes down what happens, in order, and lets a test wait for it.
final class Recorder: ServiceNotifier, Sendable {
    private let lines = Mutex<[String]>([])
    private let stream: AsyncStream<Void>
    private let changed: AsyncStream<Void>.Continuation

    init() { (stream, changed) = AsyncStream.makeStream(of: Void.self) }

    var events: [String] { lines.withLock { $0 } }

    func note(_ text: String) {
        lines.withLock { $0.append(text) }
        changed.yield()
    }

    /// Messages to the manager; the monotonic time is left out, and so are pure status lines.
    func send(_ message: NotifyMessage) {
        let words = message.text.split(separator: "\n")
            .filter { !$0.hasPrefix("MONOTONIC_USEC=") }
        note(words.joined(separator: " "))
    }

    /// Waits for a line; the suite's time limit ends a wait in vain.
    func wait(for text: String) async {
        if events.contains(text) { return }
        for await _ in stream where events.contains(text) { return }
    }

    /// Without what comes at times of its own.
    var story: [String] {
        events.filter { !$0.hasPrefix("STATUS=") && $0 != "WATCHDOG=1" }
    }
}

/// Lines that are logged, as `level text`.
struct RecordingLogHandler: LogHandler {
    let recorder: Recorder
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.trace
    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }
    func log(event: LogEvent) { recorder.note("\(event.level): \(event.message)") }
}

extension Recorder {
    var logger: Logger { Logger(label: "test") { _ in RecordingLogHandler(recorder: self) } }

    func service(
        _ name: String,
        failsWith failure: (any Error)? = nil,
        run: (@Sendable () async throws -> Void)? = nil
    ) -> DaemonService {
        DaemonService(
            name,
            start: {
                if let failure { throw failure }
                self.note("\(name) started")
            },
            run: run,
            stop: { self.note("\(name) stopped") }
        )
    }

    func runner(_ services: [DaemonService]) -> DaemonRunner {
        var runner = DaemonRunner(name: "testd", services: services, logger: logger)
        runner.notifier = self
        runner.watchdog = nil
        runner.takesSignals = false
        return runner
    }
}
