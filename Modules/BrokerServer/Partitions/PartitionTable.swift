import Model
import RaftLog

/// The partitions of one topic that this broker hosts.
///
/// - Thread: the broker's event loop.
final class HostedTopic {
    let name: String
    let id: TopicID
    /// Whether the topic is Martlet's own: clients read it and never write it.
    let isInternal: Bool
    /// By partition number; nil where this broker hosts no replica.
    fileprivate(set) var partitions: [Partition?] = []

    init(name: String, id: TopicID) {
        self.name = name
        self.id = id
        self.isInternal = TopicName(name)?.isInternal ?? false
    }

    /// The replica of a partition, if it is hosted here.
    func partition(_ id: Int32) -> Partition? {
        guard id >= 0, Int(id) < partitions.count else { return nil }
        return partitions[Int(id)]
    }
}

/// The partitions that this broker hosts, by group, by topic name and by topic id.
///
/// - Thread: the broker's event loop.
/// - Invariant: all views hold the same partitions. A name belongs to one topic id at a
///   time: of two that were hosted under one name, the later one is found by it.
final class PartitionTable {
    private var byGroup: [RaftGroupID: Partition] = [:]
    private var byName: [String: HostedTopic] = [:]
    private var byID: [TopicID: HostedTopic] = [:]
    /// Rises with every change, so that a connection can keep what it looked up.
    private(set) var generation: UInt64 = 0

    /// A partition number above this comes from no real topic: the array stays small.
    static let partitionsMax: Int32 = 200_000

    /// How many partitions are hosted.
    var count: Int { byGroup.count }

    /// All partitions, in the order of their groups.
    private(set) var all: [Partition] = []

    /// The partition of a Raft group.
    func partition(of group: RaftGroupID) -> Partition? { byGroup[group] }

    /// The topic with this name, if any of its partitions is hosted here.
    func topic(named name: String) -> HostedTopic? { byName[name] }

    /// The topic with this id, if any of its partitions is hosted here.
    func topic(_ id: TopicID) -> HostedTopic? { byID[id] }

    /// A partition by name, if it is hosted here.
    func partition(_ topic: String, _ id: Int32) -> Partition? { byName[topic]?.partition(id) }

    /// Where a group stands in `all`, or would stand.
    private func place(of group: RaftGroupID) -> Int {
        var (low, high) = (0, all.count)
        while low < high {
            let middle = (low + high) / 2
            if all[middle].identity.group < group { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Takes a partition in.
    func insert(_ partition: Partition) {
        let identity = partition.identity
        precondition(byGroup[identity.group] == nil, "group \(identity.group) is there already")
        precondition((0..<Self.partitionsMax).contains(partition.id), "partition \(partition.id)")
        byGroup[identity.group] = partition
        all.insert(partition, at: place(of: identity.group))
        let topic =
            byID[identity.topicID] ?? HostedTopic(name: partition.topic, id: identity.topicID)
        let place = Int(partition.id)
        while topic.partitions.count <= place { topic.partitions.append(nil) }
        topic.partitions[place] = partition
        byID[identity.topicID] = topic
        byName[partition.topic] = topic
        generation += 1
    }

    /// Lets a partition go.
    func remove(_ group: RaftGroupID) -> Partition? {
        guard let partition = byGroup.removeValue(forKey: group) else { return nil }
        all.remove(at: place(of: group))
        generation += 1
        let id = partition.identity.topicID
        guard let topic = byID[id] else { return partition }
        if topic.partitions[Int(partition.id)] === partition {
            topic.partitions[Int(partition.id)] = nil
        }
        if topic.partitions.allSatisfy({ $0 == nil }) {
            byID[id] = nil
            if byName[partition.topic] === topic {
                // Another topic of that name may be hosted beside the one that is deleted.
                byName[partition.topic] = byID.values.first { $0.name == partition.topic }
            }
        }
        return partition
    }
}
