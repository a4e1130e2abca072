import KafkaProtocol
import Model
import NIOCore

/// FindCoordinator: which broker coordinates a group.
enum FindCoordinatorHandler {
    private static let groupKey: Int8 = 0

    static func handle(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        let body = try FindCoordinatorRequest(reading: &reader, version: request.version)
        guard body.keyType == groupKey else {
            // Transactions are not served.
            return answer(request, .failure(.coordinatorNotAvailable))
        }
        guard !body.key.isEmpty else { return answer(request, .failure(.invalidGroupID)) }
        let find: () -> Broker.Coordinator? = { broker.coordinator(ofGroup: body.key) }
        if let coordinator = find() { return answer(request, .success(coordinator)) }
        // The first use creates the topic, and then its leaders must be elected.
        if broker.metadata.topic(named: TopicName.consumerOffsets.text) == nil {
            broker.createOffsetsTopic()
        }
        broker.metadata.wait(for: { find() != nil }, atMost: .seconds(3)) {
            answer(request, find().map(Result.success) ?? .failure(.coordinatorNotAvailable))
        }
    }

    private static func answer(
        _ request: KafkaRequest,
        _ result: Result<Broker.Coordinator, KafkaError>
    ) {
        var response = FindCoordinatorResponse()
        switch result {
        case .success(let coordinator):
            response.nodeId = coordinator.id.rawValue
            response.host = coordinator.address.host
            response.port = Int32(coordinator.address.port)
        case .failure(let error):
            response.errorCode = error.rawValue
            response.nodeId = -1
            response.port = -1
        }
        request.answer { response.write(to: &$0, version: request.version) }
    }
}
