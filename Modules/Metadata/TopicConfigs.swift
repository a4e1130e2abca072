/// One configuration that was set for a topic.
public struct ConfigEntry: Codable, Equatable, Sendable {
    /// The key, as Kafka names it.
    public var key: String
    /// The value as text.
    public var value: String

    /// Joins key and value.
    public init(_ key: String, _ value: String) {
        self.key = key
        self.value = value
    }
}

/// What was configured for a topic; everything else has its default.
///
/// - Shape: entries in order of their keys, each key once.
public struct TopicConfigs: Equatable, Sendable {
    /// The entries.
    public private(set) var entries: [ConfigEntry]

    /// Nothing but defaults.
    public static let defaults = TopicConfigs([])

    /// Takes entries in any order; of two with one key the later is kept.
    public init(_ entries: [ConfigEntry]) {
        self.entries = []
        for entry in entries { self[entry.key] = entry.value }
    }

    /// The value that was set for a key, or nil for the default.
    public subscript(key: String) -> String? {
        get {
            let position = position(of: key)
            return holds(key, at: position) ? entries[position].value : nil
        }
        set {
            let position = position(of: key)
            let isHeld = holds(key, at: position)
            if let newValue {
                if isHeld {
                    entries[position].value = newValue
                } else {
                    entries.insert(ConfigEntry(key, newValue), at: position)
                }
            } else if isHeld {
                entries.remove(at: position)
            }
        }
    }

    /// The value that is in force for a known key: what was set, or its default.
    public func value(_ config: TopicConfig) -> String { self[config.name] ?? config.defaultValue }

    private func holds(_ key: String, at position: Int) -> Bool {
        position < entries.count && entries[position].key == key
    }

    private func position(of key: String) -> Int {
        var low = 0
        var high = entries.count
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].key < key { low = middle + 1 } else { high = middle }
        }
        return low
    }

    private func integer(_ config: TopicConfig) -> Int64 {
        // Values are validated before they are replicated; a foreign one falls to the default.
        Int64(value(config)) ?? Int64(config.defaultValue) ?? 0
    }
}

extension TopicConfigs: Codable {
    /// Reads the entries.
    public init(from decoder: any Decoder) throws {
        self.init(try [ConfigEntry](from: decoder))
    }

    /// Writes the entries.
    public func encode(to encoder: any Encoder) throws { try entries.encode(to: encoder) }
}

extension TopicConfigs {
    /// The largest record batch that is accepted; bytes.
    public var maxMessageBytes: Int { Int(integer(.maxMessageBytes)) }
    /// How long closed segments are kept; milliseconds, -1 for ever.
    public var retentionMs: Int64 { integer(.retentionMs) }
    /// How many bytes of a partition are kept; -1 without limit.
    public var retentionBytes: Int64 { integer(.retentionBytes) }
    /// How large a segment grows; bytes.
    public var segmentBytes: Int { Int(integer(.segmentBytes)) }
    /// How old a segment grows; milliseconds.
    public var segmentMs: Int64 { integer(.segmentMs) }
    /// How many replicas must be alive for `acks=all`.
    public var minInsyncReplicas: Int { Int(integer(.minInsyncReplicas)) }
    /// Whether old segments are deleted.
    public var isDeleted: Bool { policies.contains("delete") }
    /// Whether only the newest record of each key is kept.
    public var isCompacted: Bool { policies.contains("compact") }
    /// How far a record's time stamp may lie in the past; milliseconds.
    public var messageTimestampBeforeMaxMs: Int64 { integer(.messageTimestampBeforeMaxMs) }
    /// How far a record's time stamp may lie in the future; milliseconds.
    public var messageTimestampAfterMaxMs: Int64 { integer(.messageTimestampAfterMaxMs) }

    private var policies: [Substring] { value(.cleanupPolicy).split(separator: ",") }
}
