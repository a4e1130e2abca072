public import Model

extension ClusterMetadata {
    /// Applies a command that was committed, and says what it changed.
    ///
    /// - Invariant: versions rise with every command, whether it changes something or not.
    public mutating func apply(
        _ command: MetadataCommand,
        at version: MetadataVersion
    ) -> [Effect] {
        precondition(version > self.version, "version \(version) after \(self.version)")
        self.version = version
        switch command {
        case .setClusterID(let id): return setClusterID(id)
        case .setFeatureLevel(let level): return setFeatureLevel(level)
        case .controllerJoined(let id): return join(id)
        case .controllersFounded(let founders): return found(founders)
        case .placeController(let placement): return place(placement)
        case .removeController(let id): return remove(id)
        case .controllersChanged(let members): return settle(members)
        case .registerBroker(let registration): return register(registration)
        case .brokerOffline(let run): return setOnline(false, run)
        case .brokerOnline(let run): return setOnline(true, run)
        case .createTopic(let creation): return create(creation)
        case .createPartitions(let creation): return create(creation)
        case .deleteTopic(let id): return delete(id)
        case .setTopicConfigs(let change): return configure(change)
        case .replicasStarted(let references): return started(references)
        case .replicasPurged(let references): return purged(references)
        case .reassignPartition(let move): return reassign(move)
        case .replaceReplicas(let references): return replace(references)
        case .membersChanged(let members): return settle(members)
        case .allocateProducerIDs(let count): return allocateProducerIDs(count)
        }
    }

    private mutating func setClusterID(_ id: ClusterID) -> [Effect] {
        if let clusterID {
            return clusterID == id ? [] : [.refused(.clusterIDDiffers(clusterID))]
        }
        clusterID = id
        return [.clusterNamed(id)]
    }

    private mutating func setFeatureLevel(_ level: Int) -> [Effect] {
        guard level > featureLevel else { return [.refused(.featureLevelNotAbove(featureLevel))] }
        featureLevel = level
        return [.featureLevelRaised(level)]
    }

    private mutating func join(_ id: ControllerID) -> [Effect] {
        let position = controllers.firstPosition { $0 >= id }
        guard position == controllers.count || controllers[position] != id else { return [] }
        controllers.insert(id, at: position)
        return [.controllerJoined(id)]
    }

    private mutating func allocateProducerIDs(_ count: Int32) -> [Effect] {
        let (next, overflow) = nextProducerID.addingReportingOverflow(Int64(count))
        guard count > 0, !overflow else { return [.refused(.invalidProducerIDCount(count))] }
        let first = nextProducerID
        nextProducerID = next
        return [.producerIDsAllocated(first: first, count: count)]
    }
}

// MARK: Brokers

extension ClusterMetadata {
    private mutating func register(_ registration: BrokerRegistration) -> [Effect] {
        let position = brokers.firstPosition { $0.id >= registration.id }
        let isKnown = position < brokers.count && brokers[position].id == registration.id
        if isKnown, registration.isSame(as: brokers[position]) {
            let wasOnline = brokers[position].isOnline
            brokers[position].isOnline = true
            let repeated = Effect.brokerRegistered(registration.id, isNewRun: false)
            return wasOnline ? [repeated] : [repeated, .brokerOnline(registration.id)]
        }
        let incarnation = isKnown ? brokers[position].incarnation &+ 1 : 1
        let broker = BrokerInfo(
            id: registration.id,
            incarnation: incarnation,
            registrationEpoch: version,
            session: registration.session,
            directoryID: registration.directoryID,
            clientHost: registration.clientHost,
            clientPort: registration.clientPort,
            peerAddress: registration.peerAddress,
            rack: registration.rack,
            isOnline: true
        )
        if isKnown { brokers[position] = broker } else { brokers.insert(broker, at: position) }
        return [.brokerRegistered(broker.id, isNewRun: true), .brokerOnline(broker.id)]
    }

    private mutating func setOnline(_ isOnline: Bool, _ run: BrokerRun) -> [Effect] {
        let position = brokers.firstPosition { $0.id >= run.broker }
        guard position < brokers.count, brokers[position].id == run.broker else {
            return [.refused(.unknownBroker(run.broker))]
        }
        guard brokers[position].registrationEpoch == run.registrationEpoch,
            brokers[position].isOnline != isOnline
        else { return [.refused(.staleBrokerRun(run.broker))] }
        brokers[position].isOnline = isOnline
        return [isOnline ? .brokerOnline(run.broker) : .brokerOffline(run.broker)]
    }
}

// MARK: Topics

