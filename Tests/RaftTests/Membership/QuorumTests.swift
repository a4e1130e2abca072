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

    @Test(
        arguments: [
            ([101, 102, 103], ["> ", "x>", "xx>"]), ([100, 100, 100], ["> ", "> ", "> "]),
            ([100, 102, 102], ["> ", "x>", "x>"]), ([101, nil, 103], ["x>", "? ", "xx>"]),
        ] as [([UInt64?], [String])]
    )
    func `a picture shows who has acknowledged more than how many others`(
        positions: [UInt64?],
        bars: [String]
    ) {
        let text = MajorityConfig([1, 2, 3]).describe { positions[Int($0.rawValue) - 1] }
        let lines = text.split(separator: "\n")
        #expect(lines.first == "       idx")
        #expect(lines.count == 4)
        for (place, line) in lines.dropFirst().enumerated() {
            #expect(line.hasPrefix(bars[place]))
            let position = positions[place] ?? 0
            #expect(line.hasSuffix(" \(position)    (id=\(place + 1))"))
        }
    }
}
