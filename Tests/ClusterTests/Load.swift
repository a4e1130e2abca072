import ClusterHarness
import Glibc
import Testing

/// Idempotent writers that work while a test does harm, and the judgement of what they were told.
final class Load {
    private let cluster: TestCluster
    private let topic: String
    private let partitions: Int
    private let writers: [(process: ChildProcess, path: String)]
    private let logs: [WriterLog]

    /// Starts the writers and waits until each partition has acknowledged something to each.
    init(on cluster: TestCluster, topic: String, partitions: Int, writers: Int) async throws {
        self.cluster = cluster
        self.topic = topic
        self.partitions = partitions
        self.writers = try (1...writers).map { number in
            let path = "\(cluster.directory)/writer\(number).log"
            let process = try ChildProcess(
                Places.python,
                [
                    script("keep_writing.py"), cluster.bootstrap, topic, "\(partitions)",
                    "writer\(number)", path, "200",
                ],
                environment: commandEnvironment(),
                output: "\(cluster.directory)/writer\(number).out",
                errors: "\(cluster.directory)/writer\(number).out"
            )
            return (process, path)
        }
        logs = self.writers.map { WriterLog(path: $0.path) }
        _ = try await untilWritten(after: monotonicMilliseconds())
    }

    /// Waits until every partition has acknowledged a message that each writer sent after `time`.
    ///
    /// Returns how many milliseconds after `time` the last of these answers came.
    func untilWritten(
        after time: Int64,
        within patience: Duration = .seconds(30)
    ) async throws -> Int64 {
        try await eventually("every partition acknowledges again", within: patience) {
            var last: Int64 = 0
            for (writer, log) in zip(writers, logs) {
                if let exit = writer.process.poll() {
                    throw HarnessError("a writer ended: \(exit)")
                }
                let first = log.firstAnswers(toSentAfter: time)
                guard first.count == partitions else { return nil }
                last = max(last, first.values.max() ?? 0)
            }
            return last - time
        }
    }

    /// How long the slowest of the messages waited that were sent after `time`; milliseconds.
    func longestWait(after time: Int64) -> Int64 {
        var longest: Int64 = 0
        for log in logs {
            log.read()
            for message in log.acknowledged.reversed() {
                guard message.answered > time else { break }
                if message.sent >= time { longest = max(longest, message.answered - message.sent) }
            }
        }
        return longest
    }

    /// How many messages were acknowledged so far.
    var acknowledged: Int {
        for log in logs { log.read() }
        return logs.reduce(0) { $0 + $1.acknowledged.count }
    }

    /// Stops the writers, reads everything back and compares.
    func endAndCheck() async throws -> String {
        for writer in writers { writer.process.send(SIGTERM) }
        for writer in writers {
            let exit = try await writer.process.waitForExit(within: .seconds(130))
            try #require(exit == .status(0), "a writer was left without answers")
        }
        let read = "\(cluster.directory)/read.txt"
        let reading = try await cluster.script(
            script("read_back.py"),
            [cluster.bootstrap, topic, "\(partitions)", read]
        )
        try #require(reading.isSuccess, "\(reading.report)")
        let check = try await cluster.script(
            script("check_history.py"),
            [read] + writers.map(\.path)
        )
        try #require(check.isSuccess, "\(check.report)")
        return check.output
    }
}
