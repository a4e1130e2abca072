/// The voters of a group; in a transition, of both halves.
struct Configuration: Equatable {
    var incoming: [UInt64] = []
    var outgoing: [UInt64] = []

    var isJoint: Bool { !outgoing.isEmpty }
    var isEmpty: Bool { incoming.isEmpty && outgoing.isEmpty }

    func contains(_ node: UInt64) -> Bool { incoming.contains(node) || outgoing.contains(node) }

    /// Whether those that meet a condition are a majority of each half.
    func isQuorum(_ condition: (UInt64) -> Bool) -> Bool {
        !isEmpty && Self.isMajority(of: incoming, condition)
            && Self.isMajority(of: outgoing, condition)
    }

    private static func isMajority(of half: [UInt64], _ condition: (UInt64) -> Bool) -> Bool {
        half.isEmpty || 2 * half.count(where: condition) > half.count
    }

    /// Whether proposed changes lead from this configuration to another one.
    func becomes(_ other: Configuration, by changes: [MemberChange]) -> Bool {
        guard !isJoint else { return false }
        var voters = Set(incoming)
        for change in changes {
            switch change.action {
            case .addVoter: voters.insert(change.node)
            case .remove, .addLearner: voters.remove(change.node)
            }
        }
        guard voters == Set(other.incoming) else { return false }
        if other.isJoint { return other.outgoing == incoming }
        // Without a transition only one voter may come or go: then old and new quorums meet.
        return voters.symmetricDifference(incoming).count <= 1
    }

    /// Whether the other one is what is left of this transition when it ends.
    func leaves(to other: Configuration) -> Bool {
        isJoint && !other.isJoint && other.incoming == incoming
    }
}

extension Configuration: CustomStringConvertible {
    var description: String { isJoint ? "\(incoming)&&\(outgoing)" : "\(incoming)" }
}
