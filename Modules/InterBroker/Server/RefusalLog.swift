import Logging
import NIOCore
import Synchronization

/// Counts every refusal, and logs so many of each kind that a hostile peer cannot fill the journal.
///
/// - Invariant: at most `linesMax` lines per kind and window; the next line says how many were
///   left out.
final class RefusalLog: Sendable {
    static let linesMax = 5
    static let window = TimeAmount.seconds(10)

    private struct Budget {
        var windowEnd = NIODeadline.uptimeNanoseconds(0)
        var lines = 0
        var unlogged = 0
    }

    private let budgets = Mutex<[PeerRefusal.Reason: Budget]>([:])
    private let metrics: CallMetrics
    private let logger: Logger

    init(metrics: CallMetrics, logger: Logger) {
        self.metrics = metrics
        self.logger = logger
    }

    func record(_ refusal: PeerRefusal, from peer: String, now: NIODeadline = .now()) {
        metrics.recordRefusal(refusal.reason)
        let unlogged: Int? = budgets.withLock { budgets in
            var budget = budgets[refusal.reason] ?? Budget()
            if now >= budget.windowEnd {
                budget.windowEnd = now + Self.window
                budget.lines = 0
            }
            defer { budgets[refusal.reason] = budget }
            guard budget.lines < Self.linesMax else {
                budget.unlogged += 1
                return nil
            }
            budget.lines += 1
            defer { budget.unlogged = 0 }
            return budget.unlogged
        }
        guard let unlogged else { return }
        InterBrokerLogLines.refused(refusal, from: peer, unlogged: unlogged, logger)
    }
}
