import CoreMetrics
import InterBrokerProtocol
import RaftHost

/// The counters of one peer, made once; the names stand in Telemetry's list.
struct PeerMetrics {
    let sent: Counter
    let received: Counter
    let sentBytes: Counter
    let receivedBytes: Counter
    private let liveQueue: Gauge
    private let catchUpQueue: Gauge
    private let overflow: Counter
    private let notConnected: Counter
    private let tooLarge: Counter
    private let unacceptable: Counter

    /// Why a message was dropped.
    enum Loss {
        case overflow
        case notConnected
        case tooLarge
        case unacceptable
    }

    init(peer: Int32, factory: any MetricsFactory) {
        let peer = [("peer", String(peer))]
        func counter(_ label: String, _ dimensions: [(String, String)]) -> Counter {
            Counter(label: label, dimensions: dimensions, factory: factory)
        }
        func lost(_ reason: String) -> Counter {
            counter("raft_messages_dropped_total", peer + [("reason", reason)])
        }
        sent = counter("raft_messages_sent_total", peer)
        received = counter("raft_messages_received_total", peer)
        sentBytes = counter("raft_transport_bytes_total", peer + [("direction", "sent")])
        receivedBytes = counter("raft_transport_bytes_total", peer + [("direction", "received")])
        func queue(_ lane: RaftLane) -> Gauge {
            Gauge(
                label: "raft_transport_queue_bytes",
                dimensions: peer + [("lane", lane.name.rawValue)],
                factory: factory
            )
        }
        liveQueue = queue(.live)
        catchUpQueue = queue(.catchUp)
        overflow = lost("queue_full")
        notConnected = lost("not_connected")
        tooLarge = lost("too_large")
        unacceptable = lost("unacceptable")
    }

    func showQueue(_ bytes: Int, on lane: RaftLane) {
        (lane == .live ? liveQueue : catchUpQueue).record(bytes)
    }

    func lose(_ loss: Loss, _ count: Int = 1) {
        switch loss {
        case .overflow: overflow.increment(by: count)
        case .notConnected: notConnected.increment(by: count)
        case .tooLarge: tooLarge.increment(by: count)
        case .unacceptable: unacceptable.increment(by: count)
        }
    }
}
