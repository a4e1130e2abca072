public import InterBrokerProtocol
import KafkaProtocol
public import Logging
import Metadata
public import Model
public import NIOCore
import Raft
public import RaftHost
public import RaftLog
import Telemetry

/// One broker: the partitions that it hosts, its clients, and its copy of the metadata.
///
/// - Thread: everything on `eventLoop`, without locks; `reference` is the way in from elsewhere.
public final class Broker {
    /// The loop that all of the broker's work runs on.
    public let eventLoop: any EventLoop
    /// What the settings say.
    public let options: BrokerOptions
    /// The Raft groups.
    public let manager: RaftManager
    /// The partitions that are hosted here.
    let table = PartitionTable()
    /// This broker's copy of the cluster's metadata.
    let metadata: MetadataCache
    let purgatory: FetchPurgatory
    let logger: Logger
    let metrics: BrokerMetrics
    /// The cluster, once this broker has registered or if its directory says so.
    public var clusterID: ClusterID?

    var produceTimeouts = ProduceTimeouts()
    /// Groups whose start is under way.
    var starting: Set<RaftGroupID> = []
    /// The request that started each group: the same one again is a replay.
    var recentStarts: [RaftGroupID: RequestID] = [:]
    private(set) var groups: (any GroupCoordinator)?
    private(set) var controllers: (any ControllerAccess)?
    private var metadataJournal: MetadataJournal?
    private(set) lazy var reassigner = Reassigner(self)
    private(set) lazy var producerIDs = ProducerIDs { [unowned self] completion in
        self.reserveProducerIDs(completion)
    }

    private var connections: [ObjectIdentifier: KafkaConnection] = [:]
    private var connectionLimits: ConnectionLimits
    private var flushQueue: [KafkaConnection] = []
    private var isStopped = false
    /// What `countUnderReplicated` has found; it is called once a second.
    private var underReplicatedCount = 0
    /// The metadata and the partitions for which `replicasWanted` was looked up.
    private var replicasWantedState: (MetadataVersion, generation: UInt64) = (0, 0)
    /// Topics whose creation this broker has asked for and not heard of.
    private var topicsBeingCreated: Set<String> = []

    private var leadersToReport: [RaftGroupID: LeaderReport] = [:]
    private var membersToReport: [RaftGroupID: MembersReport] = [:]
    private var leaderSignal: AsyncStream<Void>.Continuation?
    private var pullSignal: AsyncStream<Void>.Continuation?

    /// Makes a broker without partitions; `recover` brings in those on disk.
    public init(
        eventLoop: any EventLoop,
        options: BrokerOptions,
        manager: RaftManager,
        metrics: BrokerMetrics,
        logger: Logger
    ) {
        self.eventLoop = eventLoop
        self.options = options
        self.manager = manager
        self.metrics = metrics
        self.logger = logger
        self.metadata = MetadataCache(eventLoop: eventLoop)
        self.purgatory = FetchPurgatory(eventLoop: eventLoop)
        self.connectionLimits = ConnectionLimits(
            totalMax: options.limits.connectionsMax,
            perAddressMax: options.limits.connectionsPerAddressMax,
            descriptorLimit: options.limits.descriptorLimit
        )
    }

    /// The broker as other threads may hold it.
    public var reference: BrokerReference { BrokerReference(self) }

    /// Takes what answers group requests; before any partition is recovered.
    public func use(_ groups: any GroupCoordinator) {
        precondition(table.count == 0, "groups come before partitions")
        self.groups = groups
    }

    /// Takes the way to the controllers.
    public func use(_ controllers: any ControllerAccess) { self.controllers = controllers }

    /// Begins with the metadata that a journal holds, and keeps it there from now on.
    public func use(_ journal: MetadataJournal) {
        if let known = journal.read(of: clusterID) { metadata.restore(known) }
        journal.use { [unowned self] in metadata.snapshot }
        metadataJournal = journal
    }

    /// Begins the regular work, at every tick of the Raft groups: produce timeouts, deadlines of
    /// consumer groups, reassignments, idle connections.
    public func startTicking() {
        manager.onTick { [weak self] ticks in self?.tick(ticks) }
    }

    /// Calls back once the metadata is on disk as this broker knows it.
    public func storeMetadata(_ completion: @escaping () -> Void) {
        guard let metadataJournal else { return completion() }
        metadataJournal.flush(completion)
    }

