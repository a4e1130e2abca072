public import Model

/// What brokerd reads from its YAML file.
public struct BrokerSettings: Equatable, Sendable {
    /// Addresses by listener.
    public struct Listeners: Equatable, Sendable {
        /// Kafka clients; default 127.0.0.1:9092.
        public var client: Address
        /// Other brokers and the controllers; default 127.0.0.1:9192.
        public var peer: Address
        /// `/metrics` and `/health`; default 127.0.0.1:9644.
        public var http: Address
    }

    /// Addresses that others are told; default the listeners.
    public struct Advertised: Equatable, Sendable {
        /// What Metadata answers tell Kafka clients.
        public var client: Address
        /// What the cluster metadata tells peers.
        public var peer: Address
    }

    /// `broker_id`: 1 to 2^31 - 1, unique in the cluster; required.
    public var brokerID: BrokerID
    /// `data_directory`: a relative one begins where the daemon was started; default
    /// /var/lib/martlet/broker.
    public var dataDirectory: String
    /// `rack`: a name for the placement of replicas; default none.
    public var rack: String?
    /// `listeners`.
    public var listeners: Listeners
    /// `advertised`.
    public var advertised: Advertised
    /// Peers and controllers.
    public var peers: PeerSettings
    /// `auto_create_topics`: a topic is made when a client first names it; default true.
    public var autoCreateTopics: Bool
    /// `default_partitions`: of topics created without a number, 1 to 10,000; default 1.
    public var defaultPartitions: Int
    /// `default_replication_factor`: of topics created without one, 1 to 9; default 3.
    public var defaultReplicationFactor: Int
    /// `offsets_topic_partitions`: of `__consumer_offsets`, 1 to 1,000; default 50.
    public var offsetsTopicPartitions: Int
    /// `offsets_topic_replication_factor`: 1 to 9; default 3.
    public var offsetsTopicReplicationFactor: Int
    /// `message_bytes_max`: the largest record batch, 1 KiB to 32 MiB; default 1 MiB.
    public var messageBytesMax: Int
    /// `group_initial_rebalance_delay_ms`: a new group waits for members; 0 to 60 s, default 3 s.
    public var groupInitialRebalanceDelay: Duration
    /// `stop_wait_ms`: how long a stop waits for replicas whose quorum it would take away; 0 to
    /// 10 min, default 1 min.
    public var stopWait: Duration
    /// The log's layout.
    public var log: LogSettings
    /// `catch_up_bytes_per_second`: old entries sent to replicas that lag behind, 1 MiB to 16 GiB;
    /// default 64 MiB.
    public var catchUpBytesPerSecond: Int
    /// `catch_up_queue_bytes`: of these, what may wait for one broker, 1 MiB to 1 GiB; default 16
    /// MiB.
    public var catchUpQueueBytes: Int
    /// `log_level`: default info.
    public var logLevel: LogLevelSetting

    /// Reads a file.
    ///
    /// - Throws: ``SettingsError`` with every problem found, each naming its line.
    public static func load(path: String) throws(SettingsError) -> BrokerSettings {
        try SettingsFile.load(path: path) { BrokerSettings($0) }
    }

    /// Reads a text; `file` is only named in errors.
    public static func parse(
        _ text: String,
        file: String = "settings"
    ) throws(SettingsError) -> BrokerSettings {
        try SettingsFile.parse(Array(text.utf8), file: file) { BrokerSettings($0) }
    }

    init?(_ reader: SettingsReader) {
        let id = reader.optionalInteger("broker_id", in: 1...Int(Int32.max))
        if id == nil && reader.line("broker_id") == nil {
            reader.missing("broker_id", "a number that no other broker of the cluster has")
        }
        dataDirectory = reader.text("data_directory", default: "/var/lib/martlet/broker")
        rack = reader.optionalText("rack")
        let group = reader.group("listeners")
        listeners = Listeners(
            client: group.optionalAddress("client") ?? Address(host: "127.0.0.1", port: 9092),
            peer: group.optionalAddress("peer") ?? Address(host: "127.0.0.1", port: 9192),
            http: group.optionalAddress("http") ?? Address(host: "127.0.0.1", port: 9644)
        )
        let told = reader.group("advertised")
        let client = told.optionalAddress("client")
        let peer = told.optionalAddress("peer")
        reader.checkListener(listeners.client, key: "client", advertised: client)
        reader.checkListener(listeners.peer, key: "peer", advertised: peer)
        advertised = Advertised(client: client ?? listeners.client, peer: peer ?? listeners.peer)
        peers = reader.peerSettings()
        reader.checkPeerListener(listeners.peer, insecurePeers: peers.insecurePeers)
        autoCreateTopics = reader.flag("auto_create_topics", default: true)
        defaultPartitions = reader.integer("default_partitions", default: 1, in: 1...10_000)
        defaultReplicationFactor = reader.integer(
            "default_replication_factor",
            default: 3,
            in: 1...9
        )
        offsetsTopicPartitions = reader.integer(
            "offsets_topic_partitions",
            default: 50,
            in: 1...1_000
        )
        offsetsTopicReplicationFactor = reader.integer(
            "offsets_topic_replication_factor",
            default: 3,
            in: 1...9
        )
        messageBytesMax = reader.bytes("message_bytes_max", default: 1 << 20, in: 1024...(32 << 20))
        groupInitialRebalanceDelay = reader.milliseconds(
            "group_initial_rebalance_delay_ms",
            default: 3_000,
            in: 0...60_000
        )
        stopWait = reader.stopWait()
        log = reader.logSettings(
            walFileBytes: 64 << 20,
            walFiles: 16,
            tailCacheBytes: 64 << 20,
            segmentBytes: 1 << 30
        )
        catchUpBytesPerSecond = reader.bytes(
            "catch_up_bytes_per_second",
            default: 64 << 20,
            in: (1 << 20)...(16 << 30)
        )
        catchUpQueueBytes = reader.bytes(
            "catch_up_queue_bytes",
            default: 16 << 20,
            in: (1 << 20)...(1 << 30)
        )
        logLevel = reader.choice("log_level", default: .info)
        guard let id else { return nil }
        brokerID = BrokerID(BrokerID.RawValue(id))
    }
}
