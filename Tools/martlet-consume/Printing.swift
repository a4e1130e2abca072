import ArgumentParser
import Glibc
import KafkaClient
import Model
import RecordBatch
import Synchronization
import ToolSupport

/// What `--format` says, taken apart once.
struct RecordFormat: Sendable {
    private enum Piece: Sendable {
        case text([UInt8])
        case field(Character)
    }

    private var pieces: [Piece] = []

    init(_ format: String) throws {
        var text: [UInt8] = []
        var letters = Array(format)[...]
        while let letter = letters.popFirst() {
            guard letter == "%" || letter == "\\" else {
                text += Array(String(letter).utf8)
                continue
            }
            guard let next = letters.popFirst() else {
                throw ValidationError("--format ends with a lone '\(letter)'")
            }
            switch (letter, next) {
            case ("%", "%"), ("\\", "\\"): text += Array(String(next).utf8)
            case ("\\", "n"): text.append(UInt8(ascii: "\n"))
            case ("\\", "t"): text.append(UInt8(ascii: "\t"))
            case ("\\", "0"): text.append(0)
            case ("%", _) where "tpoTksh".contains(next):
                pieces.append(.text(text))
                pieces.append(.field(next))
                text = []
            default: throw ValidationError("--format does not know '\(letter)\(next)'")
            }
        }
        pieces.append(.text(text))
    }

    func append(_ record: FetchedRecord, of name: PartitionName, to output: inout [UInt8]) {
        for piece in pieces {
            switch piece {
            case .text(let bytes): output += bytes
            case .field("t"): output += name.topic.utf8
            case .field("p"): output += String(name.partition).utf8
            case .field("o"): output += String(record.offset).utf8
            case .field("T"): output += String(record.timestamp).utf8
            case .field("k"): output += record.key ?? []
            case .field("s"): output += record.value ?? []
            case .field: append(record.headers, to: &output)
            }
        }
    }

    private func append(_ headers: [Record.Header], to output: inout [UInt8]) {
        for (place, header) in headers.enumerated() {
            if place > 0 { output.append(UInt8(ascii: ",")) }
            output += header.key
            output.append(UInt8(ascii: "="))
            output += header.value ?? []
        }
    }
}

/// Prints what the consumer brings, and knows when it is enough.
///
/// - Thread: `take` on the client's event loop, which a slow reader of stdout holds up: that is
///   what keeps memory bounded.
final class Printing: Sendable {
    private typealias Waiter = CheckedContinuation<KafkaClientError?, Never>

    private struct State {
        var output: [UInt8] = []
        var left: Int
        /// Where each partition is read to; nil reads on for ever.
        var ends: [PartitionName: Int64]?
        var isDone = false
        var failure: KafkaClientError?
        var waiter: Waiter?
    }

    private let format: RecordFormat
    private let state: Mutex<State>

    init(format: RecordFormat, limit: Int?, ends: [PartitionName: Int64]?) {
        self.format = format
        state = Mutex(State(left: limit ?? Int.max, ends: ends, isDone: ends?.isEmpty == true))
    }

    var isDone: Bool { state.withLock { $0.isDone } }

    func take(_ event: ConsumerEvent) {
        let (waiter, failure) = state.withLock { state in
            guard !state.isDone else { return (Waiter?.none, KafkaClientError?.none) }
            take(event, &state)
            // Under the lock, so that nobody learns of the end before it is printed.
            Terminal.write(state.output, to: STDOUT_FILENO)
            state.output.removeAll(keepingCapacity: true)
            guard state.isDone, let waiter = state.waiter else { return (nil, nil) }
            state.waiter = nil
            return (waiter, state.failure)
        }
        waiter?.resume(returning: failure)
    }

    private func take(_ event: ConsumerEvent, _ state: inout State) {
        switch event {
        case .failed(_, let error):
            state.failure = error
            state.isDone = true
        case .end: break
        case .batch(let batch):
            do throws(KafkaClientError) {
                for record in try batch.records() where state.left > 0 {
                    if let end = state.ends?[batch.partition], record.offset >= end { break }
                    format.append(record, of: batch.partition, to: &state.output)
                    state.left -= 1
                }
            } catch {
                state.failure = error
                state.isDone = true
            }
            if let end = state.ends?[batch.partition], batch.header.lastOffset.rawValue + 1 >= end {
                state.ends?[batch.partition] = nil
            }
            if state.left == 0 || state.ends?.isEmpty == true { state.isDone = true }
        }
    }

    /// Waits until there is no more to print; gives what went wrong.
    func finished() async -> KafkaClientError? {
        await withCheckedContinuation { continuation in
            let (isDone, failure) = state.withLock { state in
                if !state.isDone { state.waiter = continuation }
                return (state.isDone, state.failure)
            }
            if isDone { continuation.resume(returning: failure) }
        }
    }
}
