import Model

/// A set of voters that decides by majority.
///
/// - Invariant: `ids` is sorted and names a voter once.
package struct MajorityConfig: Equatable, Sendable {
    package private(set) var ids: [NodeID]

    package init(_ ids: some Sequence<NodeID> = []) {
        self.ids = []
        for id in ids { insert(id) }
    }

    package var isEmpty: Bool { ids.isEmpty }
    package var count: Int { ids.count }

    package func contains(_ id: NodeID) -> Bool { ids.contains(id) }

    package mutating func insert(_ id: NodeID) {
        let place = ids.firstIndex { $0 >= id } ?? ids.endIndex
        if place < ids.endIndex, ids[place] == id { return }
        ids.insert(id, at: place)
    }

    package mutating func remove(_ id: NodeID) {
        if let place = ids.firstIndex(of: id) { ids.remove(at: place) }
    }

    /// How many ids are in exactly one of two sets.
    package func differenceCount(_ other: MajorityConfig) -> Int {
        var count = 0
        for id in ids where !other.contains(id) { count += 1 }
        for id in other.ids where !contains(id) { count += 1 }
        return count
    }

    /// The highest position that a majority has acknowledged; a voter without one counts as 0.
    ///
    /// The empty set agrees to everything, so that joining it to another one changes nothing.
    package func committedIndex(_ acknowledged: (NodeID) -> UInt64?) -> UInt64 {
        let count = ids.count
        if count == 0 { return .max }
        return withUnsafeTemporaryAllocation(of: UInt64.self, capacity: count) { sorted in
            // Insertion sort: a handful of voters, and no array of them on every acknowledgement.
            for (filled, id) in ids.enumerated() {
                let position = acknowledged(id) ?? 0
                var place = filled
                while place > 0, sorted[place - 1] > position {
                    sorted[place] = sorted[place - 1]
                    place -= 1
                }
                sorted[place] = position
            }
            return sorted[count - (count / 2 + 1)]
        }
    }

    /// Where the election stands, given what each voter has answered so far.
    package func voteResult(_ vote: (NodeID) -> Bool?) -> VoteResult {
        if ids.isEmpty { return .won }
        var granted = 0
        var missing = 0
        for id in ids {
            switch vote(id) {
            case true?: granted += 1
            case false?: break
            case nil: missing += 1
            }
        }
        let majority = ids.count / 2 + 1
        if granted >= majority { return .won }
        return granted + missing >= majority ? .pending : .lost
    }
}

extension MajorityConfig: CustomStringConvertible {
    /// The ids in hexadecimal between parentheses.
    package var description: String {
        "(" + ids.map(\.hexadecimal).joined(separator: " ") + ")"
    }

    /// A picture of who has acknowledged how much, for tests and tools.
    package func describe(_ acknowledged: (NodeID) -> UInt64?) -> String {
        if ids.isEmpty { return "<empty majority quorum>" }
        let positions = ids.map { acknowledged($0) }
        let width = ids.count
        var text = String(repeating: " ", count: width) + "    idx\n"
        for (id, position) in zip(ids, positions) {
            // The bar is as long as there are voters with a lower position.
            let rank = positions.count { ($0 ?? 0) < (position ?? 0) }
            if position == nil {
                text += "?" + String(repeating: " ", count: width)
            } else {
                text += String(repeating: "x", count: rank) + ">"
                text += String(repeating: " ", count: width - rank)
            }
            let digits = String(position ?? 0)
            text += " " + String(repeating: " ", count: max(0, 5 - digits.count)) + digits
            text += "    (id=\(id.hexadecimal))\n"
        }
        return text
    }
}

extension NodeID {
    /// The id as etcd's log lines show it.
    package var hexadecimal: String { String(rawValue, radix: 16) }
}