    /// Closes every client connection and waits for nothing more.
    public func shutdown() {
        eventLoop.preconditionInEventLoop()
        isStopped = true
        leaderSignal?.finish()
        pullSignal?.finish()
        for connection in connections.values { connection.close(.shutdown) }
    }

    private func tick(_ ticks: UInt64) {
        guard !isStopped else { return }
        let now = NIODeadline.now()
        for produce in produceTimeouts.expired(at: now) { produce.expire() }
        metadata.expireWaits(at: now)
        groups?.tick()
        reassigner.tick()
        if ticks % 10 == 0 { metrics.underReplicated.set(countUnderReplicated()) }
        guard ticks % 100 == 0 else { return }
        let limit = now - options.limits.idleMax
        for connection in connections.values
        where connection.isQuiet && connection.lastActivity < limit {
            connection.close(.idle)
        }
        metrics.connections.set(connections.count)
        metrics.partitions.set(table.count)
        metrics.reassigning.set(reassigner.count)
    }
}

// MARK: Connections

extension Broker {
    /// Takes a client's connection in; throws if a limit is reached, which closes it.
    func accept(_ channel: any Channel) throws {
        let peer = channel.remoteAddress?.ipAddress ?? "unknown"
        if let refusal = connectionLimits.admit(peer, descriptor: try channel.descriptor) {
            connectionLimits.log(refusal, of: peer, logger)
            throw ChannelError.operationUnsupported
        }
        let connection = KafkaConnection(broker: self, peer: peer, limits: options.limits)
        connections[ObjectIdentifier(connection)] = connection
        try channel.pipeline.syncOperations.addHandler(connection)
    }

    func connectionClosed(_ connection: KafkaConnection) {
        guard connections.removeValue(forKey: ObjectIdentifier(connection)) != nil else { return }
        connectionLimits.leave(connection.peer)
    }

    /// Whether any client is connected.
    public var hasClients: Bool { !connections.isEmpty }

    /// Sends a connection's answers at the end of this turn, together with the others'.
    func flushLater(_ connection: KafkaConnection) {
        flushQueue.append(connection)
        guard flushQueue.count == 1 else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute { bound.value.flushConnections() }
    }

    private func flushConnections() {
        let queue = flushQueue
        flushQueue.removeAll(keepingCapacity: true)
        for connection in queue { connection.flushTurn() }
    }

    /// The partitions of a topic that are hosted here; a connection's last topic is found at once.
    func hostedTopic(_ name: String, _ connection: KafkaConnection) -> HostedTopic? {
        if let cached = connection.cachedTopic, cached.generation == table.generation,
            cached.topic.name == name
        {
            return cached.topic
        }
        guard let topic = table.topic(named: name) else { return nil }
        connection.cachedTopic = (topic, table.generation)
        return topic
    }

    /// Why a partition that is not hosted here cannot be used: it lives elsewhere, or nowhere.
    func absenceError(_ topic: String, _ partition: Int32) -> KafkaError {
        metadata.holds(topic, partition) || !metadata.isConfirmed
            ? .notLeaderOrFollower : .unknownTopicOrPartition
    }

    /// What is said of a topic that this broker does not know: before it has heard a controller it
    /// cannot tell, and clients ask again.
    var unknownTopicError: KafkaError {
        metadata.isConfirmed ? .unknownTopicOrPartition : .leaderNotAvailable
    }
}

// MARK: Partitions

extension Broker {
    /// Starts every group that was found on disk; asks nobody.
    public func recover(_ logs: [GroupLog], progress: (Int) -> Void = { _ in }) throws {
        eventLoop.preconditionInEventLoop()
        let start = ContinuousClock.now
        for (place, log) in logs.enumerated() {
            let partition = makePartition(log.identity)
            try manager.recover(log, stateMachine: partition)
            host(partition)
            // Nobody else can lead: there is no election timeout to wait for.
            if log.initialState.1.voters == [log.identity.node] {
                manager.campaign(log.identity.group)
            }
            progress(place + 1)
        }
        let (seconds, attoseconds) = start.duration(to: .now).components
        LogLines.recovered(
            groups: logs.count,
            milliseconds: Int(seconds * 1000 + attoseconds / 1_000_000_000_000_000),
            logger
        )
    }

