import InterBroker
import InterBrokerProtocol
import Metadata
import Model

// Brokers' lives: registration, heartbeats, silence, and the leaders that they report.
extension ClusterController {
    /// The refusal after which a broker registers again.
    static let notRegistered = Refusal("broker not registered")

    /// Takes a broker into the cluster, or a new run of one.
    func register(
        _ request: RegisterBrokerRequest,
        of id: BrokerID
    ) async throws(Refusal) -> RegisterBrokerResponse {
        let reign = try requireReign()
        let registration = BrokerRegistration(
            id: id,
            session: request.session,
            directoryID: request.directoryID,
            clientHost: request.clientHost,
            clientPort: request.clientPort,
            peerAddress: request.peerAddress,
            rack: request.rack
        )
        if let known = store.metadata.broker(id) {
            // A broker's number is in use while its owner is heard, unless the owner restarts.
            if known.isOnline, known.directoryID != request.directoryID,
                reign.tracker.isAlive(id, at: clock.now)
            {
                throw Refusal(
                    "broker ID in use",
                    message: "broker \(id) is online with another data directory"
                )
            }
            if known.isOnline, registration.isSame(as: known) {
                self.reign?.tracker.heard(id, at: clock.now)
                return try registered(id)
            }
        }
        // Counts before it is committed: the metadata may be looked at in the moment between the
        // commit and the news of it, and the silence of the former run is not this one's.
        self.reign?.tracker.heard(id, at: clock.now)
        do {
            _ = try await proposer.propose(.registerBroker(registration))
        } catch {
            throw refusal(of: error)
        }
        self.reign?.tracker.heard(id, at: clock.now)
        return try registered(id)
    }

    private func registered(_ id: BrokerID) throws(Refusal) -> RegisterBrokerResponse {
        let reign = try requireReign()
        guard let cluster = store.clusterID else { throw Refusal("no cluster") }
        return RegisterBrokerResponse(
            clusterID: cluster,
            epoch: reign.epoch,
            metadataVersion: store.version
        )
    }

    /// Notes that a broker lives and compares what it hosts with what it should.
    func heartbeat(
        _ request: BrokerHeartbeatRequest,
        of id: BrokerID
    ) async throws(Refusal) -> BrokerHeartbeatResponse {
        _ = try requireReign()
        let metadata = store.metadata
        guard let broker = metadata.broker(id), broker.session == request.session else {
            throw Self.notRegistered
        }
        if request.isLeaving == true {
            reign?.leaving.insert(id)
            markOffline(BrokerRun(broker: id, registrationEpoch: broker.registrationEpoch))
            return BrokerHeartbeatResponse(wantGroups: false, metadataVersion: store.version)
        }
        reign?.tracker.heard(id, at: clock.now)
        reign?.pushes.holds(request.metadataVersion, id)
        if !broker.isOnline { markOnline(broker) }
        var wantsGroups = false
        if let groups = request.groups {
            reign?.tracker.report(
                groups.map(ReplicaReference.init),
                suspects: groups.filter(\.isSuspect).map(ReplicaReference.init),
                of: id
            )
            reign?.needsPlan = true
            reconcile()
        } else {
            wantsGroups = reign?.tracker.differs(request.digest, of: id, in: metadata) ?? false
        }
        checkWaiters()
        return BrokerHeartbeatResponse(wantGroups: wantsGroups, metadataVersion: store.version)
    }

    private func markOnline(_ broker: BrokerInfo) {
        guard reign?.changing.insert(broker.id).inserted == true else { return }
        let run = BrokerRun(broker: broker.id, registrationEpoch: broker.registrationEpoch)
        own { controller in
            await controller.commit(.brokerOnline(run))
            await controller.changed(broker.id)
        }
    }

    func markOffline(_ run: BrokerRun) {
        guard reign?.changing.insert(run.broker).inserted == true else { return }
        own { controller in
            await controller.commit(.brokerOffline(run))
            await controller.changed(run.broker)
        }
    }

    private func changed(_ broker: BrokerID) { reign?.changing.remove(broker) }

    /// Takes the news of a broker about partitions that it leads.
    func reportLeaders(
        _ request: ReportLeadersRequest,
        of id: BrokerID
    ) throws(Refusal) -> ReportLeadersResponse {
        _ = try requireReign()
        let metadata = store.metadata
        guard let broker = metadata.broker(id), broker.session == request.session else {
            throw Self.notRegistered
        }
        for report in request.leaders where metadata.partition(report.group) != nil {
            let leader = PartitionLeader(group: report.group, term: report.term, node: report.node)
            if reign?.leaders.take(leader) == true { reign?.pushes.leaderChanged(report.group) }
        }
        for report in request.members { take(report) }
        reign?.tracker.heard(id, at: clock.now)
        push()
        checkWaiters()
        return ReportLeadersResponse()
    }

    /// Gives a block of producer ids away.
    func allocateProducerIDs(
        _ request: AllocateProducerIDsRequest
    ) async throws(Refusal) -> AllocateProducerIDsResponse {
        _ = try requireReign()
        let effects: [Effect]
        do {
            effects = try await proposer.propose(.allocateProducerIDs(request.count))
        } catch {
            throw refusal(of: error)
        }
        for case .producerIDsAllocated(let first, let count) in effects {
            return AllocateProducerIDsResponse(first: first, count: count)
        }
        throw Refusal("no producer IDs")
    }

    func refusal(of failure: ProposalFailure) -> Refusal {
        switch failure {
        case .notLeader: notLeading()
        case .refused(let reason): Refusal("busy", message: reason)
        }
    }

    /// The leaders that have been reported; nothing unless this controller leads.
    func reportedLeaders() -> [LeaderReport] {
        guard let reign else { return [] }
        return reign.leaders.all.map {
            LeaderReport(group: $0.group, term: $0.term, node: $0.node)
        }
    }
}

extension ReplicaReference {
    init(_ hosted: HostedReplica) { self.init(group: hosted.group, node: hosted.node) }
}
