/// What happened, as a running hash, and as lines for a person who asks for them.
///
/// - Source of the hash: FNV-1a, 64 bits, over the numbers of every event.
struct Trace {
    /// The hash so far.
    private(set) var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    /// Who reads along; nil when nobody does, and then no line is built.
    let reader: ((String) -> Void)?

    mutating func mix(_ values: UInt64...) {
        for value in values {
            var rest = value
            for _ in 0..<8 {
                hash = (hash ^ (rest & 0xff)) &* 0x0000_0100_0000_01b3
                rest >>= 8
            }
        }
    }

    /// Tells the reader: seconds, who, what, details, in columns.
    func tell(
        _ time: UInt64,
        _ who: @autoclosure () -> String,
        _ what: @autoclosure () -> String,
        _ details: @autoclosure () -> String = ""
    ) {
        guard let reader else { return }
        let seconds = "\(time / 1_000_000)"
        let fraction = "\(1_000_000 + time % 1_000_000)".dropFirst()
        let clock = String(repeating: " ", count: max(0, 5 - seconds.count)) + seconds
        let who = who().padded(to: 5)
        reader("\(clock).\(fraction)  \(who)  \(what().padded(to: 11))  \(details())")
    }
}

extension String {
    func padded(to width: Int) -> String {
        self + String(repeating: " ", count: Swift.max(0, width - count))
    }
}
