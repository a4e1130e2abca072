import Model

// Where replicas lie: moves, replacements, and what the groups themselves have committed.
extension ClusterMetadata {
    mutating func reassign(_ move: PartitionReassignment) -> [Effect] {
        guard let place = place(of: move.group) else {
            return [.refused(.unknownGroup(move.group))]
        }
        var info = topics[place.topic].partitions[place.partition]
        guard let ids = move.brokers ?? info.reassignment?.original else {
            return [.refused(.notReassigned(move.group))]
        }
        if let refusal = refusal(of: [ids]) { return [.refused(refusal)] }
        let before = info.desired.map(\.node)
        let target = ids.map { id in
            guard let broker = broker(id) else { preconditionFailure("unknown broker \(id)") }
            return info.place(on: id, broker.directoryID)
        }
        guard target != before else { return [] }
        info.aim(at: target, before: before, version)
        set(info, at: place)
        return [.reassignmentChanged(info.group)]
    }

    mutating func replace(_ references: [ReplicaReference]) -> [Effect] {
        var effects: [Effect] = []
        for reference in references {
            guard let place = place(of: reference.group) else { continue }
            var info = topics[place.topic].partitions[place.partition]
            let before = info.desired.map(\.node)
            guard before.contains(reference.node), let lost = info.replica(reference.node),
                let broker = broker(lost.broker)
            else { continue }
            let new = info.replacement(for: lost, broker.directoryID)
            let target = before.map { $0 == lost.node ? new : $0 }
            info.aim(at: target, before: before, version)
            set(info, at: place)
            effects.append(.replicaReplaced(reference, by: new))
        }
        return effects
    }

    mutating func settle(_ members: GroupMembers) -> [Effect] {
        guard let place = place(of: members.group) else { return [] }
        var info = topics[place.topic].partitions[place.partition]
        let (removed, isFinished) = info.settle(members)
        guard !removed.isEmpty || isFinished else { return [] }
        set(info, at: place)
        // What lay in a directory that is gone cannot be deleted, and need not be.
        let kept = removed.filter { broker($0.broker)?.directoryID == $0.directoryID }
        bury(kept.map(\.node), of: info, topics[place.topic])
        var effects: [Effect] = []
        if !removed.isEmpty {
            effects.append(
                .replicasRemoved(
                    removed.map { ReplicaReference(group: info.group, node: $0.node) }
                )
            )
        }
        if isFinished { effects.append(.reassignmentFinished(info.group)) }
        return effects
    }

    /// Remembers replicas until their data are gone.
    mutating func bury(_ nodes: [NodeID], of info: PartitionInfo, _ topic: TopicInfo) {
        guard !nodes.isEmpty else { return }
        let position = tombstones.firstPosition { $0.group >= info.group }
        if position == tombstones.count || tombstones[position].group != info.group {
            let tombstone = Tombstone(
                group: info.group,
                topicID: topic.topicID,
                topic: topic.name,
                partition: info.partition,
                unconfirmed: []
            )
            tombstones.insert(tombstone, at: position)
        }
        let known = tombstones[position].unconfirmed
        tombstones[position].unconfirmed += nodes.filter { !known.contains($0) }
        tombstones[position].unconfirmed.sort()
    }

    private struct Place {
        let topic: Int
        let partition: Int
    }

    private func place(of group: RaftGroupID) -> Place? {
        guard let name = partitionsByGroup[group], let topic = position(of: name.topic) else {
            return nil
        }
        return Place(topic: topic, partition: Int(name.partition.rawValue))
    }

    private mutating func set(_ info: PartitionInfo, at place: Place) {
        precondition(info.disorder == nil, "group \(info.group): \(info.disorder ?? "")")
        topics[place.topic].partitions[place.partition] = info
        note(info)
    }
}
