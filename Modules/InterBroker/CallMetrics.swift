import CoreMetrics
import InterBrokerProtocol

/// Counts and times requests, on both sides.
///
/// Names and labels are those of Telemetry's list: `type` is the request's number, `side` is
/// `client` or `server`.
struct CallMetrics: Sendable {
    let factory: any MetricsFactory
    let side: String

    func record(_ type: InterBrokerRequestType, result: String, duration: Duration) {
        let number = String(type.rawValue)
        Counter(
            label: "inter_broker_requests_total",
            dimensions: [("type", number), ("side", side), ("result", result)],
            factory: factory
        ).increment()
        let (seconds, attoseconds) = duration.components
        Timer(
            label: "inter_broker_request_duration_seconds",
            dimensions: [("type", number), ("side", side)],
            factory: factory
        ).recordNanoseconds(seconds &* 1_000_000_000 &+ attoseconds / 1_000_000_000)
    }

    func recordRefusal(_ reason: PeerRefusal.Reason) {
        Counter(
            label: "peer_refusals_total",
            dimensions: [("reason", reason.rawValue)],
            factory: factory
        ).increment()
    }
}
