import KafkaClient
import NIOCore
import Synchronization
import ToolSupport

/// What a producing load measured.
struct ProduceFigures: Sendable {
    var records = 0
    var bytes = 0
    var failed = 0
    var firstError: KafkaClientError?
    var seconds = 0.0
    var clientCPUSeconds = 0.0
    /// Of all daemons that were named; 0 if none was.
    var daemonCPUSeconds = 0.0
    var latency = LatencyHistogram()
}

/// Keeps a number of batches in flight for some time.
///
/// The records are made on the client's event loop, from the handler of each report: no thread
/// has to be woken for a record.
final class ProduceLoad: Sendable {
    private let title: String
    private let options: LoadOptions
    private let partitions: [PartitionName]
    private let shared = Mutex(ProduceFigures())

    init(title: String, options: LoadOptions, partitions: [PartitionName]) {
        self.title = title
        self.options = options
        self.partitions = partitions
    }

    func run(_ client: ClusterClient) async throws -> ProduceFigures {
        var settings = ProducerOptions()
        settings.acks = options.acks.value
        settings.isIdempotent = options.idempotence
        settings.codec = options.compression.value
        settings.batchBytesMax = options.batchSize
        settings.inFlightPerPartitionMax = options.idempotence ? 5 : options.inFlight
        settings.bufferedBytesMax = 1 << 30
        settings.linger = options.rate == nil ? .zero : .milliseconds(1)
        let source = NIOLoopBoundSource(options: options, partitions: partitions)
        let producer = await Producer(client, options: settings) { [self] producer, report in
            take(report)
            source.fill(producer)
        }
        let start = NIODeadline.now()
        let cpu = ProcessorTime.now()
        producer.onLoop { source.start($0) }
        let progress = Progress(title: title, seconds: options.duration)
        while source.isRunning {
            try await Task.sleep(for: .milliseconds(100))
            let soFar = shared.withLock { ($0.bytes, $0.records, $0.firstError) }
            let seconds = Double((NIODeadline.now() - start).nanoseconds) / 1e9
            progress.show(seconds: seconds, bytes: soFar.0, records: soFar.1)
            if soFar.2 != nil || seconds >= options.duration { source.stop() }
        }
        await producer.flush()
        progress.clear()
        var figures = shared.withLock { $0 }
        figures.seconds = Double((NIODeadline.now() - start).nanoseconds) / 1e9
        figures.clientCPUSeconds = ProcessorTime.now() - cpu
        await producer.close()
        if figures.records == 0, let error = figures.firstError { throw error }
        return figures
    }

    private func take(_ report: DeliveryReport) {
        let now = NIODeadline.now().uptimeNanoseconds
        shared.withLock { figures in
            guard report.error == nil else {
                figures.failed += report.tags.count
                figures.firstError = figures.firstError ?? report.error
                return
            }
            figures.records += report.tags.count
            figures.bytes += report.tags.count * options.recordSize
            for tag in report.tags { figures.latency.add(nanoseconds: now &- tag) }
        }
    }
}

/// Makes the records; the tag of each is the time at which it was made.
///
/// - Thread: `fill` and `start` on the client's event loop; the rest anywhere.
private final class NIOLoopBoundSource: Sendable {
    private struct State {
        var partition = 0
        var bytes = 0
        var made = 0
        var started = NIODeadline.now()
        var isTimerPlanned = false
    }

    private let options: LoadOptions
    private let partitions: [PartitionName]
    private let values: [[UInt8]]
    private let state = Mutex(State())
    private let running = Atomic(true)

    init(options: LoadOptions, partitions: [PartitionName]) {
        self.options = options
        self.partitions = partitions
        var generator = SystemRandomNumberGenerator()
        // Letters, a few different texts: compressible, but not to nothing.
        self.values = (0..<16).map { _ in
            (0..<options.recordSize).map { _ in UInt8(97 + generator.next() % 26) }
        }
    }

    var isRunning: Bool { running.load(ordering: .relaxed) }

    func stop() { running.store(false, ordering: .relaxed) }

    func start(_ producer: LoopProducer) {
        state.withLock { $0.started = .now() }
        fill(producer)
    }

    /// Adds records until enough batches are in flight, or the rate is kept.
    func fill(_ producer: LoopProducer) {
        state.withLock { state in
            let milliseconds = Terminal.wallClockMilliseconds
            while isRunning, producer.unfinishedBatches < options.inFlight, !producer.isFull {
                if let records = options.records, state.made >= records { return stop() }
                guard state.made < allowed(state) else { return plan(producer, &state) }
                let value = values[state.made & 15]
                let record = OutgoingRecord(
                    partition: partitions[state.partition],
                    value: value,
                    timestamp: milliseconds,
                    tag: NIODeadline.now().uptimeNanoseconds
                )
                guard producer.append(record) else { return }
                state.made += 1
                state.bytes += value.count + 8
                // A partition gets a whole batch before the next one's turn.
                if state.bytes >= options.batchSize {
                    state.bytes = 0
                    state.partition = (state.partition + 1) % partitions.count
                }
            }
        }
    }

    /// How many records may have been made by now.
    private func allowed(_ state: State) -> Int {
        guard let rate = options.rate else { return Int.max }
        let seconds = Double((NIODeadline.now() - state.started).nanoseconds) / 1e9
        return Int(seconds * Double(rate)) + 1
    }

    private func plan(_ producer: LoopProducer, _ state: inout State) {
        guard !state.isTimerPlanned else { return }
        state.isTimerPlanned = true
        let pause = TimeAmount.nanoseconds(Int64(1e9 / Double(max(1, options.rate ?? 1))))
        producer.loop.assumeIsolated().scheduleTask(in: min(pause, .milliseconds(1))) { [self] in
            self.state.withLock { $0.isTimerPlanned = false }
            fill(producer)
        }
    }
}
