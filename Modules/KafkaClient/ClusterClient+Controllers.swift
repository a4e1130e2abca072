import KafkaProtocol
public import Model
import NIOCore

// The cluster's controllers: who they are, who is to come and who is to go.
extension ClusterClient {
    /// Asks who the controllers are.
    ///
    /// - Parameter patiently: whether to ask again while they have no leader.
    public func describeControllers(
        patiently: Bool = true
    ) async throws(KafkaClientError) -> QuorumDescription {
        typealias Topic = DescribeQuorumRequest.TopicData
        var partition = Topic.PartitionData()
        partition.partitionIndex = 0
        var topic = Topic()
        topic.topicName = "__cluster_metadata"
        topic.partitions = [partition]
        var request = DescribeQuorumRequest()
        request.topics = [topic]
        let response: DescribeQuorumResponse = try await askQuorum(
            .describeQuorum,
            request,
            patiently: patiently
        ) { ($0.errorCode, $0.errorMessage) }
        guard let quorum = QuorumDescription(response) else {
            throw .badAnswer(address: "a broker", reason: "no quorum in its description")
        }
        return quorum
    }

    /// Lets a controller belong to the controllers, or finds that it does.
    ///
    /// Returns when that is decided; filling it takes its time.
    public func addController(
        _ id: Int32,
        at address: Address
    ) async throws(KafkaClientError) {
        var listener = AddRaftVoterRequest.Listener()
        listener.name = "CONTROLLER"
        listener.host = address.host
        listener.port = UInt16(clamping: address.port)
        var request = AddRaftVoterRequest()
        request.voterId = id
        request.listeners = [listener]
        let _: AddRaftVoterResponse = try await askQuorum(.addRaftVoter, request) {
            ($0.errorCode, $0.errorMessage)
        }
    }

    /// Lets a controller go, or finds that it is gone.
    public func removeController(_ id: Int32) async throws(KafkaClientError) {
        var request = RemoveRaftVoterRequest()
        request.voterId = id
        let _: RemoveRaftVoterResponse = try await askQuorum(.removeRaftVoter, request) {
            ($0.errorCode, $0.errorMessage)
        }
    }

    /// Asks any broker, which asks the controllers; what is asked twice is done once.
    private func askQuorum<Request: KafkaMessage, Response: KafkaMessage>(
        _ api: ApiKey,
        _ request: Request,
        patiently: Bool = true,
        error: @escaping @Sendable (Response) -> (code: Int16, message: String?)
    ) async throws(KafkaClientError) -> Response {
        let body: @Sendable (ClientCore, @escaping ClientCore.Completion<Response>) -> Void = {
            core,
            done in
            core.anyConnection { result in
                switch result {
                case .failure(let error): done(.failure(error))
                case .success(let connection):
                    core.call(api, request, over: connection) {
                        (result: Result<Response, KafkaClientError>) in
                        done(
                            result.flatMap { response in
                                let (code, message) = error(response)
                                let failure = KafkaClientError(code: code, message: message)
                                return failure.map { .failure($0) } ?? .success(response)
                            }
                        )
                    }
                }
            }
        }
        return patiently ? try await retrying(body) : try await once(body)
    }
}

extension QuorumDescription {
    /// Puts an answer into our words; nil if it says nothing.
    init?(_ response: DescribeQuorumResponse) {
        guard let partition = response.topics.first?.partitions.first else { return nil }
        var addresses: [Int32: Address] = [:]
        for node in response.nodes {
            guard let listener = node.listeners.first else { continue }
            addresses[node.nodeId] = Address(host: listener.host, port: Int(listener.port))
        }
        leader = partition.leaderId
        epoch = partition.leaderEpoch
        committed = partition.highWatermark
        let voters = partition.currentVoters.map {
            ControllerDescription(
                id: $0.replicaId,
                address: addresses[$0.replicaId],
                isVoter: true,
                isActive: $0.lastFetchTimestamp >= 0 || $0.replicaId == partition.leaderId,
                end: $0.logEndOffset
            )
        }
        let learners = partition.observers.map {
            ControllerDescription(
                id: $0.replicaId,
                address: addresses[$0.replicaId],
                isVoter: false,
                isActive: $0.lastFetchTimestamp >= 0,
                end: $0.logEndOffset
            )
        }
        controllers = voters.sorted { $0.id < $1.id } + learners.sorted { $0.id < $1.id }
    }
}
