/// A small generator of numbers that depend on nothing but the seed.
///
/// - Source: Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014.
struct SplitMix64: Sendable {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// A number in `0 ..< limit`; the high half of a product, which is even enough for timeouts.
    mutating func next(below limit: Int) -> Int {
        precondition(limit > 0, "no number is below \(limit)")
        return Int(next().multipliedFullWidth(by: UInt64(limit)).high)
    }
}
