import KafkaProtocol
import Model
import NIOCore
import RaftHost
import RaftLog
import RecordBatch

/// ListOffsets: the first and the last offset, and the first one at or after a time.
enum ListOffsetsHandler {
    /// Kafka's names for special times.
    private static let latest: Int64 = -1
    private static let earliest: Int64 = -2

    static func handle(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try ListOffsetsRequest(reading: &reader, version: request.version)
        let pending = PendingListOffsets(broker, request, body)
        var place = 0
        for topic in body.topics {
            let hosted = broker.hostedTopic(topic.name, request.connection)
            for wanted in topic.partitions {
                look(up: wanted, in: hosted, topic.name, place, pending)
                place += 1
            }
        }
        pending.started()
    }

    private static func look(
        up wanted: ListOffsetsRequest.ListOffsetsTopic.ListOffsetsPartition,
        in topic: HostedTopic?,
        _ name: String,
        _ place: Int,
        _ pending: PendingListOffsets
    ) {
        guard let partition = topic?.partition(wanted.partitionIndex) else {
            let error = pending.broker.absenceError(name, wanted.partitionIndex)
            return pending.settle(place, .failed(error))
        }
        if let error = partition.epochError(wanted.currentLeaderEpoch) {
            return pending.settle(place, .failed(error))
        }
        guard partition.leadership.isLeader else {
            return pending.settle(place, .failed(.notLeaderOrFollower))
        }
        // Before the term's first commit the watermark may be older than what was acknowledged.
        guard partition.leadership.isConfirmed else {
            let isKnown = pending.request.version >= 5
            return pending.settle(
                place,
                .failed(isKnown ? .offsetNotAvailable : .leaderNotAvailable)
            )
        }
        let epoch = partition.leaderEpoch
        switch wanted.timestamp {
        case latest:
            pending.settle(place, .found(partition.highWatermark.rawValue, -1, epoch))
        case earliest:
            pending.settle(place, .found(partition.logStartOffset.rawValue, -1, epoch))
        case 0...: findByTime(wanted.timestamp, partition, place, pending)
        default: pending.settle(place, .failed(.unsupportedForMessageFormat))
        }
    }

    private static func findByTime(
        _ timestamp: Int64,
        _ partition: Partition,
        _ place: Int,
        _ pending: PendingListOffsets
    ) {
        let broker = pending.broker
        let bound = NIOLoopBound((pending, partition), eventLoop: broker.eventLoop)
        let loop = broker.eventLoop
        broker.manager.directory.offset(at: timestamp, of: partition.identity.group) { result in
            loop.execute {
                let (pending, partition) = bound.value
                switch result {
                case .success((let offset, _)?) where offset < partition.highWatermark:
                    findInBatch(timestamp, at: offset, partition, place, pending)
                case .success: pending.settle(place, .found(-1, -1, -1))
                case .failure(let error):
                    LogLines.coldReadFailed(partition, error, pending.broker.logger)
                    partition.replica?.readFailed(error)
                    pending.settle(place, .failed(.kafkaStorageError))
                }
            }
        }
    }

    /// Looks into the batch that holds the first record at or after a time.
    ///
    /// A compressed batch is not opened: its first offset is answered, and the client skips the
    /// records before.
    private static func findInBatch(
        _ timestamp: Int64,
        at offset: Offset,
        _ partition: Partition,
        _ place: Int,
        _ pending: PendingListOffsets
    ) {
        let broker = pending.broker
        let bound = NIOLoopBound((pending, partition), eventLoop: broker.eventLoop)
        let loop = broker.eventLoop
        broker.manager.directory.readBatches(
            partition.identity.group,
            from: offset,
            below: partition.highWatermark,
            maxBytes: 1
        ) { result in
            let found = result.map { firstRecord(at: timestamp, in: Array($0.readableBytesView)) }
            loop.execute {
                let (pending, partition) = bound.value
                switch found {
                case .success(let found?):
                    pending.settle(
                        place,
                        .found(found.offset, found.timestamp, partition.leaderEpoch)
                    )
                case .success: pending.settle(place, .failed(.kafkaStorageError))
                case .failure(let error):
                    LogLines.coldReadFailed(partition, error, pending.broker.logger)
                    partition.replica?.readFailed(error)
                    pending.settle(place, .failed(.kafkaStorageError))
                }
            }
        }
    }

    /// The first record of a batch that is not older than a time.
    static func firstRecord(
        at timestamp: Int64,
        in batch: [UInt8]
    ) -> (offset: Int64, timestamp: Int64)? {
        guard let header = RecordBatchHeader(batch) else { return nil }
        let base = header.baseOffset.rawValue
        guard header.attributes.codec == 0, header.baseTimestamp < timestamp else {
            return (base, header.baseTimestamp)
        }
        var iterator = RecordIterator(
            Array(batch.dropFirst(RecordBatchHeader.size)),
            count: header.recordCount
        )
        while let record = iterator.next() {
            let time = header.baseTimestamp &+ record.timestampDelta
            if time >= timestamp { return (base &+ Int64(record.offsetDelta), time) }
        }
        return (base, header.baseTimestamp)
    }
}

/// A ListOffsets request whose partitions answer one by one.
final class PendingListOffsets {
    enum Finding {
        case found(_ offset: Int64, _ timestamp: Int64, _ epoch: Int32)
        case failed(KafkaError)
    }

    let broker: Broker
    let request: KafkaRequest
    private let body: ListOffsetsRequest
    private var findings: [Finding?]
    private var missing: Int
    private var isStarted = false

    init(_ broker: Broker, _ request: KafkaRequest, _ body: ListOffsetsRequest) {
        self.broker = broker
        self.request = request
        self.body = body
        self.missing = body.topics.reduce(0) { $0 + $1.partitions.count }
        self.findings = Array(repeating: nil, count: missing)
    }

    func settle(_ place: Int, _ finding: Finding) {
        precondition(findings[place] == nil, "partition \(place) was settled twice")
        findings[place] = finding
        missing -= 1
        if missing == 0, isStarted { answer() }
    }

    func started() {
        isStarted = true
        if missing == 0 { answer() }
    }

    private func answer() {
        var place = 0
        var response = ListOffsetsResponse()
        for topic in body.topics {
            var answers = ListOffsetsResponse.ListOffsetsTopicResponse()
            answers.name = topic.name
            for wanted in topic.partitions {
                var answer =
                    ListOffsetsResponse.ListOffsetsTopicResponse.ListOffsetsPartitionResponse()
                answer.partitionIndex = wanted.partitionIndex
                switch findings[place] {
                case .found(let offset, let timestamp, let epoch):
                    answer.offset = offset
                    answer.timestamp = timestamp
                    answer.leaderEpoch = epoch
                case .failed(let error): answer.errorCode = error.rawValue
                case nil: answer.errorCode = KafkaError.unknownServerError.rawValue
                }
                answers.partitions.append(answer)
                place += 1
            }
            response.topics.append(answers)
        }
        request.answer { response.write(to: &$0, version: request.version) }
    }
}
