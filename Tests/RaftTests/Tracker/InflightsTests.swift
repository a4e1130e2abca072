import Model
import Raft
import Testing

/// The window of appends that a member has not answered.
@Suite struct InflightsTests {
    /// The indexes `first ..< end`, each with 100 bytes more than its index.
    private func add(_ window: inout Inflights, _ first: UInt64, _ end: UInt64) {
        for index in first..<end { window.add(LogIndex(index), bytes: 100 + Int(index)) }
    }

    @Test func `a window counts messages and bytes, round and round`() {
        var window = Inflights(countMax: 10, bytesMax: 0)
        add(&window, 0, 5)
        #expect(window.count == 5)
        #expect(window.bytes == 510)
        add(&window, 5, 10)
        #expect(window.count == 10)
        #expect(window.bytes == 1_045)
        #expect(window.isFull)
        // Half of them leave; their places are used again.
        window.free(upTo: 4)
        add(&window, 10, 15)
        #expect(window.count == 10)
        #expect(window.bytes == 1_095)
        window.free(upTo: 12)
        #expect(window.count == 2)
        #expect(window.bytes == 113 + 114)
    }

    @Test func `an acknowledgement frees its message and all before it`() {
        var window = Inflights(countMax: 10, bytesMax: 0)
        add(&window, 0, 10)
        for (index, count, bytes) in [(0, 9, 945), (4, 5, 535), (8, 1, 109)] {
            window.free(upTo: LogIndex(UInt64(index)))
            #expect(window.count == count)
            #expect(window.bytes == bytes)
        }
        window.free(upTo: 3)
        #expect(window.count == 1, "an older acknowledgement frees nothing")
        add(&window, 10, 15)
        window.free(upTo: 12)
        #expect(window.count == 2)
        #expect(window.bytes == 227)
        window.free(upTo: 14)
        #expect(window.count == 0)
        #expect(window.bytes == 0)
    }

    @Test(
        arguments: [
            (1, 0, 1, 1, 2), (1, 10, 1, 1, 2), (15, 0, 15, 6, 22), (8, 400, 4, 2, 7),
            (8, 406, 4, 3, 8), (15, 408, 5, 1, 6),
        ] as [(Int, Int, UInt64, UInt64, UInt64)]
    )
    func `a window is full by messages or by bytes, overshot by one message`(
        countMax: Int,
        bytesMax: Int,
        fullAt: UInt64,
        acknowledged: UInt64,
        fullAgainAt: UInt64
    ) {
        var window = Inflights(countMax: countMax, bytesMax: bytesMax)
        func fill(_ first: UInt64, _ end: UInt64) {
            for index in first..<end {
                #expect(!window.isFull, "full at \(index), not at \(end)")
                add(&window, index, index + 1)
            }
            #expect(window.isFull)
        }
        fill(0, fullAt)
        window.free(upTo: LogIndex(acknowledged))
        fill(fullAt, fullAgainAt)
    }

    @Test func `a full window takes nothing more`() async {
        await #expect(processExitsWith: .failure) {
            var window = Inflights(countMax: 1, bytesMax: 0)
            window.add(1, bytes: 1)
            window.add(2, bytes: 1)
        }
    }

    @Test func `a window that is reset is empty and can be used again`() {
        var window = Inflights(countMax: 3, bytesMax: 1_000)
        add(&window, 0, 3)
        window.reset()
        #expect(window.count == 0)
        #expect(window.bytes == 0)
        add(&window, 5, 8)
        #expect(window.isFull)
        window.free(upTo: 7)
        #expect(window.count == 0)
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
