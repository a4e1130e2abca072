import KafkaClient
import Model
import NIOCore
import RecordBatch
import Synchronization
import ToolSupport

/// What a reading load measured.
struct ConsumeFigures: Sendable {
    var records = 0
    var bytes = 0
    var batches = 0
    var seconds = 0.0
    var clientCPUSeconds = 0.0
}

/// Reads partitions from given offsets to their ends; records are counted and not unpacked.
final class ConsumeLoad: Sendable {
    private struct State {
        var figures = ConsumeFigures()
        var open: [PartitionName: Int64] = [:]
        var error: KafkaClientError?
    }

    private let title: String
    private let seconds: Double
    private let state = Mutex(State())

    init(title: String, seconds: Double) {
        self.title = title
        self.seconds = seconds
    }

    /// Reads for `seconds` at most; from the beginning if no starts are given.
    func run(
        _ client: ClusterClient,
        _ names: [PartitionName],
        from starts: [PartitionName: Int64]?
    ) async throws -> ConsumeFigures {
        var places: [(PartitionName, Int64)] = []
        for name in names {
            let first: Int64
            if let starts {
                first = starts[name] ?? 0
            } else {
                first = try await client.offset(of: name, at: .earliest)
            }
            let end = try await client.offset(of: name, at: .latest)
            guard first < end else { continue }
            places.append((name, first))
            state.withLock { $0.open[name] = end }
        }
        let start = NIODeadline.now()
        let cpu = ProcessorTime.now()
        let consumer = await Consumer(client, from: places) { [self] in take($0) }
        let progress = Progress(title: title + ", reading", seconds: seconds)
        var elapsed = 0.0
        while elapsed < seconds {
            let (isDone, figures) = state.withLock {
                ($0.open.isEmpty || $0.error != nil, $0.figures)
            }
            if isDone { break }
            try await Task.sleep(for: .milliseconds(10))
            elapsed = Double((NIODeadline.now() - start).nanoseconds) / 1e9
            progress.show(seconds: elapsed, bytes: figures.bytes, records: figures.records)
        }
        await consumer.stop()
        progress.clear()
        var result = state.withLock { $0 }
        if let error = result.error { throw error }
        result.figures.seconds = Double((NIODeadline.now() - start).nanoseconds) / 1e9
        result.figures.clientCPUSeconds = ProcessorTime.now() - cpu
        return result.figures
    }

    private func take(_ event: ConsumerEvent) {
        state.withLock { state in
            switch event {
            case .failed(_, let error): state.error = error
            case .end: break
            case .batch(let batch):
                guard let end = state.open[batch.partition] else { return }
                state.figures.records += Int(batch.header.recordCount)
                state.figures.bytes += batch.bytes.readableBytes
                state.figures.batches += 1
                if batch.header.baseOffset.rawValue + Int64(batch.header.offsetCount) >= end {
                    state.open[batch.partition] = nil
                }
            }
        }
    }
}
