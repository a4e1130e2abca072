import InterBroker
import InterBrokerProtocol
import Model
import NIOCore
import RaftHost
import RaftLog

/// Starts this broker's replica of a partition, on the order of the controller leader.
///
/// Cluster, target and controller epoch are checked by the listener, group id, names and members
/// by the request itself, before this is called.
struct StartPartitionRaftGroupHandler: InterBrokerRequestHandler {
    let broker: BrokerReference

    func handle(
        _ request: StartPartitionRaftGroupRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> StartPartitionRaftGroupResponse {
        let result: Result<String, Refusal> = await broker.wait { broker, completion in
            LogLines.received(request, broker.logger)
            broker.start(request, context.header.requestID) { result in
                switch result {
                case .success: LogLines.started(request, broker.logger)
                case .failure(let refusal):
                    LogLines.startFailed(request, refusal.description, broker.logger)
                }
                completion(result)
            }
        }
        return StartPartitionRaftGroupResponse(message: try result.get())
    }
}

extension Broker {
    /// Starts a replica; a repeated order for one that runs with these members is a success.
    ///
    /// The broker's own copy of the metadata is not asked: it may lag behind the order.
    func start(
        _ request: StartPartitionRaftGroupRequest,
        _ id: RequestID,
        completion: @escaping (Result<String, Refusal>) -> Void
    ) {
        eventLoop.preconditionInEventLoop()
        if let refusal = request.validate() { return completion(.failure(refusal)) }
        guard request.directoryID == manager.directory.directoryID else {
            return completion(.failure(.wrongDirectory))
        }
        let identity: GroupIdentity
        switch self.identity(of: request) {
        case .success(let made): identity = made
        case .failure(let refusal): return completion(.failure(refusal))
        }
        if let running = table.partition(of: request.raftGroupID) {
            let isReplay =
                recentStarts[request.raftGroupID] == id
                || isSame(running.identity, identity, join: request.join)
            return completion(isReplay ? .success("already running") : .failure(.alreadyRunning))
        }
        guard starting.insert(request.raftGroupID).inserted else {
            return completion(.failure(.alreadyRunning))
        }
        recentStarts[request.raftGroupID] = id
        let partition = makePartition(identity)
        manager.startRaftGroup(identity, stateMachine: partition, join: request.join) { result in
            self.starting.remove(request.raftGroupID)
            switch result {
            case .success:
                self.host(partition)
                if !request.join { self.campaignIfPreferred(identity, attempt: 0) }
                completion(.success(""))
            case .failure(let error): completion(.failure(Refusal("\(error)")))
            }
        }
    }

    /// The durable identity that an order gives to this broker's replica.
    private func identity(
        of request: StartPartitionRaftGroupRequest
    ) -> Result<GroupIdentity, Refusal> {
        guard let members = request.members else { return .failure(.invalidField("node_members")) }
        guard request.partitionID.rawValue < PartitionTable.partitionsMax else {
            return .failure(.invalidField("partition_id"))
        }
        let own = members.filter { $0.node.broker == options.brokerID }
        // A replica that is added later names its predecessors too; its own is the newest.
        guard let node = own.map(\.node).max() else {
            return .failure(Refusal("wrong broker ID", message: "no member lives on this broker"))
        }
        return .success(
            GroupIdentity(
                group: request.raftGroupID,
                topicID: request.topicID,
                topicName: request.topicName,
                partition: request.partitionID,
                node: node,
                members: members.map { .init(node: $0.node, address: $0.address) }
            )
        )
    }

    private func isSame(_ one: GroupIdentity, _ other: GroupIdentity, join: Bool) -> Bool {
        guard one.topicID == other.topicID, one.partition == other.partition,
            one.node == other.node
        else { return false }
        // Who joins takes the members from the log: those in the order are addresses only.
        return join || one.members.map(\.node).sorted() == other.members.map(\.node).sorted()
    }

    /// Lets the preferred leader of a new group campaign until the group has a leader.
    ///
    /// The others may not run yet, and then nobody votes: it asks again, and again, for a second;
    /// from then on the election timeout does the same. The preferred leader is the one in the
    /// metadata; where the push of it has not arrived, members take turns by partition, which
    /// every broker reckons alike.
    private func campaignIfPreferred(_ identity: GroupIdentity, attempt: Int) {
        guard let running = table.partition(of: identity.group),
            running.identity.node == identity.node,
            manager.leader(of: identity.group) == nil
        else { return }
        let members = identity.members.map(\.node).sorted()
        let turn = members[Int(identity.partition.rawValue) % members.count]
        let preferred = metadata.preferredLeader(of: identity.group)
        if (preferred ?? turn) == identity.node,
            preferred != nil || attempt > 0 || members.count == 1
        {
            manager.campaign(identity.group)
        }
        guard attempt < Self.campaignDelays.count else { return }
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: Self.campaignDelays[attempt]) {
            bound.value.campaignIfPreferred(identity, attempt: attempt + 1)
        }
    }

    private static let campaignDelays: [TimeAmount] = [20, 50, 100, 200, 400].map {
        .milliseconds($0)
    }
}
