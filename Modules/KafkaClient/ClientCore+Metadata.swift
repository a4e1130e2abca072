import KafkaProtocol
import Model
import NIOCore

// What the cluster looks like, and who leads what.
extension ClientCore {
    /// Asks the cluster about brokers and topics; nil asks for all topics.
    func describe(_ names: [String]?, _ completion: @escaping Completion<ClusterDescription>) {
        anyConnection { [self] result in
            switch result {
            case .failure(let error): completion(.failure(error))
            case .success(let connection):
                var request = MetadataRequest()
                request.allowAutoTopicCreation = false
                request.topics = names?.map {
                    var topic = MetadataRequest.MetadataRequestTopic()
                    topic.name = $0
                    return topic
                }
                call(.metadata, request, over: connection) {
                    (result: Result<MetadataResponse, KafkaClientError>) in
                    completion(result.map { self.learn($0) })
                }
            }
        }
    }

    /// Remembers an answer, and describes it.
    private func learn(_ response: MetadataResponse) -> ClusterDescription {
        let cluster = ClusterDescription(response)
        if !cluster.brokers.isEmpty {
            brokers = [:]
            for broker in cluster.brokers { brokers[broker.id] = broker.address }
            controllerID = cluster.controllerID
        }
        for topic in cluster.topics {
            // What was known stays known while the broker cannot tell.
            if topic.partitions.isEmpty, topic.error?.isRetriable == true,
                topics[topic.name]?.partitions.isEmpty == false
            {
                continue
            }
            topics[topic.name] = topic
        }
        return cluster
    }

    /// Renews what is known of the wanted topics; calls that come meanwhile share the next answer.
    func refresh(_ completion: @escaping Completion<Void>) {
        refreshWaiters.append(completion)
        guard !isRefreshing else { return }
        isRefreshing = true
        let waiters = refreshWaiters
        refreshWaiters = []
        describe(wantedTopics.sorted()) { [self] result in
            // Whoever came meanwhile gets an answer of its own, but not in a tight circle.
            after(.milliseconds(10)) { [self] in
                isRefreshing = false
                if !refreshWaiters.isEmpty { refresh { _ in } }
            }
            for waiter in waiters { waiter(result.map { _ in }) }
        }
    }

    /// The address of a partition's leader, as far as known.
    func leader(of name: PartitionName) -> Address? {
        partition(name).flatMap { brokers[$0.leader] }
    }

    /// What is known of a partition.
    func partition(_ name: PartitionName) -> PartitionDescription? {
        guard let topic = topics[name.topic], name.partition >= 0 else { return nil }
        let place = Int(name.partition)
        if place < topic.partitions.count, topic.partitions[place].id == name.partition {
            return topic.partitions[place]
        }
        return topic.partitions.first { $0.id == name.partition }
    }

    /// Gives the connection to a partition's leader.
    func leaderConnection(
        of name: PartitionName,
        _ completion: @escaping Completion<BrokerConnection>
    ) {
        guard let address = leader(of: name) else {
            return completion(.failure(.refused(.leaderNotAvailable, message: nil)))
        }
        connection(to: address, completion)
    }

    /// Gives the connection to the broker that takes administrative requests.
    func controllerConnection(_ completion: @escaping Completion<BrokerConnection>) {
        guard let address = brokers[controllerID] else { return anyConnection(completion) }
        connection(to: address) { [self] result in
            guard case .failure = result else { return completion(result) }
            controllerID = -1
            completion(result)
        }
    }
}

extension ClusterDescription {
    /// Puts an answer into our words.
    init(_ response: MetadataResponse) {
        clusterID = response.clusterId
        controllerID = response.controllerId
        brokers = response.brokers.map {
            BrokerDescription(
                id: $0.nodeId,
                address: Address(host: $0.host, port: Int($0.port)),
                rack: $0.rack
            )
        }.sorted { $0.id < $1.id }
        topics = response.topics.map(TopicDescription.init).sorted { $0.name < $1.name }
    }
}

extension TopicDescription {
    fileprivate init(_ topic: MetadataResponse.MetadataResponseTopic) {
        name = topic.name
        id = topic.topicId
        isInternal = topic.isInternal
        error = KafkaError(code: topic.errorCode)
        partitions = topic.partitions.map {
            PartitionDescription(
                id: $0.partitionIndex,
                leader: $0.leaderId,
                leaderEpoch: $0.leaderEpoch,
                replicas: $0.replicaNodes,
                inSync: $0.isrNodes,
                offline: $0.offlineReplicas,
                error: KafkaError(code: $0.errorCode)
            )
        }.sorted { $0.id < $1.id }
    }
}

extension KafkaError {
    /// Nil for "no error"; an unknown code becomes `unknownServerError`.
    fileprivate init?(code: Int16) {
        guard code != 0 else { return nil }
        self = KafkaError(rawValue: code) ?? .unknownServerError
    }
}
