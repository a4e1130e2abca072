public import CoreMetrics
public import InterBrokerProtocol
public import Logging
public import Model
public import NIOCore
import NIOPosix

/// Who calls: what goes into the common fields of every request.
public struct InterBrokerCaller: Sendable {
    /// Which kind of daemon calls.
    public var role: SenderRole
    /// The caller's broker or controller number.
    public var id: Int32
    /// The caller's cluster; nil while it belongs to none.
    public var clusterID: ClusterID?
    /// The epoch in which a controller leads, for the requests that need it.
    public var controllerEpoch: ControllerEpoch?

    /// Describes a caller.
    public init(
        role: SenderRole,
        id: Int32,
        clusterID: ClusterID?,
        controllerEpoch: ControllerEpoch? = nil
    ) {
        self.role = role
        self.id = id
        self.clusterID = clusterID
        self.controllerEpoch = controllerEpoch
    }

    func header(target: Int32, requestID: RequestID) -> RequestHeader {
        RequestHeader(
            clusterID: clusterID,
            senderRole: role,
            senderID: id,
            targetID: target,
            requestID: requestID,
            controllerEpoch: controllerEpoch
        )
    }
}

/// Who is called.
public struct InterBrokerTarget: Hashable, Sendable {
    /// The broker or controller number that must answer, or `RequestHeader.anyTarget`.
    public var id: Int32
    /// Its peer listener, `host:port`.
    public var address: String

    /// Describes a target.
    public init(id: Int32, address: String) {
        self.id = id
        self.address = address
    }
}

/// How a call is made: the settings of every inter-broker function.
public struct CallOptions: Sendable {
    /// How long connecting may take; 10 s.
    public var connectTimeout: Duration = .seconds(10)
    /// How long the whole call may take, connecting included; 30 s.
    public var deadline: Duration = .seconds(30)
    /// Where the connection lives.
    public var group: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
    /// Where log lines go.
    public var logger: Logger
    /// Where calls are counted.
    public var metrics: any MetricsFactory = MetricsSystem.factory

    /// The defaults.
    public init(logger: Logger = Logger(label: "martlet.interbroker")) {
        self.logger = logger
    }
}
