import KafkaProtocol
import Model
import NIOCore
import RaftHost
import RaftLog
import Telemetry

/// Fetch: record batches from partitions that this broker leads, waiting for them if need be.
///
/// Sessions (KIP-227) are not kept: every answer carries session id 0, which makes the client send
/// all its partitions each time.
enum FetchHandler {
    static func handle(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try FetchRequest(reading: &reader, version: request.version)
        // A session that this broker never gave out: the client starts over without one.
        if body.sessionId != 0, body.sessionEpoch > 0 {
            return FetchResponseWriter.answer(request, error: .fetchSessionIDNotFound, [])
        }
        let pending = PendingFetch(broker, request, body)
        pending.look(mayPark: body.maxWaitMs > 0 && !pending.items.isEmpty)
    }
}

/// A fetch request while its answer is gathered.
///
/// - Thread: the broker's event loop.
/// - Invariant: partitions are filled in the request's order. The first partition with data gives
///   at least one whole batch whatever the limits; later ones give what fits.
final class PendingFetch {
    /// One partition of the request.
    struct Item {
        let topic: String
        let partitionID: Int32
        let partition: Partition?
        let offset: Offset
        let bytesMax: Int
        let clientEpoch: Int32
        var error = KafkaError.none
        /// Batches from the log's tail.
        var batches: [BatchPayload] = []
        /// Batches from disk, in place of `batches`.
        var records: ByteBuffer?
        var isCold = false

        var bytes: Int {
            batches.reduce(records?.readableBytes ?? 0) { $0 + $1.count }
        }
    }

    /// One answer is never larger than this, whatever a client asks for; 64 MiB.
    static let responseBytesMax = 64 << 20

    let request: KafkaRequest
    private(set) var items: [Item] = []
    private let broker: Broker
    private let bytesMin: Int
    private let bytesMax: Int
    private let deadline: NIODeadline
    private var parked: ParkedFetch?

    init(_ broker: Broker, _ request: KafkaRequest, _ body: FetchRequest) {
        self.broker = broker
        self.request = request
        self.bytesMin = Int(max(0, body.minBytes))
        self.bytesMax = min(Int(max(0, body.maxBytes)), Self.responseBytesMax)
        self.deadline = .now() + .milliseconds(Int64(max(0, body.maxWaitMs)))
        items.reserveCapacity(body.topics.reduce(0) { $0 + $1.partitions.count })
        for topic in body.topics {
            let hosted = broker.hostedTopic(topic.topic, request.connection)
            for wanted in topic.partitions {
                items.append(
                    Item(
                        topic: topic.topic,
                        partitionID: wanted.partition,
                        partition: hosted?.partition(wanted.partition),
                        offset: Offset(wanted.fetchOffset),
                        bytesMax: Int(max(0, wanted.partitionMaxBytes)),
                        clientEpoch: wanted.currentLeaderEpoch
                    )
                )
            }
        }
    }

    /// Gathers what is there, and answers, reads from disk or parks.
    func look(mayPark: Bool) {
        var bytes = 0
        var mustAnswer = false
        var isCold = false
        for place in items.indices {
            let room = max(0, min(items[place].bytesMax, bytesMax - bytes))
            guard bytes == 0 || room > 0 else { break }
            switch find(place, room, isFirst: bytes == 0) {
            case .batches(let batches):
                items[place].batches = batches
                bytes += items[place].bytes
            case .cold:
                items[place].isCold = true
                isCold = true
            case .failed(let error):
                items[place].error = error
                mustAnswer = true
            case .unconfirmed:
                // Waits like an empty partition; if time runs out, the client asks for a leader.
                if !mayPark { items[place].error = .notLeaderOrFollower }
            }
        }
        if isCold { return readCold(from: 0) }
        guard mayPark, !mustAnswer, bytes < bytesMin else { return answer() }
        park(bytesFound: bytes)
    }

    private func find(_ place: Int, _ room: Int, isFirst: Bool) -> FetchFind {
        let item = items[place]
        guard let partition = item.partition else {
            return .failed(broker.absenceError(item.topic, item.partitionID))
        }
        let find = partition.find(
            from: item.offset,
            bytesMax: room,
            clientEpoch: item.clientEpoch
        )
        if case .batches(let batches) = find, !isFirst, let first = batches.first,
            first.count > room
        {
            return .batches([])
        }
        return find
    }

    // MARK: Waiting

    private func park(bytesFound: Int) {
        for place in items.indices { items[place].batches = [] }
        let waits = items.compactMap { item in
            item.partition.map {
                ParkedFetch.Item(
                    partition: $0,
                    bytesAtStart: $0.appliedBytes,
                    bytesMax: item.bytesMax
                )
            }
        }
        let parked = ParkedFetch(items: waits, bytesMissing: max(1, bytesMin - bytesFound)) {
            self.wake()
        }
        self.parked = parked
        request.connection.parkedFetches.append(parked)
        broker.metrics.fetchesWaiting.add(1)
        broker.purgatory.park(parked, wait: deadline - .now())
    }

    private func wake() {
        request.connection.parkedFetches.removeAll { $0 === parked }
        parked = nil
        broker.metrics.fetchesWaiting.add(-1)
        look(mayPark: false)
    }

    // MARK: Cold reads

    /// Reads the cold partitions one after the other, each with the room that is left.
    private func readCold(from start: Int) {
        guard let place = items.indices.first(where: { $0 >= start && items[$0].isCold }) else {
            return answer()
        }
        let item = items[place]
        guard let partition = item.partition else { return answer() }
        let used = items.reduce(0) { $0 + $1.bytes }
        let room = min(item.bytesMax, bytesMax - used)
        guard room > 0 || used == 0 else { return answer() }
        let bound = NIOLoopBound(self, eventLoop: broker.eventLoop)
        let loop = broker.eventLoop
        broker.manager.directory.readBatches(
            partition.identity.group,
            from: item.offset,
            below: partition.highWatermark,
            maxBytes: max(1, room)
        ) { result in
            loop.execute { bound.value.coldReadReturned(place, result, room: room) }
        }
    }

    private func coldReadReturned(
        _ place: Int,
        _ result: Result<ByteBuffer, RaftLogError>,
        room: Int
    ) {
        let others = items.contains { $0.bytes > 0 }
        switch result {
        case .success(let records) where others && records.readableBytes > room: break
        case .success(let records): items[place].records = records
        case .failure(let error):
            items[place].error = .kafkaStorageError
            LogLines.coldReadFailed(items[place].partition, error, broker.logger)
            items[place].partition?.replica?.readFailed(error)
        }
        items[place].isCold = false
        readCold(from: place + 1)
    }

    private func answer() {
        broker.metrics.fetched(bytes: items.reduce(0) { $0 + $1.bytes })
        FetchResponseWriter.answer(request, error: .none, items)
    }
}