extension ClusterMetadata {
    private mutating func create(_ creation: TopicCreation) -> [Effect] {
        guard let name = TopicName(creation.name) else {
            return [.refused(.invalidTopicName(creation.name))]
        }
        guard topic(name) == nil else { return [.refused(.topicExists(name))] }
        let isUsed = tombstones.contains { $0.topicID == creation.topicID }
        guard namesByTopicID[creation.topicID] == nil, !isUsed else {
            return [.refused(.topicIDUsed(creation.topicID))]
        }
        if let refusal = refusal(of: creation.assignments) { return [.refused(refusal)] }
        let topic = TopicInfo(
            name: name,
            topicID: creation.topicID,
            partitions: place(creation.assignments, from: 0),
            configs: creation.configs
        )
        topics.insert(topic, at: topics.firstPosition { $0.name > name })
        index(topic)
        return [.topicCreated(name, creation.topicID)]
    }

    private mutating func create(_ creation: PartitionCreation) -> [Effect] {
        guard let name = namesByTopicID[creation.topicID], let position = position(of: name) else {
            return [.refused(.unknownTopic(creation.topicID))]
        }
        let count = topics[position].partitions.count
        guard Int(creation.first.rawValue) == count else {
            return [.refused(.partitionCountDiffers(count))]
        }
        if let refusal = refusal(of: creation.assignments) { return [.refused(refusal)] }
        topics[position].partitions += place(creation.assignments, from: creation.first)
        index(topics[position])
        return [.partitionsCreated(name, creation.topicID, first: creation.first)]
    }

    func refusal(of assignments: [[BrokerID]]) -> MetadataRefusal? {
        guard !assignments.isEmpty else { return .invalidAssignment }
        for brokers in assignments {
            guard !brokers.isEmpty, Set(brokers).count == brokers.count else {
                return .invalidAssignment
            }
            for id in brokers where broker(id) == nil { return .unknownBroker(id) }
        }
        return nil
    }

    private mutating func place(
        _ assignments: [[BrokerID]],
        from first: PartitionID
    ) -> [PartitionInfo] {
        var partitions: [PartitionInfo] = []
        for (position, ids) in assignments.enumerated() {
            let replicas = ids.compactMap { id in
                broker(id).map { broker in
                    ReplicaInfo(
                        node: NodeID(broker: id, incarnation: 1),
                        directoryID: broker.directoryID
                    )
                }
            }
            precondition(replicas.count == ids.count, "an unknown broker passed the check")
            partitions.append(
                PartitionInfo(
                    partition: PartitionID(first.rawValue + Int32(position)),
                    group: nextGroupID,
                    replicas: replicas,
                    nextIncarnation: 2
                )
            )
            nextGroupID = RaftGroupID(nextGroupID.rawValue + 1)
        }
        return partitions
    }

    private mutating func delete(_ id: TopicID) -> [Effect] {
        guard let name = namesByTopicID[id], let position = position(of: name) else {
            return [.refused(.unknownTopic(id))]
        }
        let topic = topics.remove(at: position)
        unindex(topic)
        for info in topic.partitions {
            bury(info.replicas.map(\.node), of: info, topic)
        }
        return [.topicDeleted(topic)]
    }

    private mutating func configure(_ change: TopicConfigChange) -> [Effect] {
        guard let name = namesByTopicID[change.topicID], let position = position(of: name) else {
            return [.refused(.unknownTopic(change.topicID))]
        }
        topics[position].configs = change.configs
        return [.topicConfigured(name, change.topicID)]
    }
}

// MARK: Replicas

extension ClusterMetadata {
    private mutating func started(_ references: [ReplicaReference]) -> [Effect] {
        var news: [ReplicaReference] = []
        for reference in references {
            // A group that was deleted meanwhile has a tombstone, which knows what to do.
            guard let name = partitionsByGroup[reference.group],
                let topic = position(of: name.topic)
            else { continue }
            let partition = Int(name.partition.rawValue)
            let replicas = topics[topic].partitions[partition].replicas
            guard let replica = replicas.firstIndex(where: { $0.node == reference.node }),
                !replicas[replica].isStarted
            else { continue }
            topics[topic].partitions[partition].replicas[replica].isStarted = true
            news.append(reference)
        }
        return news.isEmpty ? [] : [.replicasStarted(news)]
    }

    private mutating func purged(_ references: [ReplicaReference]) -> [Effect] {
        var news: [ReplicaReference] = []
        var effects: [Effect] = []
        for reference in references {
            let position = tombstones.firstPosition { $0.group >= reference.group }
            guard position < tombstones.count, tombstones[position].group == reference.group,
                let replica = tombstones[position].unconfirmed.firstIndex(of: reference.node)
            else { continue }
            tombstones[position].unconfirmed.remove(at: replica)
            news.append(reference)
            if tombstones[position].unconfirmed.isEmpty {
                tombstones.remove(at: position)
                effects.append(.tombstoneRemoved(reference.group))
            }
        }
        return news.isEmpty ? [] : [.replicasPurged(news)] + effects
    }
}
