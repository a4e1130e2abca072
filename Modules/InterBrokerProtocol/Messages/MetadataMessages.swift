public import Model

/// Asks for the cluster's metadata: the changes since a version, or a page of everything.
public struct GetTopicMetadataRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = GetTopicMetadataResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.getTopicMetadata

    /// The version that the sender holds; 0 if none.
    public var sinceVersion: MetadataVersion
    /// Which page of a full answer, counted from 0.
    public var page: Int
    /// The version whose pages are being read; nil with page 0.
    public var pageVersion: MetadataVersion?

    /// Makes one of its fields.
    public init(
        sinceVersion: MetadataVersion,
        page: Int = 0,
        pageVersion: MetadataVersion? = nil
    ) {
        self.sinceVersion = sinceVersion
        self.page = page
        self.pageVersion = pageVersion
    }

    private enum CodingKeys: String, CodingKey {
        case sinceVersion = "since_version"
        case page
        case pageVersion = "page_version"
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        sinceVersion = try fields.decode(MetadataVersion.self, forKey: .sinceVersion)
        page = try fields.decodeIfPresent(Int.self, forKey: .page) ?? 0
        pageVersion = try fields.decodeIfPresent(MetadataVersion.self, forKey: .pageVersion)
    }
}

/// Changes since a version, or one page of the whole metadata.
public struct GetTopicMetadataResponse: Codable, Equatable, Sendable {
    /// The version that the receiver holds once everything is applied.
    public var version: MetadataVersion
    /// Whether `snapshot` counts, and not `commands`.
    public var full: Bool
    /// Which page this is, counted from 0.
    public var page: Int
    /// How many pages there are.
    public var pages: Int
    /// The changes since the version that was asked from, in order.
    public var commands: [VersionedCommand]
    /// A piece of the JSON text of the metadata; the pages' pieces make the whole.
    public var snapshot: String
    /// The leaders that the controller has heard of; with the last page only.
    public var leaders: [LeaderReport]

    /// Makes one of its fields.
    public init(
        version: MetadataVersion,
        full: Bool,
        page: Int = 0,
        pages: Int = 1,
        commands: [VersionedCommand] = [],
        snapshot: String = "",
        leaders: [LeaderReport] = []
    ) {
        self.version = version
        self.full = full
        self.page = page
        self.pages = pages
        self.commands = commands
        self.snapshot = snapshot
        self.leaders = leaders
    }

    private enum CodingKeys: String, CodingKey {
        case version
        case full
        case page
        case pages
        case commands
        case snapshot
        case leaders
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        version = try fields.decode(MetadataVersion.self, forKey: .version)
        full = try fields.decode(Bool.self, forKey: .full)
        page = try fields.decodeIfPresent(Int.self, forKey: .page) ?? 0
        pages = try fields.decodeIfPresent(Int.self, forKey: .pages) ?? 1
        commands = try fields.decodeIfPresent([VersionedCommand].self, forKey: .commands) ?? []
        snapshot = try fields.decodeIfPresent(String.self, forKey: .snapshot) ?? ""
        leaders = try fields.decodeIfPresent([LeaderReport].self, forKey: .leaders) ?? []
    }
}

/// One command of the metadata log.
public struct VersionedCommand: Codable, Equatable, Sendable {
    /// The version that the metadata has once the command is applied.
    public var version: MetadataVersion
    /// The command as JSON text.
    public var command: String

    /// Makes one of its fields.
    public init(version: MetadataVersion, command: String) {
        self.version = version
        self.command = command
    }

    private enum CodingKeys: String, CodingKey {
        case version
        case command
    }
}

/// Which replica leads a group; the newest term wins.
public struct LeaderReport: Codable, Equatable, Sendable {
    /// The group.
    public var group: RaftGroupID
    /// The term in which it leads.
    public var term: Term
    /// The replica that leads.
    public var node: NodeID

    /// Makes one of its fields.
    public init(
        group: RaftGroupID,
        term: Term,
        node: NodeID
    ) {
        self.group = group
        self.term = term
        self.node = node
    }

    private enum CodingKeys: String, CodingKey {
        case group
        case term
        case node
    }
}

/// Pushes changes to a broker.
///
/// A broker whose version is not `fromVersion` pulls what it lacks with GetTopicMetadata.
public struct MetadataChangedRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = MetadataChangedResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.metadataChanged

    /// The version after the last command.
    public var version: MetadataVersion
    /// The version before the first command.
    public var fromVersion: MetadataVersion
    /// The changes, in order.
    public var commands: [VersionedCommand]
    /// Leaders that have changed since the last push.
    public var leaders: [LeaderReport]

    /// Makes one of its fields.
    public init(
        version: MetadataVersion,
        fromVersion: MetadataVersion,
        commands: [VersionedCommand] = [],
        leaders: [LeaderReport] = []
    ) {
        self.version = version
        self.fromVersion = fromVersion
        self.commands = commands
        self.leaders = leaders
    }

    private enum CodingKeys: String, CodingKey {
        case version
        case fromVersion = "from_version"
        case commands
        case leaders
    }

    /// Reads the fields; those with a default may be absent.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        version = try fields.decode(MetadataVersion.self, forKey: .version)
        fromVersion = try fields.decode(MetadataVersion.self, forKey: .fromVersion)
        commands = try fields.decodeIfPresent([VersionedCommand].self, forKey: .commands) ?? []
        leaders = try fields.decodeIfPresent([LeaderReport].self, forKey: .leaders) ?? []
    }
}

/// How far a broker has come.
public struct MetadataChangedResponse: Codable, Equatable, Sendable {
    /// The version that it has applied.
    public var metadataVersion: MetadataVersion

    /// Makes one of its fields.
    public init(metadataVersion: MetadataVersion) {
        self.metadataVersion = metadataVersion
    }

    private enum CodingKeys: String, CodingKey {
        case metadataVersion = "metadata_version"
    }
}
