import KafkaProtocol
import Model
import NIOCore
import RaftHost
import RaftLog
import RecordBatch

/// Produce: appends record batches to partitions that this broker leads.
enum ProduceHandler {
    static func handle(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try ProduceRequest(reading: &reader, version: request.version)
        let pending = PendingProduce(broker, request, body)
        guard let acknowledgement = acknowledgement(body.acks) else {
            return pending.failAll(.invalidRequiredAcks)
        }
        // Transactions are not served; a batch that claims one must not enter the log.
        guard body.transactionalId == nil else {
            return pending.failAll(.invalidTransactionState)
        }
        var place = 0
        for topic in body.topicData {
            let hosted = broker.hostedTopic(topic.name, request.connection)
            for data in topic.partitionData {
                append(data, hosted, place, acknowledgement, pending)
                place += 1
            }
        }
        pending.started()
    }

    private static func acknowledgement(_ acks: Int16) -> Acknowledgement? {
        switch acks {
        case 0: .appended
        case 1: .durable
        case -1: .committed
        default: nil
        }
    }

    private static func append(
        _ data: ProduceRequest.TopicProduceData.PartitionProduceData,
        _ topic: HostedTopic?,
        _ place: Int,
        _ acknowledgement: Acknowledgement,
        _ pending: PendingProduce
    ) {
        guard let partition = topic?.partition(data.index) else {
            return pending.fail(place, pending.absenceError(place))
        }
        pending.partitions[place] = partition
        guard topic?.isInternal != true else {
            return pending.fail(place, .invalidTopicException, "an internal topic")
        }
        guard let records = data.records else { return pending.fail(place, .invalidRecord) }
        guard partition.acceptsBatches else { return pending.fail(place, .notLeaderOrFollower) }
        switch ProduceValidation.check(
            records,
            bytesMax: partition.messageBytesMax,
            version: pending.request.version
        )
        {
        case .invalid(let error, let reason): pending.fail(place, error, reason)
        case .valid(let header, let payload):
            pending.broker.metrics.produced(
                bytes: records.readableBytes,
                records: Int(header.recordCount)
            )
            partition.produce(
                payload,
                producer: ProducerBatch(header),
                acknowledgement
            ) { outcome in
                switch outcome {
                case .appended(let baseOffset): pending.succeed(place, baseOffset)
                case .failed(let error): pending.fail(place, error)
                }
            }
        }
    }
}

/// A produce request whose partitions answer one by one.
///
/// - Thread: the broker's event loop.
/// - Invariant: answers once, when every partition has or when its time is over.
final class PendingProduce {
    let broker: Broker
    let request: KafkaRequest
    let acks: Int16
    var partitions: [Partition?]
    /// Emptied by the answer: whoever still holds this object must not hold the records.
    private var body: ProduceRequest
    private var results: [PartitionProduceResult?]
    private var missing: Int
    private var isStarted = false
    private(set) var isAnswered = false

    init(_ broker: Broker, _ request: KafkaRequest, _ body: ProduceRequest) {
        let count = body.topicData.reduce(0) { $0 + $1.partitionData.count }
        self.broker = broker
        self.request = request
        self.body = body
        self.acks = body.acks
        self.partitions = Array(repeating: nil, count: count)
        self.results = Array(repeating: nil, count: count)
        self.missing = count
    }

    func succeed(_ place: Int, _ baseOffset: Int64) {
        settle(place, PartitionProduceResult(error: .none, baseOffset: baseOffset, message: nil))
    }

    func fail(_ place: Int, _ error: KafkaError, _ message: String? = nil) {
        settle(place, PartitionProduceResult(error: error, baseOffset: -1, message: message))
    }

    func failAll(_ error: KafkaError) {
        for place in results.indices { fail(place, error) }
        started()
    }

    /// Everything was handed to the partitions: answer now, or wait until the deadline.
    func started() {
        isStarted = true
        if missing == 0 { return answer() }
        broker.produceTimeouts.add(self, after: .milliseconds(Int64(max(0, body.timeoutMs))))
    }

    /// The time is over: what is not settled by now may or may not be written.
    func expire() {
        guard !isAnswered else { return }
        for place in results.indices where results[place] == nil {
            results[place] = PartitionProduceResult(
                error: .requestTimedOut,
                baseOffset: -1,
                message: nil
            )
        }
        missing = 0
        answer()
    }

    /// The error for a partition that is not hosted here.
    func absenceError(_ place: Int) -> KafkaError {
        var rest = place
        for topic in body.topicData {
            if rest < topic.partitionData.count {
                return broker.absenceError(topic.name, topic.partitionData[rest].index)
            }
            rest -= topic.partitionData.count
        }
        return .unknownTopicOrPartition
    }

    private func settle(_ place: Int, _ result: PartitionProduceResult) {
        guard !isAnswered, results[place] == nil else { return }
        results[place] = result
        missing -= 1
        if missing == 0, isStarted { answer() }
    }

    private func answer() {
        isAnswered = true
        guard acks != 0 else { return answerUnacknowledged() }
        let response = makeResponse()
        forget()
        request.answer { response.write(to: &$0, version: request.version) }
    }

    private func forget() {
        body = ProduceRequest()
        partitions = []
    }

    private func answerUnacknowledged() {
        forget()
        for result in results {
            if let error = result?.error, error != .none {
                return request.close(.unacknowledgedError(error))
            }
        }
        request.answerNothing()
    }

    private func makeResponse() -> ProduceResponse {
        var place = 0
        var response = ProduceResponse()
        for topic in body.topicData {
            var answers: [ProduceResponse.TopicProduceResponse.PartitionProduceResponse] = []
            for data in topic.partitionData {
                let result = results[place]
                var answer = ProduceResponse.TopicProduceResponse.PartitionProduceResponse()
                answer.index = data.index
                answer.errorCode = (result?.error ?? .unknownServerError).rawValue
                answer.baseOffset = result?.baseOffset ?? -1
                answer.logAppendTimeMs = -1
                answer.logStartOffset = partitions[place]?.logStartOffset.rawValue ?? -1
                answer.errorMessage = result?.message
                answers.append(answer)
                place += 1
            }
            var topicAnswer = ProduceResponse.TopicProduceResponse()
            topicAnswer.name = topic.name
            topicAnswer.partitionResponses = answers
            response.responses.append(topicAnswer)
        }
        return response
    }
}

/// What one partition answers to a produce.
struct PartitionProduceResult {
    var error: KafkaError
    var baseOffset: Int64
    var message: String?
}
