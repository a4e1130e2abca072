public import Model

/// Who leads a partition's Raft group, as somebody reported it.
public struct PartitionLeader: Equatable, Sendable {
    /// The group.
    public var group: RaftGroupID
    /// The term in which it leads: Kafka's leader epoch.
    public var term: Term
    /// The leading replica.
    public var node: NodeID

    /// Describes a report.
    public init(group: RaftGroupID, term: Term, node: NodeID) {
        self.group = group
        self.term = term
        self.node = node
    }
}

/// Who leads which group: soft state, gathered from reports and never logged.
///
/// - Invariant: of several reports about a group the one with the newest term is kept; a term has
///   one leader, so that the order of reports does not matter.
public struct LeaderTable: Equatable, Sendable {
    /// Every report, in order of group ids.
    public private(set) var all: [PartitionLeader] = []

    /// An empty table.
    public init() {}

    /// Takes a report; true if it was news.
    @discardableResult
    public mutating func take(_ report: PartitionLeader) -> Bool {
        let position = all.firstPosition { $0.group >= report.group }
        guard position < all.count, all[position].group == report.group else {
            all.insert(report, at: position)
            return true
        }
        guard all[position].term < report.term else { return false }
        all[position] = report
        return true
    }

    /// The newest report about a group.
    public func leader(of group: RaftGroupID) -> PartitionLeader? {
        let position = all.firstPosition { $0.group >= group }
        return position < all.count && all[position].group == group ? all[position] : nil
    }

    /// Forgets a group, because it was deleted.
    public mutating func forget(_ group: RaftGroupID) {
        let position = all.firstPosition { $0.group >= group }
        if position < all.count, all[position].group == group { all.remove(at: position) }
    }

    /// How many groups have a known leader.
    public var count: Int { all.count }
}
