import Model

/// Who votes and who learns.
///
/// - Invariant: nobody is voter and learner at once; `learnersNext` are outgoing voters.
package struct MemberConfig: Equatable, Sendable {
    package var voters = JointConfig()
    /// Who receives entries without voting.
    package var learners = MajorityConfig()
    /// Outgoing voters that will be learners once the joint configuration is left.
    ///
    /// They stay voters until then, because both halves of a joint configuration vote.
    package var learnersNext = MajorityConfig()
    /// Whether the leader leaves the joint configuration as soon as it is applied.
    package var autoLeave = false

    package init() {}

    /// The form that snapshots carry.
    package var confState: ConfState {
        ConfState(
            voters: voters.incoming.ids,
            votersOutgoing: voters.outgoing.ids,
            learners: learners.ids,
            learnersNext: learnersNext.ids,
            autoLeave: autoLeave
        )
    }
}

extension MemberConfig: CustomStringConvertible {
    /// The members in etcd's words.
    package var description: String {
        var text = "voters=\(voters)"
        if !learners.isEmpty { text += " learners=\(learners)" }
        if !learnersNext.isEmpty { text += " learners_next=\(learnersNext)" }
        if autoLeave { text += " autoleave" }
        return text
    }
}
