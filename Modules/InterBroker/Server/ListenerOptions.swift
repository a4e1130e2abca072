public import CoreMetrics

/// The limits of a listener.
public struct ListenerOptions: Sendable {
    /// How long the rest of a request may take once its first byte is there; 10 s.
    public var requestTimeout: Duration = .seconds(10)
    /// How long a connection may wait for its next request; 30 s.
    public var idleTimeout: Duration = .seconds(30)
    /// How many connections may be open, Raft streams included; 1,024.
    public var connectionsMax = 1024
    /// How many whole requests of one connection may wait before it is not read any more; 16.
    public var waitingRequestsMax = 16
    /// The most bytes of one request's JSON; 16 MiB.
    public var frameBytesMax = 16 << 20
    /// How many bytes all connections' requests may hold in memory; 256 MiB.
    public var bufferedBytesMax = 256 << 20
    /// Whether peers on other machines are served without TLS.
    public var insecurePeers = false
    /// Where requests are counted.
    public var metrics: any MetricsFactory = MetricsSystem.factory

    /// The defaults.
    public init() {}
}
