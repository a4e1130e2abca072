import InterBrokerProtocol
import KafkaProtocol
import Model
import NIOCore

/// DescribeQuorum, AddRaftVoter and RemoveRaftVoter: the cluster's controllers.
///
/// Kafka's requests (KIP-853) in our words: a voter is a controller, the observers are learners.
/// The controller leader answers; brokers pass on.
enum QuorumHandlers {
    private static let topic = "__cluster_metadata"

    /// Lets a controller belong to the controllers.
    ///
    /// One that is back without its data is taken for the one that it was, as long as that one does
    /// not run any more. `timeoutMs` 0 waits for nothing: the change goes on by itself.
    static func add(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try AddRaftVoterRequest(reading: &reader, version: request.version)
        let answer = { (code: Int16, message: String?) in
            var response = AddRaftVoterResponse()
            response.errorCode = code
            response.errorMessage = message
            request.answer { response.write(to: &$0, version: request.version) }
        }
        guard isOurs(body.clusterId, broker) else {
            return answer(KafkaError.inconsistentClusterID.rawValue, "this is another cluster")
        }
        guard body.voterId > 0, let listener = body.listeners.first, !listener.host.isEmpty,
            listener.port > 0
        else {
            return answer(
                KafkaError.invalidRequest.rawValue,
                "a controller has a number above 0 and a listener with host and port"
            )
        }
        let address = Address(host: listener.host, port: Int(listener.port))
        let add = AddControllerRequest(
            id: ControllerID(body.voterId),
            directoryID: directory(body.voterDirectoryId),
            address: address.description,
            timeoutMs: body.timeoutMs
        )
        change(add, broker, waits: body.timeoutMs > 0, answer)
    }

    /// Lets a controller go; waits until it is gone.
    static func remove(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try RemoveRaftVoterRequest(reading: &reader, version: request.version)
        let answer = { (code: Int16, message: String?) in
            var response = RemoveRaftVoterResponse()
            response.errorCode = code
            response.errorMessage = message
            request.answer { response.write(to: &$0, version: request.version) }
        }
        guard isOurs(body.clusterId, broker) else {
            return answer(KafkaError.inconsistentClusterID.rawValue, "this is another cluster")
        }
        let remove = RemoveControllerRequest(
            id: ControllerID(body.voterId),
            directoryID: directory(body.voterDirectoryId),
            timeoutMs: removalMs
        )
        change(remove, broker, waits: true, answer)
    }

    /// The request itself says no time; 10 s, within the time of clients.
    private static let removalMs: Int32 = 10_000

    private static func change<Request: InterBrokerRequest>(
        _ change: Request,
        _ broker: Broker,
        waits: Bool,
        _ answer: @escaping (Int16, String?) -> Void
    ) where Request.Response == ControllerChangeResponse {
        guard let controllers = broker.controllers else {
            return answer(
                KafkaError.requestTimedOut.rawValue,
                "this broker has no controllers"
            )
        }
        controllers.ask(change) { result in
            switch result {
            case .failure(let refusal):
                answer(KafkaError.requestTimedOut.rawValue, refusal.description)
            case .success(let response) where response.errorCode != 0:
                answer(response.errorCode, response.message)
            case .success(let response) where waits && !response.isFinished:
                answer(
                    KafkaError.requestTimedOut.rawValue,
                    "the change is under way and goes on by itself"
                )
            case .success: answer(0, nil)
            }
        }
    }

    private static func isOurs(_ cluster: String?, _ broker: Broker) -> Bool {
        cluster == nil || broker.clusterID.map { cluster == $0.description } ?? true
    }

    private static func directory(_ id: UniqueID) -> DirectoryID? {
        id == .zero ? nil : DirectoryID(id)
    }
}

// MARK: Description

extension QuorumHandlers {
    /// Says who the controllers are; their log's offsets are Raft's indices.
    static func describe(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try DescribeQuorumRequest(reading: &reader, version: request.version)
        let isWanted =
            body.topics.count == 1 && body.topics[0].topicName == topic
            && body.topics[0].partitions.map(\.partitionIndex) == [0]
        let answer = { (response: DescribeQuorumResponse) in
            request.answer { response.write(to: &$0, version: request.version) }
        }
        guard isWanted else {
            return answer(failure(.invalidRequest, "ask for partition 0 of \(topic)"))
        }
        guard let controllers = broker.controllers else {
            return answer(failure(.requestTimedOut, "this broker has no controllers"))
        }
        controllers.ask(DescribeControllersRequest()) { result in
            switch result {
            case .failure(let refusal):
                answer(failure(.requestTimedOut, refusal.description))
            case .success(let quorum): answer(describe(quorum))
            }
        }
    }

    private static func failure(_ error: KafkaError, _ message: String) -> DescribeQuorumResponse {
        var response = DescribeQuorumResponse()
        response.errorCode = error.rawValue
        response.errorMessage = message
        return response
    }

    private static func describe(_ quorum: DescribeControllersResponse) -> DescribeQuorumResponse {
        typealias Topic = DescribeQuorumResponse.TopicData
        var partition = Topic.PartitionData()
        partition.leaderId = quorum.leaderID.rawValue
        partition.leaderEpoch = Int32(clamping: quorum.epoch.rawValue)
        partition.highWatermark = Int64(clamping: quorum.committed.rawValue)
        // Kafka tells when a replica was last heard; here it is known only whether lately.
        let now = quorum.unixMilliseconds
        var response = DescribeQuorumResponse()
        for controller in quorum.controllers {
            let directory = controller.directoryID?.id ?? .zero
            let end = Int64(clamping: controller.match.rawValue)
            if controller.isVoter {
                var state = Topic.PartitionData.ReplicaState()
                state.replicaId = controller.node.owner
                state.replicaDirectoryId = directory
                state.logEndOffset = end
                state.lastFetchTimestamp = controller.isActive ? now : -1
                partition.currentVoters.append(state)
            } else {
                var state = Topic.PartitionData.ObserverState()
                state.replicaId = controller.node.owner
                state.replicaDirectoryId = directory
                state.logEndOffset = end
                state.lastFetchTimestamp = controller.isActive ? now : -1
                partition.observers.append(state)
            }
            response.nodes.removeAll { $0.nodeId == controller.node.owner }
            if let node = node(controller) { response.nodes.append(node) }
        }
        var topic = Topic()
        topic.topicName = Self.topic
        topic.partitions = [partition]
        response.topics = [topic]
        return response
    }

    private static func node(_ controller: ControllerDescription) -> DescribeQuorumResponse.Node? {
        guard let address = Address(controller.address) else { return nil }
        var listener = DescribeQuorumResponse.Node.Listener()
        listener.name = "CONTROLLER"
        listener.host = address.host
        listener.port = UInt16(clamping: address.port)
        var node = DescribeQuorumResponse.Node()
        node.nodeId = controller.node.owner
        node.listeners = [listener]
        return node
    }
}
