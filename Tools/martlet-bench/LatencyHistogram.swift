/// Durations counted by size, each within 1.6 % of its true value.
///
/// - Shape: 64 buckets for each power of two, so that 40 powers take 20 KiB.
struct LatencyHistogram {
    private var counts = [UInt64](repeating: 0, count: 64 * 42)
    /// How many were counted.
    private(set) var count: UInt64 = 0
    /// The longest.
    private(set) var longest: UInt64 = 0
    private var sum: UInt64 = 0

    /// Counts a duration.
    mutating func add(nanoseconds: UInt64) {
        counts[Self.bucket(nanoseconds)] += 1
        count += 1
        sum &+= nanoseconds
        longest = max(longest, nanoseconds)
    }

    /// Adds what another one counted.
    mutating func add(_ other: LatencyHistogram) {
        for place in counts.indices { counts[place] += other.counts[place] }
        count += other.count
        sum &+= other.sum
        longest = max(longest, other.longest)
    }

    /// The mean.
    var mean: UInt64 { count == 0 ? 0 : sum / count }

    /// The duration that the given share of all does not exceed; 0 if there are none.
    func percentile(_ share: Double) -> UInt64 {
        guard count > 0 else { return 0 }
        let rank = UInt64((Double(count) * share).rounded(.up))
        var seen: UInt64 = 0
        for (place, number) in counts.enumerated() {
            seen += number
            if seen >= max(1, rank) { return min(longest, Self.middle(place)) }
        }
        return longest
    }

    private static func bucket(_ value: UInt64) -> Int {
        guard value >= 128 else { return Int(value) }
        let power = 63 - value.leadingZeroBitCount
        let place = (power - 6) * 64 + Int(value >> UInt64(power - 6))
        return min(place, 64 * 42 - 1)
    }

    private static func middle(_ bucket: Int) -> UInt64 {
        guard bucket >= 128 else { return UInt64(bucket) }
        let shift = UInt64(bucket / 64 - 1)
        let low = UInt64(bucket % 64 + 64) << shift
        return low + (1 << shift) / 2
    }
}
