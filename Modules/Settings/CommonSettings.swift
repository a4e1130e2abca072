public import Model

/// The least important level that is written to the log.
public enum LogLevelSetting: String, CaseIterable, Sendable {
    /// Everything, for developers.
    case trace
    /// What helps to find a fault.
    case debug
    /// The course of normal work.
    case info
    /// What an operator may want to know.
    case notice
    /// What may need attention.
    case warning
    /// What has failed.
    case error
    /// What ends the daemon.
    case critical
}

/// One controller of the cluster as `controllers` names it: `1@127.0.0.1:9190`.
public struct ControllerEndpoint: Hashable, Sendable, CustomStringConvertible {
    /// The controller's number.
    public let id: ControllerID
    /// Its peer listener.
    public let address: Address

    /// Joins a number and an address.
    public init(id: ControllerID, address: Address) {
        self.id = id
        self.address = address
    }

    /// Reads the text form; nil when it is not `ID@HOST:PORT` with an id of at least 1.
    public init?(_ text: String) {
        guard let at = text.firstIndex(of: "@"), let number = Int32(text[..<at]), number >= 1,
            let address = Address(text[text.index(after: at)...]), address.port > 0
        else { return nil }
        self.init(id: ControllerID(ControllerID.RawValue(number)), address: address)
    }

    /// The text form.
    public var description: String { "\(id)@\(address)" }
}

/// What is needed to talk to peers.
public struct PeerSettings: Equatable, Sendable {
    /// All controllers, sorted by id: 1, 3 or 5 of them.
    public var controllers: [ControllerEndpoint]
    /// `insecure_peers`: peers may talk without TLS off loopback; default false.
    public var insecurePeers: Bool
    /// `peer_allow_list`: networks in CIDR form from which peers may connect; empty allows all.
    public var peerAllowList: [String]
    /// `inter_broker_connect_timeout_ms`: default 10 s, 10 ms to 5 min.
    public var connectTimeout: Duration
    /// `inter_broker_deadline_ms`: a whole call; default 30 s, 10 ms to 10 min.
    public var deadline: Duration
}

/// How the log in the data directory is laid out.
public struct LogSettings: Equatable, Sendable {
    /// `wal_file_bytes`: one file, 1 MiB to 1 GiB; default 64 MiB, controllers 8 MiB.
    public var walFileBytes: Int
    /// `wal_files`: files kept and recycled, 2 to 1024; default 16, controllers 2.
    public var walFiles: Int
    /// `tail_cache_bytes`: in memory, 1 MiB to 64 GiB; default 64 MiB, controllers 8 MiB.
    public var tailCacheBytes: Int
    /// `segment_bytes`: a segment, 1 MiB to 1 GiB; default 1 GiB, controllers 64 MiB.
    public var segmentBytes: Int
}

extension SettingsReader {
    static let millisecondsMax = 600_000

    func peerSettings() -> PeerSettings {
        PeerSettings(
            controllers: controllers(),
            insecurePeers: flag("insecure_peers", default: false),
            peerAllowList: list("peer_allow_list", countMax: 1000).map(\.text),
            connectTimeout: milliseconds(
                "inter_broker_connect_timeout_ms",
                default: 10_000,
                in: 10...300_000
            ),
            deadline: milliseconds(
                "inter_broker_deadline_ms",
                default: 30_000,
                in: 10...Self.millisecondsMax
            )
        )
    }

    func logSettings(
        walFileBytes: Int,
        walFiles: Int,
        tailCacheBytes: Int,
        segmentBytes: Int
    ) -> LogSettings {
        let mebibyte = 1 << 20
        let gibibyte = 1 << 30
        return LogSettings(
            walFileBytes: bytes("wal_file_bytes", default: walFileBytes, in: mebibyte...gibibyte),
            walFiles: integer("wal_files", default: walFiles, in: 2...1024),
            tailCacheBytes: bytes(
                "tail_cache_bytes",
                default: tailCacheBytes,
                in: mebibyte...(64 * gibibyte)
            ),
            segmentBytes: bytes("segment_bytes", default: segmentBytes, in: mebibyte...gibibyte)
        )
    }

    private func controllers() -> [ControllerEndpoint] {
        let key = "controllers"
        let items = list(key, countMax: 5)
        var found: [ControllerEndpoint] = []
        for item in items {
            guard let endpoint = ControllerEndpoint(item.text) else {
                problems.add(
                    item.line,
                    "\(key) holds \"\(item.text)\", which is not ID@HOST:PORT, such as "
                        + "1@127.0.0.1:9190"
                )
                continue
            }
            if found.contains(where: { $0.id == endpoint.id }) {
                problems.add(item.line, "\(key) names controller \(endpoint.id) twice")
            }
            if found.contains(where: { $0.address == endpoint.address }) {
                problems.add(item.line, "\(key) names the address \(endpoint.address) twice")
            }
            found.append(endpoint)
        }
        if line(key) == nil {
            missing(key, "a list of all controllers, such as [\"1@127.0.0.1:9190\"]")
        } else if found.count == items.count && found.count.isMultiple(of: 2) {
            problems.add(
                line(key),
                "\(key) names \(found.count), but a cluster has 1, 3 or 5 controllers"
            )
        }
        return found.sorted { $0.id < $1.id }
    }

    /// Checks a listener against its advertised address and, for peers, against the missing TLS.
    func checkListener(_ listener: Address, key: String, advertised: Address?) {
        if advertised == nil, listener.isWildcard || listener.port == 0 {
            problems.add(
                line("listeners"),
                "listeners.\(key) is \(listener), which nobody can connect to by that name: "
                    + "set advertised.\(key)"
            )
        }
        if let advertised, advertised.isWildcard {
            problems.add(
                line("advertised"),
                "advertised.\(key) is \(advertised), which nobody can connect to"
            )
        }
    }

    func checkPeerListener(_ listener: Address, insecurePeers: Bool) {
        guard !listener.isLoopback, !insecurePeers else { return }
        problems.add(
            line("listeners"),
            "listeners.peer is \(listener), but without TLS peers may only listen on loopback; "
                + "set insecure_peers: true to accept that anyone there can be a peer"
        )
    }
}

extension Address {
    /// Whether only this machine can connect: 127.0.0.0/8, ::1 or the name localhost.
    public var isLoopback: Bool {
        if host == "::1" || host == "localhost" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// Whether it means every interface.
    public var isWildcard: Bool { host == "0.0.0.0" || host == "::" }
}
