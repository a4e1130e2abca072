/// A configuration key that topics have.
public struct TopicConfig: Equatable, Sendable {
    /// The kind of value, with Kafka's numbers for DescribeConfigs.
    public enum Kind: Int8, Sendable {
        /// `true` or `false`.
        case boolean = 1
        /// A text.
        case string = 2
        /// A 32-bit integer.
        case int = 3
        /// A 64-bit integer.
        case long = 5
        /// A decimal fraction.
        case double = 6
        /// Texts separated by commas.
        case list = 7
    }

    /// Which values are legal.
    public enum Rule: Equatable, Sendable {
        /// An integer in a range.
        case integer(ClosedRange<Int64>)
        /// A fraction between 0 and 1.
        case ratio
        /// One of these texts.
        case oneOf([String])
        /// One or more of these texts.
        case someOf([String])
    }

    /// The key.
    public let name: String
    /// The kind of value.
    public let kind: Kind
    /// The value of topics that set none; Kafka's default.
    public let defaultValue: String
    /// Which values are legal.
    public let rule: Rule
    /// A sentence for people.
    public let documentation: String

    private init(
        _ name: String,
        _ kind: Kind,
        _ defaultValue: String,
        _ rule: Rule,
        _ documentation: String
    ) {
        self.name = name
        self.kind = kind
        self.defaultValue = defaultValue
        self.rule = rule
        self.documentation = documentation
    }

    /// Why `value` is illegal, or nil if it is legal.
    public func refusal(of value: String) -> String? {
        let isLegal =
            switch rule {
            case .integer(let range): Int64(value).map { range.contains($0) } ?? false
            case .ratio: Double(value).map { (0...1).contains($0) } ?? false
            case .oneOf(let texts): texts.contains(value)
            case .someOf(let texts): Self.isList(value, of: texts)
            }
        return isLegal ? nil : "Invalid value \(value) for configuration \(name)"
    }

    private static func isList(_ value: String, of texts: [String]) -> Bool {
        let parts = value.split(separator: ",", omittingEmptySubsequences: false)
        return parts.allSatisfy { part in texts.contains { $0 == part } }
    }

    /// The key of this name.
    public static func named(_ name: String) -> TopicConfig? { all.first { $0.name == name } }

    /// Why a topic cannot have these values, or nil if it can.
    public static func refusal(of configs: TopicConfigs) -> String? {
        for entry in configs.entries {
            guard let config = named(entry.key) else {
                return "Unknown topic config name: \(entry.key)"
            }
            if let refusal = config.refusal(of: entry.value) { return refusal }
        }
        return nil
    }
}

extension TopicConfig {
    private static let long: Rule = .integer(0...Int64.max)
    private static let neverMs = "9223372036854775807"

