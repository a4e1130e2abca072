import Logging
import NIOCore
import Synchronization

/// Counts every refusal, and logs so many of each kind that a hostile peer cannot fill the journal.
final class RefusalLog: Sendable {
    private let budget = Mutex(LineBudget<PeerRefusal.Reason>())
    private let metrics: CallMetrics
    private let logger: Logger

    init(metrics: CallMetrics, logger: Logger) {
        self.metrics = metrics
        self.logger = logger
    }

    func record(_ refusal: PeerRefusal, from peer: String, now: NIODeadline = .now()) {
        metrics.recordRefusal(refusal.reason)
        guard let unlogged = budget.withLock({ $0.take(refusal.reason, now: now) }) else { return }
        InterBrokerLogLines.refused(refusal, from: peer, unlogged: unlogged, logger)
    }
}
