public import Model

/// What controllerd reads from its YAML file.
public struct ControllerSettings: Equatable, Sendable {
    /// Addresses by listener.
    public struct Listeners: Equatable, Sendable {
        /// Brokers and other controllers; default 127.0.0.1:9190.
        public var peer: Address
        /// `/metrics` and `/health`; default 127.0.0.1:9645.
        public var http: Address
    }

    /// Addresses that others are told; default the listeners.
    public struct Advertised: Equatable, Sendable {
        /// What brokers and other controllers are told.
        public var peer: Address
    }

    /// `controller_id`: 1 to 2^31 - 1, one of those in `controllers`; required.
    public var controllerID: ControllerID
    /// `data_directory`: a relative one begins where the daemon was started; default
    /// /var/lib/martlet/controller.
    public var dataDirectory: String
    /// `listeners`.
    public var listeners: Listeners
    /// `advertised`.
    public var advertised: Advertised
    /// Peers and controllers.
    public var peers: PeerSettings
    /// `broker_silence_ms`: silence that makes a broker offline; 500 ms to 10 min, default 3 s.
    public var brokerSilence: Duration
    /// `stop_wait_ms`: how long a stop waits for controllers whose quorum it would take away; 0 to
    /// 10 min, default 1 min.
    public var stopWait: Duration
    /// The log's layout.
    public var log: LogSettings
    /// `log_level`: default info.
    public var logLevel: LogLevelSetting

    /// Reads a file.
    ///
    /// - Throws: ``SettingsError`` with every problem found, each naming its line.
    public static func load(path: String) throws(SettingsError) -> ControllerSettings {
        try SettingsFile.load(path: path) { ControllerSettings($0) }
    }

    /// Reads a text; `file` is only named in errors.
    public static func parse(
        _ text: String,
        file: String = "settings"
    ) throws(SettingsError) -> ControllerSettings {
        try SettingsFile.parse(Array(text.utf8), file: file) { ControllerSettings($0) }
    }

    init?(_ reader: SettingsReader) {
        let id = reader.optionalInteger("controller_id", in: 1...Int(Int32.max))
        if id == nil && reader.line("controller_id") == nil {
            reader.missing("controller_id", "the number of one of the controllers")
        }
        dataDirectory = reader.text("data_directory", default: "/var/lib/martlet/controller")
        let group = reader.group("listeners")
        listeners = Listeners(
            peer: group.optionalAddress("peer") ?? Address(host: "127.0.0.1", port: 9190),
            http: group.optionalAddress("http") ?? Address(host: "127.0.0.1", port: 9645)
        )
        let peer = reader.group("advertised").optionalAddress("peer")
        reader.checkListener(listeners.peer, key: "peer", advertised: peer)
        advertised = Advertised(peer: peer ?? listeners.peer)
        peers = reader.peerSettings()
        reader.checkPeerListener(listeners.peer, insecurePeers: peers.insecurePeers)
        brokerSilence = reader.milliseconds(
            "broker_silence_ms",
            default: 3_000,
            in: 500...SettingsReader.millisecondsMax
        )
        stopWait = reader.stopWait()
        log = reader.logSettings(
            walFileBytes: 8 << 20,
            walFiles: 2,
            tailCacheBytes: 8 << 20,
            segmentBytes: 64 << 20
        )
        logLevel = reader.choice("log_level", default: .info)
        guard let id else { return nil }
        controllerID = ControllerID(ControllerID.RawValue(id))
        let isListed = peers.controllers.contains { $0.id == controllerID }
        if !isListed && !peers.controllers.isEmpty {
            reader.problems.add(
                reader.line("controller_id"),
                "controller_id is \(id), but controllers does not name that controller"
            )
        }
    }
}