    /// Whether old segments are deleted, compacted, or both.
    public static let cleanupPolicy = TopicConfig(
        "cleanup.policy",
        .list,
        "delete",
        .someOf(["delete", "compact"]),
        "What becomes of old segments: delete, compact, or both."
    )
    /// The codec of stored batches: always the producer's own.
    public static let compressionType = TopicConfig(
        "compression.type",
        .string,
        "producer",
        .oneOf(["producer"]),
        "Batches are stored as the producer compressed them."
    )
    /// How long a deletion marker of a compacted topic is kept.
    public static let deleteRetentionMs = TopicConfig(
        "delete.retention.ms",
        .long,
        "86400000",
        long,
        "How long a record that deletes a key is kept in a compacted topic."
    )
    /// How long deleted files stay on disk.
    public static let fileDeleteDelayMs = TopicConfig(
        "file.delete.delay.ms",
        .long,
        "60000",
        long,
        "How long a deleted file stays on disk."
    )
    /// After how many messages data is forced to disk; every acknowledged batch is on disk anyway.
    public static let flushMessages = TopicConfig(
        "flush.messages",
        .long,
        neverMs,
        .integer(1...Int64.max),
        "Accepted for compatibility: acknowledged batches are always on disk."
    )
    /// After how long data is forced to disk; every acknowledged batch is on disk anyway.
    public static let flushMs = TopicConfig(
        "flush.ms",
        .long,
        neverMs,
        long,
        "Accepted for compatibility: acknowledged batches are always on disk."
    )
    /// How far apart index entries lie; here every batch has one.
    public static let indexIntervalBytes = TopicConfig(
        "index.interval.bytes",
        .int,
        "4096",
        .integer(0...Int64(Int32.max)),
        "Accepted for compatibility: every batch has an index entry."
    )
    /// After how long a record must be compacted.
    public static let maxCompactionLagMs = TopicConfig(
        "max.compaction.lag.ms",
        .long,
        neverMs,
        .integer(1...Int64.max),
        "The longest time that a record stays out of compaction."
    )
    /// The largest record batch.
    public static let maxMessageBytes = TopicConfig(
        "max.message.bytes",
        .int,
        "1048588",
        .integer(0...Int64(Int32.max)),
        "The largest record batch that is accepted, after compression."
    )
    /// How far in the future a record may lie.
    public static let messageTimestampAfterMaxMs = TopicConfig(
        "message.timestamp.after.max.ms",
        .long,
        neverMs,
        long,
        "How far in the future a record's time stamp may lie."
    )
    /// How far in the past a record may lie.
    public static let messageTimestampBeforeMaxMs = TopicConfig(
        "message.timestamp.before.max.ms",
        .long,
        neverMs,
        long,
        "How far in the past a record's time stamp may lie."
    )
    /// Whose clock stamps records.
    public static let messageTimestampType = TopicConfig(
        "message.timestamp.type",
        .string,
        "CreateTime",
        .oneOf(["CreateTime"]),
        "Always CreateTime: records carry their producer's time."
    )
    /// How dirty a log must be to be compacted.
    public static let minCleanableDirtyRatio = TopicConfig(
        "min.cleanable.dirty.ratio",
        .double,
        "0.5",
        .ratio,
        "The share of a log that must be uncompacted before it is compacted again."
    )
    /// How long a record stays out of compaction.
    public static let minCompactionLagMs = TopicConfig(
        "min.compaction.lag.ms",
        .long,
        "0",
        long,
        "The shortest time that a record stays out of compaction."
    )
    /// How many replicas must be alive for `acks=all`.
    public static let minInsyncReplicas = TopicConfig(
        "min.insync.replicas",
        .int,
        "1",
        .integer(1...Int64(Int32.max)),
        "How many replicas must be alive for acks=all; a majority always must."
    )
    /// Whether segment files are preallocated.
    public static let preallocate = TopicConfig(
        "preallocate",
        .boolean,
        "false",
        .oneOf(["true", "false"]),
        "Accepted for compatibility: files grow in large steps."
    )
    /// How many bytes of a partition are kept.
    public static let retentionBytes = TopicConfig(
        "retention.bytes",
        .long,
        "-1",
        .integer(-1...Int64.max),
        "How many bytes of a partition are kept; -1 is without limit."
    )
    /// How long records are kept.
    public static let retentionMs = TopicConfig(
        "retention.ms",
        .long,
        "604800000",
        .integer(-1...Int64.max),
        "How long records are kept; -1 is for ever."
    )
    /// How large a segment grows.
    public static let segmentBytes = TopicConfig(
        "segment.bytes",
        .int,
        "1073741824",
        .integer(14...Int64(Int32.max)),
        "The size at which a new segment begins."
    )
    /// How large an index file grows; here an index is as long as its segment needs.
    public static let segmentIndexBytes = TopicConfig(
        "segment.index.bytes",
        .int,
        "10485760",
        .integer(4...Int64(Int32.max)),
        "Accepted for compatibility: an index is as long as its segment needs."
    )
    /// How much earlier than `segment.ms` a segment may end.
    public static let segmentJitterMs = TopicConfig(
        "segment.jitter.ms",
        .long,
        "0",
        long,
        "How much earlier than segment.ms a segment may end, drawn at random."
    )
    /// How old a segment grows.
    public static let segmentMs = TopicConfig(
        "segment.ms",
        .long,
        "604800000",
        .integer(1...Int64.max),
        "The age at which a new segment begins."
    )
    /// Whether a replica that lacks acknowledged records may lead: never.
    public static let uncleanLeaderElectionEnable = TopicConfig(
        "unclean.leader.election.enable",
        .boolean,
        "false",
        .oneOf(["false"]),
        "Always false: a leader has every acknowledged record."
    )

    /// Every key, in order of names: what DescribeConfigs lists.
    public static let all: [TopicConfig] = [
        cleanupPolicy, compressionType, deleteRetentionMs, fileDeleteDelayMs, flushMessages,
        flushMs, indexIntervalBytes, maxCompactionLagMs, maxMessageBytes,
        messageTimestampAfterMaxMs, messageTimestampBeforeMaxMs, messageTimestampType,
        minCleanableDirtyRatio, minCompactionLagMs, minInsyncReplicas, preallocate,
        retentionBytes, retentionMs, segmentBytes, segmentIndexBytes, segmentJitterMs, segmentMs,
        uncleanLeaderElectionEnable,
    ]
}
