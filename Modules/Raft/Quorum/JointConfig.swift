import Model

/// Two sets of voters that must both agree; the outgoing one is empty outside of transitions.
///
/// - Source: Raft thesis 4.3.
package struct JointConfig: Equatable, Sendable {
    package var incoming: MajorityConfig
    package var outgoing: MajorityConfig

    package init(
        incoming: MajorityConfig = MajorityConfig(),
        outgoing: MajorityConfig = MajorityConfig()
    ) {
        self.incoming = incoming
        self.outgoing = outgoing
    }

    package var isJoint: Bool { !outgoing.isEmpty }

    /// Whether the node votes in either half.
    package func contains(_ id: NodeID) -> Bool {
        incoming.contains(id) || outgoing.contains(id)
    }

    /// The voters of both halves, sorted.
    package var ids: [NodeID] {
        isJoint ? MajorityConfig(incoming.ids + outgoing.ids).ids : incoming.ids
    }

    /// The highest position that both halves have acknowledged.
    package func committedIndex(_ acknowledged: (NodeID) -> UInt64?) -> UInt64 {
        let position = incoming.committedIndex(acknowledged)
        return isJoint ? min(position, outgoing.committedIndex(acknowledged)) : position
    }

    /// Won if both halves agree, lost if either refuses.
    package func voteResult(_ vote: (NodeID) -> Bool?) -> VoteResult {
        switch (incoming.voteResult(vote), outgoing.voteResult(vote)) {
        case (.won, .won): .won
        case (.lost, _), (_, .lost): .lost
        default: .pending
        }
    }

    /// A picture of who has acknowledged how much, for tests and tools.
    package func describe(_ acknowledged: (NodeID) -> UInt64?) -> String {
        MajorityConfig(ids).describe(acknowledged)
    }
}

extension JointConfig: CustomStringConvertible {
    /// The incoming half and, in a transition, the outgoing one.
    package var description: String {
        isJoint ? "\(incoming)&&\(outgoing)" : "\(incoming)"
    }
}
