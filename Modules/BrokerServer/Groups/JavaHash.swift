/// The hash that Kafka spreads groups over `__consumer_offsets` with: Java's `String.hashCode`.
///
/// - Shape: over UTF-16 code units, 31 times the sum so far plus the unit, wrapping at 32 bits.
func javaHash(_ text: String) -> Int32 {
    text.utf16.reduce(0) { $0 &* 31 &+ Int32($1) }
}

/// The partition that a key belongs to, as `Utils.abs(hash) % count` chooses it.
func coordinatorPartition(for key: String, of count: Int32) -> Int32 {
    precondition(count > 0, "\(count) partitions")
    let hash = javaHash(key)
    return (hash == Int32.min ? 0 : abs(hash)) % count
}
