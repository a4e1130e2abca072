/// An offset that a group has committed for a partition.
struct CommittedOffset: Equatable, Sendable {
    var offset: Int64
    /// The epoch of the record before it, or -1.
    var leaderEpoch: Int32
    /// The client's note; at most `offsetMetadataBytesMax`.
    var metadata: String
    /// Milliseconds since 1970.
    var commitTimestamp: Int64
}

/// One record of `__consumer_offsets`; nil in place of the value is a tombstone.
enum GroupRecord: Equatable, Sendable {
    case offset(group: String, topic: String, partition: Int32, CommittedOffset?)
    case group(String, GroupImage?)
}

/// What the records of one partition of `__consumer_offsets` say: every replica keeps it.
///
/// - Invariant: a pure function of the committed records, in their order.
struct GroupStore: Equatable, Sendable {
    /// A group as stored.
    struct Group: Equatable, Sendable {
        var image: GroupImage?
        var offsets: [String: [Int32: CommittedOffset]] = [:]
        var offsetCount = 0

        var isEmpty: Bool { image == nil && offsetCount == 0 }
    }

    private(set) var groups: [String: Group] = [:]

    /// Takes the next committed record.
    mutating func apply(_ record: GroupRecord) {
        switch record {
        case .group(let id, let image):
            groups[id, default: Group()].image = image
            dropIfEmpty(id)
        case .offset(let id, let topic, let partition, let offset?):
            let old = groups[id, default: Group()].offsets[topic, default: [:]]
                .updateValue(offset, forKey: partition)
            if old == nil { groups[id, default: Group()].offsetCount += 1 }
        case .offset(let id, let topic, let partition, nil):
            guard groups[id]?.offsets[topic]?.removeValue(forKey: partition) != nil else { return }
            groups[id]?.offsetCount -= 1
            if groups[id]?.offsets[topic]?.isEmpty == true { groups[id]?.offsets[topic] = nil }
            dropIfEmpty(id)
        }
    }

    /// The offset that a group has committed for a partition.
    func offset(_ group: String, _ topic: String, _ partition: Int32) -> CommittedOffset? {
        groups[group]?.offsets[topic]?[partition]
    }

    private mutating func dropIfEmpty(_ id: String) {
        if groups[id]?.isEmpty == true { groups[id] = nil }
    }
}

extension GroupStore {
    /// The tombstones for every offset of a deleted topic.
    func tombstones(ofTopic topic: String) -> [GroupRecord] {
        groups.keys.sorted().flatMap { id in
            (groups[id]?.offsets[topic]?.keys.sorted() ?? []).map {
                .offset(group: id, topic: topic, partition: $0, nil)
            }
        }
    }

    /// The tombstones for what an empty group has kept for longer than `retention`.
    ///
    /// A group that once had members counts from when the last one left, others from the commit.
    func expired(_ id: String, now: Int64, retention: Int64) -> [GroupRecord] {
        guard let group = groups[id] else { return [] }
        let since = group.image?.stateTimestamp ?? Int64.min
        var records: [GroupRecord] = []
        for topic in group.offsets.keys.sorted() {
            for (partition, offset) in (group.offsets[topic] ?? [:]).sorted(by: { $0.key < $1.key })
            where now - max(since, offset.commitTimestamp) >= retention {
                records.append(.offset(group: id, topic: topic, partition: partition, nil))
            }
        }
        if group.image != nil, records.count == group.offsetCount {
            records.append(.group(id, nil))
        }
        return records
    }
}
