public import Model

/// Asks that a controller belong to the controllers; one that is back without its data, too.
public struct AddControllerRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = ControllerChangeResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.addController

    /// The controller.
    public var id: ControllerID
    /// The data directory that it must have; nil takes whichever it has.
    public var directoryID: DirectoryID?
    /// Its peer address.
    public var address: String
    /// How long the sender waits until it votes; milliseconds, 0 for not at all.
    public var timeoutMs: Int32

    /// Makes one of its fields.
    public init(
        id: ControllerID,
        directoryID: DirectoryID? = nil,
        address: String,
        timeoutMs: Int32 = 0
    ) {
        self.id = id
        self.directoryID = directoryID
        self.address = address
        self.timeoutMs = timeoutMs
    }

    private enum CodingKeys: String, CodingKey {
        case id = "controller_id"
        case directoryID = "directory_id"
        case address
        case timeoutMs = "timeout_ms"
    }
}

/// Asks that a controller belong to the controllers no more.
public struct RemoveControllerRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = ControllerChangeResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.removeController

    /// The controller.
    public var id: ControllerID
    /// The data directory that it must have; nil takes whichever it has.
    public var directoryID: DirectoryID?
    /// How long the sender waits until it is gone; milliseconds, 0 for not at all.
    public var timeoutMs: Int32

    /// Makes one of its fields.
    public init(id: ControllerID, directoryID: DirectoryID? = nil, timeoutMs: Int32 = 0) {
        self.id = id
        self.directoryID = directoryID
        self.timeoutMs = timeoutMs
    }

    private enum CodingKeys: String, CodingKey {
        case id = "controller_id"
        case directoryID = "directory_id"
        case timeoutMs = "timeout_ms"
    }
}

/// What became of a change of the controllers.
public struct ControllerChangeResponse: Codable, Equatable, Sendable {
    /// Kafka's error code; 0 if it is done or, with `isFinished` false, under way.
    public var errorCode: Int16
    /// A sentence for people.
    public var message: String
    /// Whether it is over; else it goes on by itself.
    public var isFinished: Bool

    /// Makes one of its fields.
    public init(errorCode: Int16, message: String = "", isFinished: Bool = false) {
        self.errorCode = errorCode
        self.message = message
        self.isFinished = isFinished
    }

    private enum CodingKeys: String, CodingKey {
        case errorCode = "error_code"
        case message
        case isFinished = "finished"
    }
}

/// Asks the controller leader who the controllers are and how far each of them is.
public struct DescribeControllersRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = DescribeControllersResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.describeControllers

    /// The only value: nothing is asked or said beyond the type.
    public init() {}
}

/// The controllers as their leader sees them.
public struct DescribeControllersResponse: Codable, Equatable, Sendable {
    /// The controller that leads.
    public var leaderID: ControllerID
    /// Its epoch.
    public var epoch: ControllerEpoch
    /// The last entry of the metadata log that is committed.
    public var committed: LogIndex
    /// The leader's clock; milliseconds since 1970.
    public var unixMilliseconds: Int64
    /// Every replica, in order of nodes.
    public var controllers: [ControllerDescription]

    /// Makes one of its fields.
    public init(
        leaderID: ControllerID,
        epoch: ControllerEpoch,
        committed: LogIndex,
        unixMilliseconds: Int64,
        controllers: [ControllerDescription]
    ) {
        self.leaderID = leaderID
        self.epoch = epoch
        self.committed = committed
        self.unixMilliseconds = unixMilliseconds
        self.controllers = controllers
    }

    private enum CodingKeys: String, CodingKey {
        case leaderID = "leader_id"
        case epoch
        case committed
        case unixMilliseconds = "unix_ms"
        case controllers
    }
}

/// One replica of the controllers' group.
public struct ControllerDescription: Codable, Equatable, Sendable {
    /// The replica.
    public var node: NodeID
    /// Its data directory, if it is known.
    public var directoryID: DirectoryID?
    /// Its peer address.
    public var address: String
    /// Whether it votes.
    public var isVoter: Bool
    /// Whether it was heard lately.
    public var isActive: Bool
    /// The last entry that it is known to hold; 0 if none.
    public var match: LogIndex

    /// Makes one of its fields.
    public init(
        node: NodeID,
        directoryID: DirectoryID? = nil,
        address: String,
        isVoter: Bool,
        isActive: Bool,
        match: LogIndex
    ) {
        self.node = node
        self.directoryID = directoryID
        self.address = address
        self.isVoter = isVoter
        self.isActive = isActive
        self.match = match
    }

    private enum CodingKeys: String, CodingKey {
        case node = "node_id"
        case directoryID = "directory_id"
        case address
        case isVoter = "voter"
        case isActive = "active"
        case match
    }
}
