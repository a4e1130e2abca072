import KafkaProtocol
import Model
import NIOCore
import RecordBatch

/// One connection to the fake broker; decodes with the generated codecs.
final class FakeConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let state: FakeBroker.State
    private let id: Int32
    private var received = ByteBuffer()

    init(state: FakeBroker.State, id: Int32) {
        self.state = state
        self.id = id
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        received.writeBuffer(&bytes)
        while let size: Int32 = received.getInteger(at: received.readerIndex),
            received.readableBytes >= 4 + Int(size)
        {
            received.moveReaderIndex(forwardBy: 4)
            guard let frame = received.readSlice(length: Int(size)) else { return }
            do {
                guard let answer = try answer(frame) else { continue }
                let channel = context.channel
                if state.holdsAnswers {
                    state.heldAnswers.append { channel.writeAndFlush(answer, promise: nil) }
                } else {
                    channel.writeAndFlush(answer, promise: nil)
                }
            } catch {
                return context.close(promise: nil)
            }
        }
    }

    private enum Refusal: Error { case dropped }

    private func answer(_ frame: ByteBuffer) throws -> ByteBuffer? {
        var reader = KafkaReader(frame)
        let header = try RequestHeader(reading: &reader)
        guard let api = ApiKey(rawValue: header.apiKey) else { throw Refusal.dropped }
        state.requests[api, default: 0] += 1
        let mischief = state.mischief(api, state.requests[api, default: 0])
        if case .drop = mischief { throw Refusal.dropped }
        var version = header.apiVersion
        if api != .apiVersions, state.range(api)?.contains(version) != true {
            throw Refusal.dropped
        }
        var writer = KafkaWriter()
        writer.writeInteger(Int32(0))
        let start = ResponseHeader(correlationID: header.correlationID)
        start.write(to: &writer, api: api, version: version)
        var refusal = KafkaError.none
        if case .refuse(let error) = mischief { refusal = error }
        if api == .apiVersions, state.range(api)?.contains(version) != true {
            refusal = .unsupportedVersion
            version = 0
        }
        let isOwed = try body(api, version, refusal, &reader, &writer)
        if case .doAndDrop = mischief { throw Refusal.dropped }
        guard isOwed else { return nil }
        writer.setInteger(Int32(writer.count - 4), at: 0)
        return writer.buffer
    }

    // One line per API reads better than a table of closures here.
    private func body(
        _ api: ApiKey,
        _ version: Int16,
        _ refusal: KafkaError,
        _ reader: inout KafkaReader,
        _ writer: inout KafkaWriter
    ) throws -> Bool {
        func read<M: KafkaMessage>(_: M.Type) throws -> M {
            let message = try M(reading: &reader, version: version)
            try reader.expectEnd()
            return message
        }
        switch api {
        case .apiVersions: versions(refusal).write(to: &writer, version: version)
        case .metadata:
            try metadata(read(MetadataRequest.self)).write(to: &writer, version: version)
        case .produce:
            let request = try read(ProduceRequest.self)
            produce(request, refusal).write(to: &writer, version: version)
            return request.acks != 0
        case .fetch:
            try fetch(read(FetchRequest.self), refusal).write(to: &writer, version: version)
        case .listOffsets:
            try offsets(read(ListOffsetsRequest.self)).write(to: &writer, version: version)
        case .initProducerID:
            _ = try read(InitProducerIdRequest.self)
            var response = InitProducerIdResponse()
            response.producerId = state.nextProducerID
            state.nextProducerID += 1
            response.errorCode = refusal.rawValue
            response.write(to: &writer, version: version)
        case .createTopics:
            try create(read(CreateTopicsRequest.self), refusal)
                .write(to: &writer, version: version)
        case .deleteTopics:
            try delete(read(DeleteTopicsRequest.self), version)
                .write(to: &writer, version: version)
        case .alterPartitionReassignments:
            try alter(read(AlterPartitionReassignmentsRequest.self), refusal)
                .write(to: &writer, version: version)
        case .listPartitionReassignments:
            _ = try read(ListPartitionReassignmentsRequest.self)
            moves().write(to: &writer, version: version)
        case .describeQuorum:
            _ = try read(DescribeQuorumRequest.self)
            quorum(refusal).write(to: &writer, version: version)
        case .addRaftVoter:
            let request = try read(AddRaftVoterRequest.self)
            var response = AddRaftVoterResponse()
            response.errorCode = refusal.rawValue
            if refusal == .none, let listener = request.listeners.first {
                state.controllers[request.voterId] = Address(
                    host: listener.host,
                    port: Int(listener.port)
                )
            }
            response.write(to: &writer, version: version)
        case .removeRaftVoter:
            let request = try read(RemoveRaftVoterRequest.self)
            var response = RemoveRaftVoterResponse()
            if state.controllers.removeValue(forKey: request.voterId) == nil {
                response.errorCode = KafkaError.voterNotFound.rawValue
                response.errorMessage = "there is no controller \(request.voterId)"
            }
            response.write(to: &writer, version: version)
        default: throw Refusal.dropped
        }
        return true
    }

    /// The controllers; the lowest leads, and the highest is only filled.
    private func quorum(_ refusal: KafkaError) -> DescribeQuorumResponse {
        typealias Partition = DescribeQuorumResponse.TopicData.PartitionData
        var partition = Partition()
        partition.leaderId = state.controllers.keys.min() ?? -1
        partition.leaderEpoch = 3
        partition.highWatermark = 50
        var response = DescribeQuorumResponse()
        for (id, address) in state.controllers.sorted(by: { $0.key < $1.key }) {
            var node = DescribeQuorumResponse.Node()
            node.nodeId = id
            var listener = DescribeQuorumResponse.Node.Listener()
            listener.host = address.host
            listener.port = UInt16(address.port)
            node.listeners = [listener]
            response.nodes.append(node)
            if id == state.controllers.keys.max(), id != partition.leaderId {
                var observer = Partition.ObserverState()
                observer.replicaId = id
                observer.logEndOffset = 20
                observer.lastFetchTimestamp = 1_000
                partition.observers.append(observer)
            } else {
                var voter = Partition.ReplicaState()
                voter.replicaId = id
                voter.logEndOffset = 50
                partition.currentVoters.append(voter)
            }
        }
        var topic = DescribeQuorumResponse.TopicData()
        topic.topicName = "__cluster_metadata"
        topic.partitions = [partition]
        response.topics = [topic]
        response.errorCode = refusal.rawValue
        return response
    }

    private func versions(_ refusal: KafkaError) -> ApiVersionsResponse {
        var response = ApiVersionsResponse()
        response.errorCode = refusal.rawValue
        for api in ApiKey.allCases {
            guard let range = state.range(api) else { continue }
            var entry = ApiVersionsResponse.ApiVersion()
            entry.apiKey = api.rawValue
            entry.minVersion = range.lowerBound
            entry.maxVersion = range.upperBound
            response.apiKeys.append(entry)
        }
        return response
    }

    private func metadata(_ request: MetadataRequest) -> MetadataResponse {
        var response = MetadataResponse()
        response.clusterId = "fake"
        response.controllerId = state.clusterBrokers.keys.min() ?? -1
        for (id, address) in state.clusterBrokers {
            var broker = MetadataResponse.MetadataResponseBroker()
            broker.nodeId = id
            broker.host = address.host
            broker.port = Int32(address.port)
            response.brokers.append(broker)
        }
        let names = request.topics.map { $0.map { $0.name ?? "" } } ?? Array(state.topics.keys)
        for name in names {
            var topic = MetadataResponse.MetadataResponseTopic()
            topic.name = name
            if let partitions = state.topics[name] {
                for index in partitions.indices {
                    let key = FakeBroker.PartitionKey(topic: name, partition: Int32(index))
                    var partition = MetadataResponse.MetadataResponseTopic
                        .MetadataResponsePartition()
                    partition.partitionIndex = Int32(index)
                    partition.leaderId = state.leaders[key] ?? 0
                    partition.replicaNodes = [0]
                    partition.isrNodes = [0]
                    topic.partitions.append(partition)
                }
            } else {
                topic.errorCode = KafkaError.unknownTopicOrPartition.rawValue
            }
            response.topics.append(topic)
        }
        return response
    }

    // MARK: Records

    private func produce(_ request: ProduceRequest, _ refusal: KafkaError) -> ProduceResponse {
        var response = ProduceResponse()
        for topic in request.topicData {
            var answers = ProduceResponse.TopicProduceResponse()
            answers.name = topic.name
            for data in topic.partitionData {
                var answer = ProduceResponse.TopicProduceResponse.PartitionProduceResponse()
                answer.index = data.index
                let bytes = data.records.map { Array($0.readableBytesView) } ?? []
                let key = FakeBroker.PartitionKey(topic: topic.name, partition: data.index)
                if refusal != .none {
                    answer.errorCode = refusal.rawValue
                } else if state.leaders[key] ?? 0 != id {
                    answer.errorCode = KafkaError.notLeaderOrFollower.rawValue
                } else {
                    switch append(bytes, topic.name, Int(data.index)) {
                    case .success(let offset): answer.baseOffset = offset
                    case .failure(let error): answer.errorCode = error.rawValue
                    }
                }
                answers.partitionResponses.append(answer)
            }
            response.responses.append(answers)
        }
        return response
    }

    /// Kafka's rules for the idempotent producer.
    private func append(
        _ bytes: [UInt8],
        _ topic: String,
        _ index: Int
    ) -> Result<Int64, KafkaError> {
        guard var partition = state.topics[topic]?[index] else {
            return .failure(.unknownTopicOrPartition)
        }
        guard let header = try? bytes.withUnsafeBytes({ try RecordBatchHeader.validate($0).get() })
        else { return .failure(.corruptMessage) }
        let offset = partition.nextOffset
        if header.hasProducer {
            var producer =
                partition.producers[header.producerID]
                ?? FakeBroker.Producer(epoch: header.producerEpoch)
            let first = Int64(header.baseSequence)
            let count = Int64(header.recordCount)
            if let known = producer.last.first(where: { $0[0] == first && $0[1] == count }) {
                return .success(known[2])
            }
            let expected = producer.last.last.map { $0[0] + $0[1] } ?? 0
            guard first == expected else { return .failure(.outOfOrderSequenceNumber) }
            producer.last = (producer.last + [[first, count, offset]]).suffix(5)
            partition.producers[header.producerID] = producer
        }
        var batch = bytes
        withUnsafeBytes(of: offset.bigEndian) { batch.replaceSubrange(0..<8, with: $0) }
        partition.batches.append(batch)
        partition.nextOffset += Int64(header.recordCount)
        state.topics[topic]?[index] = partition
        return .success(offset)
    }

    private func fetch(_ request: FetchRequest, _ refusal: KafkaError) -> FetchResponse {
        var response = FetchResponse()
        for topic in request.topics {
            var answers = FetchResponse.FetchableTopicResponse()
            answers.topic = topic.topic
            for wanted in topic.partitions {
                var answer = FetchResponse.FetchableTopicResponse.PartitionData()
                answer.partitionIndex = wanted.partition
                let key = FakeBroker.PartitionKey(
                    topic: topic.topic,
                    partition: wanted.partition
                )
                let partition = state.topics[topic.topic]?[Int(wanted.partition)]
                if refusal != .none {
                    answer.errorCode = refusal.rawValue
                } else if let partition, state.leaders[key] ?? 0 == id {
                    fill(&answer, partition, wanted)
                } else {
                    answer.errorCode = KafkaError.notLeaderOrFollower.rawValue
                }
                answers.partitions.append(answer)
            }
            response.responses.append(answers)
        }
        return response
    }

    private func fill(
        _ answer: inout FetchResponse.FetchableTopicResponse.PartitionData,
        _ partition: FakeBroker.Partition,
        _ wanted: FetchRequest.FetchTopic.FetchPartition
    ) {
        answer.highWatermark = partition.nextOffset
        guard (partition.startOffset...partition.nextOffset).contains(wanted.fetchOffset) else {
            answer.errorCode = KafkaError.offsetOutOfRange.rawValue
            return
        }
        var records = ByteBuffer()
        for batch in partition.batches {
            guard let header = RecordBatchHeader(batch) else { continue }
            guard header.lastOffset.rawValue >= wanted.fetchOffset else { continue }
            records.writeBytes(batch)
            guard records.readableBytes < Int(wanted.partitionMaxBytes) else { break }
        }
        // Like a real broker's answer, it may end in the middle of a batch.
        if records.readableBytes > 200 { records.writeBytes(Array(repeating: 7, count: 30)) }
        answer.records = records
    }

    private func offsets(_ request: ListOffsetsRequest) -> ListOffsetsResponse {
        var response = ListOffsetsResponse()
        for topic in request.topics {
            var answers = ListOffsetsResponse.ListOffsetsTopicResponse()
            answers.name = topic.name
            for wanted in topic.partitions {
                var answer = ListOffsetsResponse.ListOffsetsTopicResponse
                    .ListOffsetsPartitionResponse()
                answer.partitionIndex = wanted.partitionIndex
                if let partition = state.topics[topic.name]?[Int(wanted.partitionIndex)] {
                    answer.offset =
                        wanted.timestamp == -2
                        ? partition.startOffset
                        : wanted.timestamp == -1 ? partition.nextOffset : -1
                } else {
                    answer.errorCode = KafkaError.unknownTopicOrPartition.rawValue
                }
                answers.partitions.append(answer)
            }
            response.topics.append(answers)
        }
        return response
    }

    // MARK: Topics

    private func create(
        _ request: CreateTopicsRequest,
        _ refusal: KafkaError
    ) -> CreateTopicsResponse {
        var response = CreateTopicsResponse()
        for topic in request.topics {
            var answer = CreateTopicsResponse.CreatableTopicResult()
            answer.name = topic.name
            answer.numPartitions = topic.numPartitions
            if refusal != .none {
                answer.errorCode = refusal.rawValue
            } else if state.topics[topic.name] != nil {
                answer.errorCode = KafkaError.topicAlreadyExists.rawValue
                answer.errorMessage = "it is there"
            } else if !request.validateOnly {
                state.topics[topic.name] = Array(
                    repeating: FakeBroker.Partition(),
                    count: Int(topic.numPartitions)
                )
            }
            response.topics.append(answer)
        }
        return response
    }

    private func delete(_ request: DeleteTopicsRequest, _ version: Int16) -> DeleteTopicsResponse {
        var response = DeleteTopicsResponse()
        for name in version >= 6 ? request.topics.map({ $0.name ?? "" }) : request.topicNames {
            var answer = DeleteTopicsResponse.DeletableTopicResult()
            answer.name = name
            if state.topics.removeValue(forKey: name) == nil {
                answer.errorCode = KafkaError.unknownTopicOrPartition.rawValue
            }
            response.responses.append(answer)
        }
        return response
    }

    // MARK: Moves

    private func alter(
        _ request: AlterPartitionReassignmentsRequest,
        _ refusal: KafkaError
    ) -> AlterPartitionReassignmentsResponse {
        typealias Topic = AlterPartitionReassignmentsResponse.ReassignableTopicResponse
        var response = AlterPartitionReassignmentsResponse()
        response.errorCode = refusal.rawValue
        for topic in request.topics {
            var answers = Topic()
            answers.name = topic.name
            for move in topic.partitions {
                let key = FakeBroker.PartitionKey(
                    topic: topic.name,
                    partition: move.partitionIndex
                )
                var answer = Topic.ReassignablePartitionResponse()
                answer.partitionIndex = move.partitionIndex
                if state.topics[topic.name]?.indices.contains(Int(move.partitionIndex)) != true {
                    answer.errorCode = KafkaError.unknownTopicOrPartition.rawValue
                } else if move.replicas == nil, state.moves[key] == nil {
                    answer.errorCode = KafkaError.noReassignmentInProgress.rawValue
                    answer.errorMessage = "nothing moves"
                } else {
                    state.moves[key] = move.replicas
                }
                answers.partitions.append(answer)
            }
            response.responses.append(answers)
        }
        return response
    }

    private func moves() -> ListPartitionReassignmentsResponse {
        typealias Topic = ListPartitionReassignmentsResponse.OngoingTopicReassignment
        var response = ListPartitionReassignmentsResponse()
        for (key, brokers) in state.moves {
            var move = Topic.OngoingPartitionReassignment()
            move.partitionIndex = key.partition
            move.replicas = [0] + brokers.filter { $0 != 0 }
            move.addingReplicas = brokers.filter { $0 != 0 }
            move.removingReplicas = brokers.contains(0) ? [] : [0]
            var topic = Topic()
            topic.name = key.topic
            topic.partitions = [move]
            response.topics.append(topic)
        }
        return response
    }
}
