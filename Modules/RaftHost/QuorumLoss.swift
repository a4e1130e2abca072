public import Model
public import Raft

extension ConfState {
    /// The voters that are missed when `node` asks whether it may stop; none when it may.
    ///
    /// It had better wait when the group has a quorum now, has none without it, and will have one
    /// as soon as those who are missed are back. Where nobody is away, as in a group of one replica
    /// or of two, waiting would not help; nor would it where the quorum is lost already.
    /// - Parameter isLive: whether another voter takes part; not asked of `node`.
    public func votersMissed(
        whenStopping node: NodeID,
        isLive: (NodeID) -> Bool
    ) -> [NodeID] {
        let halves = [voters, votersOutgoing].filter { !$0.isEmpty }
        guard halves.contains(where: { $0.contains(node) }) else { return [] }
        let others = halves.map { half in half.filter { $0 != node && isLive($0) } }
        func isQuorum(counting stopping: Bool) -> Bool {
            zip(halves, others).allSatisfy { half, live in
                let own = stopping && half.contains(node) ? 1 : 0
                return live.count + own > half.count / 2
            }
        }
        guard isQuorum(counting: true), !isQuorum(counting: false) else { return [] }
        var missed: [NodeID] = []
        for (half, live) in zip(halves, others) {
            missed += half.filter { $0 != node && !live.contains($0) && !missed.contains($0) }
        }
        return missed.sorted()
    }
}
