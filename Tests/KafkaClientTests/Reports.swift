import KafkaClient
import Synchronization
import Testing

/// Gathers what a producer reports.
final class Reports: Sendable {
    private let all = Mutex<[DeliveryReport]>([])

    func add(_ report: DeliveryReport) { all.withLock { $0.append(report) } }

    /// The marks in the order of their reports.
    var tags: [UInt64] { all.withLock { $0.flatMap(\.tags) } }
    /// The errors.
    var failures: [KafkaClientError] { all.withLock { $0.compactMap(\.error) } }
    /// The marks of records that failed.
    var failedTags: [UInt64] {
        all.withLock { $0.filter { $0.error != nil }.flatMap(\.tags) }
    }
    /// Waits until a condition holds.
    func until(_ what: String, _ condition: () async -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while await !condition() {
            try #require(ContinuousClock.now < deadline, "not in time: \(what)")
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    /// The number of batches.
    var count: Int { all.withLock { $0.count } }
    /// The offset of each written batch.
    var offsets: [Int64] { all.withLock { $0.filter { $0.error == nil }.map(\.baseOffset) } }
}
