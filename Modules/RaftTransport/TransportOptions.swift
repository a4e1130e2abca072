public import CoreMetrics
public import NIOCore

/// The limits of a transport.
public struct TransportOptions: Sendable {
    /// How many bytes may wait for one peer; over it messages to it are dropped; 64 MiB.
    public var queueBytesMax = 64 << 20
    /// How many of them on the lane for catching up before no more old entries are read; 16 MiB.
    public var catchUpBytesMax = 16 << 20
    /// How many of them while its stream is being opened; 4 MiB.
    public var connectingBytesMax = 4 << 20
    /// How long opening a stream may take; 3 s.
    public var openTimeout: Duration = .seconds(3)
    /// The pause after the first failure to open a stream; it doubles with each further one.
    public var backoffMin: TimeAmount = .milliseconds(20)
    /// The longest such pause; 1 s.
    public var backoffMax: TimeAmount = .seconds(1)
    /// How long a peer may leave sent bytes unacknowledged before its stream is given up; 5 s.
    public var silenceMax: TimeAmount = .seconds(5)
    /// Where messages are counted.
    public var metrics: any MetricsFactory = MetricsSystem.factory

    /// The defaults.
    public init() {}
}
