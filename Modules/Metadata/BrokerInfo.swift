public import Model

/// A broker as the cluster knows it.
public struct BrokerInfo: Codable, Equatable, Sendable {
    /// Its number.
    public var id: BrokerID
    /// How often it has registered; 1 after the first time.
    public var incarnation: UInt32
    /// The version at which it registered last: Kafka's broker epoch.
    public var registrationEpoch: MetadataVersion
    /// The run of its process; messages of former runs are refused.
    public var session: SessionID
    /// The identity of its data directory; another one than before means a lost disk.
    public var directoryID: DirectoryID
    /// The host that Kafka clients are told.
    public var clientHost: String
    /// The port that Kafka clients are told.
    public var clientPort: Int32
    /// Where other daemons reach it: `host:port`.
    public var peerAddress: String
    /// Its rack, if it was given one.
    public var rack: String?
    /// Whether it was heard lately.
    public var isOnline: Bool

    private enum CodingKeys: String, CodingKey {
        case id
        case incarnation
        case registrationEpoch = "registration_epoch"
        case session
        case directoryID = "directory_id"
        case clientHost = "client_host"
        case clientPort = "client_port"
        case peerAddress = "peer_address"
        case rack
        case isOnline = "online"
    }
}

/// What a broker says about itself when it registers.
public struct BrokerRegistration: Codable, Equatable, Sendable {
    /// Its number.
    public var id: BrokerID
    /// The run of its process.
    public var session: SessionID
    /// The identity of its data directory.
    public var directoryID: DirectoryID
    /// The host that Kafka clients are told.
    public var clientHost: String
    /// The port that Kafka clients are told.
    public var clientPort: Int32
    /// Where other daemons reach it: `host:port`.
    public var peerAddress: String
    /// Its rack, if it has one.
    public var rack: String?

    /// Describes a broker.
    public init(
        id: BrokerID,
        session: SessionID,
        directoryID: DirectoryID,
        clientHost: String,
        clientPort: Int32,
        peerAddress: String,
        rack: String? = nil
    ) {
        self.id = id
        self.session = session
        self.directoryID = directoryID
        self.clientHost = clientHost
        self.clientPort = clientPort
        self.peerAddress = peerAddress
        self.rack = rack
    }

    private enum CodingKeys: String, CodingKey {
        case id
        case session
        case directoryID = "directory_id"
        case clientHost = "client_host"
        case clientPort = "client_port"
        case peerAddress = "peer_address"
        case rack
    }

    /// Whether `broker` says the same about itself already.
    func isSame(as broker: BrokerInfo) -> Bool {
        broker.session == session && broker.directoryID == directoryID
            && broker.clientHost == clientHost && broker.clientPort == clientPort
            && broker.peerAddress == peerAddress && broker.rack == rack
    }
}
