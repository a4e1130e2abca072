import DequeModule
import KafkaProtocol
import NIOCore

/// InitProducerId: a number for an idempotent producer, never given twice in a cluster.
enum InitProducerIDHandler {
    static func handle(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try InitProducerIdRequest(reading: &reader, version: request.version)
        guard body.transactionalId == nil else {
            // Transactions are not served, and nobody coordinates them.
            return answer(request, .failure(.coordinatorNotAvailable))
        }
        broker.producerIDs.next { id in
            answer(request, id.map(Result.success) ?? .failure(.coordinatorNotAvailable))
        }
    }

    private static func answer(_ request: KafkaRequest, _ result: Result<Int64, KafkaError>) {
        var response = InitProducerIdResponse()
        switch result {
        case .success(let id):
            response.producerId = id
            response.producerEpoch = 0
        case .failure(let error):
            response.errorCode = error.rawValue
            response.producerId = -1
            response.producerEpoch = -1
        }
        request.answer { response.write(to: &$0, version: request.version) }
    }
}

/// Gives out producer ids from blocks that the controllers have reserved for this broker.
///
/// - Thread: the broker's event loop.
/// - Invariant: an id is given once. The rest of a block is lost when the process ends, which
///   costs nothing: there are 2^63 of them.
final class ProducerIDs {
    private var next: Int64 = 0
    private var end: Int64 = 0
    private var waiting: Deque<(Int64?) -> Void> = []
    private var isAsking = false
    private let reserve: (@escaping (Range<Int64>?) -> Void) -> Void

    /// Requests that wait for a block; more are refused.
    private static let waitingMax = 10_000

    /// `reserve` asks the controller leader for a block, and gets nil if that fails.
    init(reserve: @escaping (@escaping (Range<Int64>?) -> Void) -> Void) {
        self.reserve = reserve
    }

    /// Gives the next id, perhaps later; nil if the controllers do not answer.
    func next(_ completion: @escaping (Int64?) -> Void) {
        if next < end {
            next += 1
            return completion(next - 1)
        }
        guard waiting.count < Self.waitingMax else { return completion(nil) }
        waiting.append(completion)
        ask()
    }

    private func ask() {
        guard !isAsking else { return }
        isAsking = true
        reserve { block in
            self.isAsking = false
            guard let block, !block.isEmpty else { return self.failAll() }
            self.next = block.lowerBound
            self.end = block.upperBound
            while self.next < self.end, let first = self.waiting.popFirst() {
                self.next += 1
                first(self.next - 1)
            }
            if !self.waiting.isEmpty { self.ask() }
        }
    }

    private func failAll() {
        let failed = waiting
        waiting = []
        for completion in failed { completion(nil) }
    }
}