    func makePartition(_ identity: GroupIdentity) -> Partition {
        let partition = Partition(
            identity: identity,
            observer: self,
            producersMax: options.producersMax
        )
        partition.messageBytesMax = messageBytesMax(of: identity.topicName)
        if identity.topicName == TopicName.consumerOffsets.text {
            partition.groups = groups?.makeState(of: identity.partition, log: partition)
        }
        return partition
    }

    /// Takes a partition in whose replica runs.
    func host(_ partition: Partition) {
        guard let replica = manager.replica(partition.identity.group) else {
            preconditionFailure("group \(partition.identity.group) does not run")
        }
        partition.attach(replica)
        table.insert(partition)
        metrics.partitions.set(table.count)
    }

    /// Lets a partition go; its replica is about to be stopped.
    func unhost(_ group: RaftGroupID) {
        table.remove(group)?.detach()
        leadersToReport[group] = nil
        membersToReport[group] = nil
        reassigner.look(at: group)
        metrics.partitions.set(table.count)
    }

    private func messageBytesMax(of topic: String) -> Int {
        metadata.topic(named: topic)?.configs[TopicConfig.maxMessageBytes.name].flatMap { Int($0) }
            ?? options.messageBytesMax
    }

    /// The replicas that are hosted here.
    func hostedReplicas() -> [HostedReplica] {
        table.all.map {
            HostedReplica(
                group: $0.identity.group,
                node: $0.identity.node,
                isSuspect: $0.replica?.isSuspect ?? false
            )
        }
    }

    /// Counts the partitions led here with a replica that is behind or away.
    ///
    /// While replicas move, as many as before the move are enough.
    func countUnderReplicated() -> Int {
        noteReplicasWanted()
        underReplicatedCount = table.all.count { partition in
            guard partition.leadership.isLeader, let replica = partition.replica else {
                return false
            }
            let wanted = partition.replicasWanted ?? replica.configuration.voters.count
            return replica.answeringVoters < wanted
        }
        return underReplicatedCount
    }

    /// Looks up how many replicas the metadata want, if anything has changed since the last look.
    private func noteReplicasWanted() {
        let state = (metadata.version, table.generation)
        guard state != replicasWantedState else { return }
        replicasWantedState = state
        for partition in table.all {
            let info = metadata.partition(of: partition.identity.group)
            partition.replicasWanted = info.map {
                $0.reassignment?.original.count ?? $0.replicas.count
            }
        }
    }

    /// What systemd shows: `serving: 12 partitions, leader of 4, 0 under-replicated`.
    public var statusLine: String {
        let partitions = table.count == 1 ? "1 partition" : "\(table.count) partitions"
        return """
            serving: \(partitions), leader of \(manager.leaderCount), \
            \(underReplicatedCount) under-replicated
            """
    }
}

extension Broker: PartitionObserver {
    func partitionMoved(_ partition: Partition) { purgatory.partitionMoved(partition) }

    func membersChanged(of partition: Partition) {
        reassigner.look(at: partition.identity.group)
    }

    func leadershipChanged(of partition: Partition) {
        metadata.replicaChanged()
        reassigner.look(at: partition.identity.group)
        guard partition.isConfirmedLeader else { return }
        let group = partition.identity.group
        leadersToReport[group] = report(of: partition)
        leaderSignal?.yield()
    }

    private func report(of partition: Partition) -> LeaderReport {
        LeaderReport(
            group: partition.identity.group,
            term: partition.leadership.term,
            node: partition.identity.node
        )
    }

    /// Lets the controllers know of the members that a group has committed.
    func report(_ members: MembersReport) {
        membersToReport[members.group] = members
        leaderSignal?.yield()
    }

    /// Signals that leaders or members wait to be reported; for the controller link alone.
    func leaderSignals() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Void.self,
            bufferingPolicy: .bufferingNewest(1)
        )
        leaderSignal = continuation
        if !leadersToReport.isEmpty || !membersToReport.isEmpty { continuation.yield() }
        return stream
    }

    /// The leaders and members that wait to be reported; the caller reports them.
    func takeReports() -> (leaders: [LeaderReport], members: [MembersReport]) {
        let leaders = leadersToReport.values.sorted { $0.group < $1.group }
        let members = membersToReport.values.sorted { $0.group < $1.group }
        leadersToReport.removeAll()
        membersToReport.removeAll()
        return (leaders, members)
    }

    /// Reports every partition that is led here: the controller leader may have forgotten.
    func reportAllLeaders() {
        for partition in table.all where partition.isConfirmedLeader {
            leadersToReport[partition.identity.group] = report(of: partition)
        }
        if !leadersToReport.isEmpty { leaderSignal?.yield() }
    }
}

