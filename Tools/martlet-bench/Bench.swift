import ArgumentParser
import KafkaClient
import KafkaProtocol
import Model
import NIOCore
import ToolSupport

@main
struct Bench: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet bench",
        abstract: "Measures throughput and latency of a cluster.",
        discussion: """
            Sends records for --duration seconds, keeping --in-flight batches unanswered, and then \
            reads them back. A batch size of 1 sends every record alone. --suite runs the three \
            loads that README's figures come from: single records, full batches, and one record \
            at a time.
            """
    )

    @OptionGroup(title: "Load") var load: LoadOptions

    @Option(help: "What to measure: produce, consume or both.")
    var mode: BenchMode = .both

    @Flag(help: "Run the three loads of README's figures, one after the other.")
    var suite = false

    @Option(help: "The topic; created if absent.")
    var topic = "martlet-bench"

    @Option(help: "Partitions of a topic that is created.")
    var partitions: Int32 = 3

    @Option(help: "Copies of a topic that is created; the cluster's default if not given.")
    var replicationFactor: Int16 = -1

    @Flag(help: "Delete the topic at the end if this run created it.")
    var clean = false

    @Option(
        help: ArgumentHelp(
            "Also measure the disk below this folder, without any cluster.",
            valueName: "folder"
        )
    )
    var disk: String?

    @Option(
        help: ArgumentHelp(
            "Also report the processor time of this process; once for each daemon.",
            valueName: "pid"
        )
    )
    var pid: [Int32] = []

    @Flag(help: "Print one JSON object instead of a table.")
    var json = false

    @OptionGroup(title: "Cluster") var cluster: ClusterOptions

    static func main() async { await start() }

    func validate() throws {
        guard TopicName(topic) != nil else {
            throw ValidationError("'\(topic)' is no topic name")
        }
        guard partitions >= 1 else { throw ValidationError("--partitions must be at least 1") }
        for pid in pid where ProcessorTime.of(pid) == nil {
            throw ValidationError("there is no process \(pid)")
        }
    }

    func perform() async throws {
        var results: [BenchResult] = []
        if let disk { results.append(.disk(try DiskFloor.measure(folder: disk))) }
        try await cluster.withClient("martlet-bench") { client in
            for (title, options) in suite ? load.suite : [("load", load)] {
                results += try await measure(title, options, client)
            }
        }
        print(json ? Report.json(results) : Report.text(results), terminator: "")
    }

    /// One load, in both directions if both are wanted.
    ///
    /// With `--clean` its topic is deleted at once: the next load may need the room.
    private func measure(
        _ title: String,
        _ options: LoadOptions,
        _ client: ClusterClient
    ) async throws -> [BenchResult] {
        var results: [BenchResult] = []
        let (names, isNew) = try await findTopic(client)
        let starts = mode == .consume ? nil : try await ends(names, client)
        if mode != .consume {
            let run = ProduceLoad(title: title, options: options, partitions: names)
            let before = ProcessorTime.of(pid)
            var figures = try await run.run(client)
            figures.daemonCPUSeconds = ProcessorTime.of(pid) - before
            results.append(.produce(title, options, figures))
        }
        if mode != .produce {
            let run = ConsumeLoad(title: title, seconds: options.duration)
            results.append(.consume(title, try await run.run(client, names, from: starts)))
        }
        if clean, isNew { _ = try await client.delete(topics: [topic]) }
        return results
    }

    /// The topic's partitions, and whether it was made just now.
    private func findTopic(_ client: ClusterClient) async throws -> ([PartitionName], Bool) {
        var isNew = false
        if mode != .consume {
            let new = NewTopic(
                name: topic,
                partitions: partitions,
                replicationFactor: replicationFactor
            )
            let outcome = try await client.create(topics: [new]).first
            switch outcome?.error {
            case nil: isNew = true
            case .refused(.topicAlreadyExists, _)?: break
            case let error?: throw error
            }
        }
        for _ in 0..<200 {
            let topic = try await client.describe(topics: [topic]).topics.first
            if let topic, topic.error == nil, !topic.partitions.isEmpty,
                topic.partitions.allSatisfy({ $0.leader >= 0 })
            {
                return (topic.partitions.map { PartitionName(topic.name, $0.id) }, isNew)
            }
            if topic?.error == .unknownTopicOrPartition, !isNew {
                throw KafkaClientError.unknownTopic(self.topic)
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        throw ToolFailure(
            .unreachable,
            "topic '\(topic)' has partitions without a leader",
            advice: "`martlet cluster status` shows which."
        )
    }

    /// Where reading begins: behind what is there already.
    private func ends(
        _ names: [PartitionName],
        _ client: ClusterClient
    ) async throws -> [PartitionName: Int64] {
        var ends: [PartitionName: Int64] = [:]
        for name in names { ends[name] = try await client.offset(of: name, at: .latest) }
        return ends
    }
}

/// `--mode`.
enum BenchMode: String, ExpressibleByArgument, CaseIterable {
    case produce
    case consume
    case both
}

/// What is sent, and how.
struct LoadOptions: ParsableArguments {
    @Option(name: .shortAndLong, help: "How long each measurement takes, in seconds.")
    var duration: Double = 10

    @Option(help: "Stop after so many records, even if time is left.")
    var records: Int?

    @Option(help: ArgumentHelp("The size of a record's value.", valueName: "bytes"))
    var recordSize = 1024

    @Option(help: ArgumentHelp("The size of a batch; 1: records alone.", valueName: "bytes"))
    var batchSize = 64 << 10

    @Option(help: "Batches that are sent and not yet answered, in all.")
    var inFlight = 16

    @Option(help: "Records per second at most; no limit if not given.")
    var rate: Int?

    @Option(help: "When a record counts as written: all, leader or none.")
    var acks: AcksArgument = .all

    @Option(help: "none, gzip, snappy, lz4 or zstd.")
    var compression: CodecArgument = .none

    @Flag(
        inversion: .prefixedNo,
        help: "Idempotence: at most 5 batches in flight for each partition."
    )
    var idempotence = false

    func validate() throws {
        guard duration > 0, duration <= 86_400 else {
            throw ValidationError("--duration must be more than 0 and at most 86400 seconds")
        }
        guard (1...1_000_000).contains(recordSize) else {
            throw ValidationError("--record-size must be 1 to 1000000")
        }
        guard (1...16 << 20).contains(batchSize) else {
            throw ValidationError("--batch-size must be 1 to 16777216")
        }
        guard (1...100_000).contains(inFlight) else {
            throw ValidationError("--in-flight must be 1 to 100000")
        }
        guard records ?? 1 > 0, rate ?? 1 > 0 else {
            throw ValidationError("--records and --rate must be at least 1")
        }
    }

    /// The three loads of the project's figures; duration and acks as given.
    var suite: [(String, LoadOptions)] {
        var single = self
        single.recordSize = 1024
        single.batchSize = 1
        single.inFlight = 512
        var batches = self
        batches.recordSize = 1024
        batches.batchSize = 64 << 10
        batches.inFlight = 32
        var alone = single
        alone.inFlight = 1
        return [
            ("(a) 1 KiB, one per request, 512 in flight", single),
            ("(b) 1 KiB in 64 KiB batches, 32 in flight", batches),
            ("(c) 1 KiB, one in flight", alone),
        ]
    }
}
