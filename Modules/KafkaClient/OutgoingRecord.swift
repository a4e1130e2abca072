public import RecordBatch

/// A record on its way to a partition.
public struct OutgoingRecord: Sendable {
    /// Where it goes.
    public var partition: PartitionName
    /// Its key, or nil.
    public var key: [UInt8]?
    /// Its value; nil is a tombstone.
    public var value: [UInt8]?
    /// Its headers.
    public var headers: [Record.Header]
    /// Milliseconds since 1970.
    public var timestamp: Int64
    /// The caller's mark, which the report repeats.
    public var tag: UInt64

    /// Describes a record.
    public init(
        partition: PartitionName,
        key: [UInt8]? = nil,
        value: [UInt8]?,
        headers: [Record.Header] = [],
        timestamp: Int64,
        tag: UInt64 = 0
    ) {
        self.partition = partition
        self.key = key
        self.value = value
        self.headers = headers
        self.timestamp = timestamp
        self.tag = tag
    }
}

/// What became of the records of one batch.
public struct DeliveryReport: Sendable {
    /// Where they went.
    public let partition: PartitionName
    /// The offset of the first one; -1 when the broker does not tell.
    public let baseOffset: Int64
    /// The marks of the records, in order.
    public let tags: [UInt64]
    /// Why they were not written; nil when they were.
    public let error: KafkaClientError?
    /// Whether they may have been written in spite of the error.
    public let mayExist: Bool
}

/// Kafka's way to choose a partition for a key.
///
/// - Source: Kafka's `BuiltInPartitioner`: 32-bit MurmurHash 2 with its seed, sign bit cleared.
public enum KeyPartitioner {
    /// The partition that every Kafka client in Java would choose.
    public static func partition(forKey key: [UInt8], of count: Int32) -> Int32 {
        precondition(count > 0, "\(count) partitions")
        return Int32(murmur2(key) & 0x7fff_ffff) % count
    }

    static func murmur2(_ bytes: [UInt8]) -> UInt32 {
        let mixer: UInt32 = 0x5bd1_e995
        var hash = 0x9747_b28c ^ UInt32(truncatingIfNeeded: bytes.count)
        var position = 0
        while position + 4 <= bytes.count {
            var word = UInt32(bytes[position]) | UInt32(bytes[position + 1]) << 8
            word |= UInt32(bytes[position + 2]) << 16 | UInt32(bytes[position + 3]) << 24
            word = word &* mixer
            word = (word ^ word >> 24) &* mixer
            hash = hash &* mixer ^ word
            position += 4
        }
        let rest = bytes.count - position
        if rest >= 3 { hash ^= UInt32(bytes[position + 2]) << 16 }
        if rest >= 2 { hash ^= UInt32(bytes[position + 1]) << 8 }
        if rest >= 1 { hash = (hash ^ UInt32(bytes[position])) &* mixer }
        hash = (hash ^ hash >> 13) &* mixer
        return hash ^ hash >> 15
    }
}