// MARK: Metadata

extension Broker {
    /// Signals that the metadata has to be pulled; for the controller link alone.
    func pullSignals() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: Void.self,
            bufferingPolicy: .bufferingNewest(1)
        )
        pullSignal = continuation
        return stream
    }

    /// Asks the controller link to pull what is missing.
    func pullMetadata() { pullSignal?.yield() }

    /// Takes changes of the metadata, pushed or pulled.
    func apply(_ update: MetadataUpdate) {
        eventLoop.preconditionInEventLoop()
        let change = metadata.apply(update)
        if !change.deletedTopics.isEmpty { groups?.topicsDeleted(change.deletedTopics) }
        guard change.isContinued else { return pullMetadata() }
        metadataJournal?.append(change.frames)
        metrics.metadataVersion.set(Int(clamping: metadata.version.rawValue))
        for partition in table.all {
            partition.messageBytesMax = messageBytesMax(of: partition.topic)
        }
        reassigner.lookAtAll()
    }
}

// MARK: Controllers

/// The controllers, as the broker's handlers need them.
///
/// - Thread: the broker's event loop; completions come there too.
public protocol ControllerAccess: AnyObject {
    /// Asks the controller leader; an error says why there is no answer.
    func ask<Request: InterBrokerRequest>(
        _ request: Request,
        completion: @escaping (Result<Request.Response, Refusal>) -> Void
    )
}

extension Broker {
    /// Asks for a topic that a client has named, unless that was done already.
    func createTopic(_ topic: NewTopic) {
        guard let controllers, topicsBeingCreated.insert(topic.name).inserted else { return }
        let request = InterBrokerProtocol.CreateTopicsRequest(topics: [topic])
        controllers.ask(request) { result in
            self.topicsBeingCreated.remove(topic.name)
            switch result {
            case .success(let response):
                for created in response.topics where created.errorCode != 0 {
                    LogLines.topicNotCreated(created.name, created.message, self.logger)
                }
            case .failure(let refusal):
                LogLines.topicNotCreated(topic.name, refusal.description, self.logger)
            }
        }
    }

    /// Creates a topic that a client wants to use, with the default sizes.
    func autoCreate(_ name: String) {
        createTopic(
            NewTopic(
                name: name,
                partitions: options.defaultPartitions,
                replicationFactor: options.defaultReplicationFactor
            )
        )
    }

    /// Creates `__consumer_offsets` on its first use.
    func createOffsetsTopic() {
        createTopic(
            NewTopic(
                name: TopicName.consumerOffsets.text,
                partitions: options.offsetsTopicPartitions,
                replicationFactor: options.offsetsTopicReplicationFactor,
                configs: ["cleanup.policy": "compact"]
            )
        )
    }

    private func reserveProducerIDs(_ completion: @escaping (Range<Int64>?) -> Void) {
        guard let controllers else { return completion(nil) }
        controllers.ask(AllocateProducerIDsRequest(count: options.producerIDBlock)) { result in
            guard case .success(let block) = result, block.first >= 0, block.count > 0 else {
                return completion(nil)
            }
            let (end, overflow) = block.first.addingReportingOverflow(Int64(block.count))
            completion(overflow ? nil : block.first..<end)
        }
    }

    /// A broker that coordinates groups.
    struct Coordinator {
        let id: BrokerID
        let address: Address
    }

    /// Where another broker's peer listener is: as the metadata says, else as the groups on disk
    /// were told when they were started.
    public func peerAddress(of broker: BrokerID) -> String? {
        if let address = metadata.peerAddress(of: broker) { return address }
        for partition in table.all {
            for member in partition.identity.members where member.node.broker == broker {
                return member.address
            }
        }
        return nil
    }

    /// The leader of the partition of `__consumer_offsets` that a group belongs to, if known.
    func coordinator(ofGroup group: String) -> Coordinator? {
        let topic = TopicName.consumerOffsets.text
        guard let count = metadata.partitionCount(of: topic), count > 0 else { return nil }
        let partition = coordinatorPartition(for: group, of: count)
        guard let leader = leader(of: topic, partition)?.broker,
            let address = metadata.clientAddress(of: leader)
        else { return nil }
        return Coordinator(id: leader, address: address)
    }
}
