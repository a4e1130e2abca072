import Model
import Raft
import Testing

@Suite struct QuorumTests {
    @Test func `the committed index is the highest that a majority has`() {
        var random = Random(seed: 3)
        for _ in 0..<2_000 {
            let ids = (0..<1 + random.below(9)).map { _ in NodeID(UInt64(1 + random.below(20))) }
            let majority = MajorityConfig(ids)
            let known = majority.ids.map {
                ($0, random.below(4) == 0 ? nil : UInt64(random.below(6)))
            }
            func acknowledged(_ id: NodeID) -> UInt64? { known.first { $0.0 == id }?.1 }
            let index = majority.committedIndex(acknowledged)
            func reached(_ index: UInt64) -> Int {
                majority.ids.count { (acknowledged($0) ?? 0) >= index }
            }
            #expect(reached(index) * 2 > majority.count)
            #expect(reached(index + 1) * 2 <= majority.count)
        }
    }

    @Test func `a window keeps its limits and forgets in order`() {
        var random = Random(seed: 8)
        for _ in 0..<200 {
            let (countMax, bytesMax) = (1 + random.below(9), random.below(50))
            var window = Inflights(countMax: countMax, bytesMax: bytesMax)
            var model: [(LogIndex, Int)] = []
            var next: LogIndex = 1
            for _ in 0..<100 {
                if random.below(3) > 0, !window.isFull {
                    let bytes = random.below(20)
                    window.add(next, bytes: bytes)
                    model.append((next, bytes))
                    next += UInt64(1 + random.below(3))
                } else {
                    let acknowledged = LogIndex(UInt64(random.below(Int(next.rawValue) + 1)))
                    window.free(upTo: acknowledged)
                    model.removeAll { $0.0 <= acknowledged }
                }
                #expect(window.count == model.count)
                #expect(window.bytes == model.reduce(0) { $0 + $1.1 })
            }
        }
    }
}

/// Numbers for tests that depend on the seed alone.
struct Random {
    private var state: UInt64

    init(seed: UInt64) { self.state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state &* 0x2545_f491_4f6c_dd1d
    }

    mutating func below(_ limit: Int) -> Int { Int(next() >> 33) % limit }
}
