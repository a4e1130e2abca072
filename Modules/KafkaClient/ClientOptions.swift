public import NIOCore

/// How a client behaves towards a cluster.
public struct ClientOptions: Sendable {
    /// The name that brokers see in each request.
    public var clientID = "martlet"
    /// How long a connection may take to come up; 5 s.
    public var connectTimeout: TimeAmount = .seconds(5)
    /// How long an answer may take before its connection is given up; 15 s.
    public var requestTimeout: TimeAmount = .seconds(15)
    /// How long a whole operation with its retries may take; 30 s.
    public var deadline: TimeAmount = .seconds(30)
    /// The pause before another try; 50 ms.
    public var retryPause: TimeAmount = .milliseconds(50)
    /// The largest answer that is taken; 128 MiB.
    public var answerBytesMax = 128 << 20

    /// The defaults.
    public init() {}
}
