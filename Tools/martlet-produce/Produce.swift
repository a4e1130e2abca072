import ArgumentParser
import Compression
import Glibc
import KafkaClient
import Model
import NIOCore
import RecordBatch
import Synchronization
import ToolSupport

@main
struct Produce: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet produce",
        abstract: "Sends the lines of its input as records.",
        usage: "martlet produce <topic> [<option> ...]",
        discussion: """
            Each line becomes a record. It ends when the input does and every record was \
            acknowledged; when records were lost, it says which lines and exits with 1.
            """
    )

    @Argument(help: "The topic.")
    var topic: String

    @Option(help: "The partition; without it the key decides, or all take turns.")
    var partition: Int32?

    @Option(help: ArgumentHelp("What ends the key in each line.", valueName: "text"))
    var keySeparator: String?

    @Option(help: ArgumentHelp("A header of every record; repeatable.", valueName: "name=value"))
    var header: [String] = []

    @Option(help: "When a record counts as written: all, leader or none.")
    var acks: AcksArgument = .all

    @Option(help: "none, gzip, snappy, lz4 or zstd.")
    var compression: CodecArgument = .none

    @Option(help: ArgumentHelp("The size of a full batch.", valueName: "bytes"))
    var batchSize = 64 << 10

    @Flag(inversion: .prefixedNo, help: "Let brokers recognise what is sent twice.")
    var idempotence = true

    @Flag(name: .shortAndLong, help: "Say nothing when all went well.")
    var quiet = false

    @OptionGroup var cluster: ClusterOptions

    static func main() async { await start() }

    func validate() throws {
        guard TopicName(topic) != nil else {
            throw ValidationError("'\(topic)' is no topic name")
        }
        guard batchSize >= 1, batchSize <= 16 << 20 else {
            throw ValidationError("--batch-size must be 1 to 16777216")
        }
        guard keySeparator?.isEmpty != true else {
            throw ValidationError("--key-separator must not be empty")
        }
        for text in header where !text.dropFirst().contains("=") {
            throw ValidationError("--header takes NAME=VALUE, not '\(text)'")
        }
    }

    func perform() async throws {
        let losses = Losses()
        let written = try await cluster.withClient("martlet-produce") { client in
            let count = try await client.describe(topic: topic).partitions.count
            if let partition, partition < 0 || partition >= Int32(count) {
                throw KafkaClientError.unknownPartition(topic: topic, partition: partition)
            }
            var options = ProducerOptions()
            options.acks = acks.value
            options.isIdempotent = idempotence
            options.codec = compression.value
            options.batchBytesMax = batchSize
            options.linger = .milliseconds(5)
            options.deliveryTimeout = client.options.deadline
            let producer = await Producer(client, options: options) { losses.take($1) }
            var source = LineSource(makeRecord: recordMaker(partitions: Int32(count)))
            while let records = source.next() { try await producer.send(records) }
            await producer.flush()
            await producer.close()
            return source.lineNumber
        }
        try losses.throwIfAny(of: written)
        if !quiet { Terminal.say("\(Words.count(written, "record")) written to '\(topic)'") }
    }

    /// Turns lines into records.
    private func recordMaker(partitions: Int32) -> LineSource.Maker {
        let separator = keySeparator.map { Array($0.utf8) }
        let headers = header.map { text in
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            return Record.Header(key: Array(parts[0].utf8), value: Array(parts[1].utf8))
        }
        var spread = Spread(partitions: partitions, batchSize: batchSize)
        return { line, number in
            var key: [UInt8]?
            var value = line
            if let separator, let end = find(separator, in: line) {
                key = Array(line[line.startIndex..<end])
                value = line[(end + separator.count)...]
            }
            let place =
                partition
                ?? key.map { KeyPartitioner.partition(forKey: $0, of: partitions) }
                ?? spread.next(value.count)
            return OutgoingRecord(
                partition: PartitionName(topic, place),
                key: key,
                value: Array(value),
                headers: headers,
                timestamp: Terminal.wallClockMilliseconds,
                tag: UInt64(number)
            )
        }
    }
}

/// Where `pattern` begins in a line.
private func find(_ pattern: [UInt8], in line: ArraySlice<UInt8>) -> Int? {
    guard line.count >= pattern.count else { return nil }
    for start in line.startIndex...(line.endIndex - pattern.count)
    where line[start..<start + pattern.count].elementsEqual(pattern) {
        return start
    }
    return nil
}

/// Fills a batch of one partition before it goes on to the next.
private struct Spread {
    let partitions: Int32
    let batchSize: Int
    private var current: Int32 = 0
    private var bytes = 0

    init(partitions: Int32, batchSize: Int) {
        self.partitions = partitions
        self.batchSize = batchSize
    }

    mutating func next(_ size: Int) -> Int32 {
        if bytes >= batchSize {
            current = (current + 1) % partitions
            bytes = 0
        }
        // What a record takes beside its value.
        bytes += size + 10
        return current
    }
}

/// The records that were not written.
private final class Losses: Sendable {
    private struct State {
        var count = 0
        var lines: [UInt64] = []
        var first: KafkaClientError?
        var mayExist = false
    }

    private let state = Mutex(State())

    func take(_ report: DeliveryReport) {
        guard let error = report.error else { return }
        state.withLock {
            $0.count += report.tags.count
            $0.lines = Array(($0.lines + report.tags).prefix(10))
            $0.first = $0.first ?? error
            $0.mayExist = $0.mayExist || report.mayExist
        }
    }

    /// Explains the losses, if there are any.
    func throwIfAny(of total: Int) throws {
        let state = state.withLock { $0 }
        guard let first = state.first else { return }
        let lines = state.lines.sorted().map(String.init).joined(separator: ", ")
        let more = state.count > state.lines.count ? ", ..." : ""
        let advice =
            state.mayExist
            ? "Some of them may have been written all the same: look before sending them again."
            : "None of them was written: send these lines again once the cause is gone."
        throw ToolFailure(
            first.isUnreachable ? .unreachable : .refused,
            "\(Words.count(state.count, "record")) of \(Words.grouped(total)) not written "
                + "(line \(lines)\(more)): \(first)",
            advice: advice
        )
    }
}
