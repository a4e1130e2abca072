import KafkaProtocol
import Metadata
import Model

/// DescribeCluster: the cluster's id and its brokers.
enum DescribeClusterHandler {
    static func handle(
        _ broker: Broker,
        _ request: KafkaRequest,
        _ reader: inout KafkaReader
    ) throws(KafkaCodecError) {
        _ = try DescribeClusterRequest(reading: &reader, version: request.version)
        var response = DescribeClusterResponse()
        response.clusterId = broker.clusterID?.description ?? ""
        response.controllerId = broker.metadata.kafkaControllerID?.rawValue ?? -1
        response.brokers = broker.metadata.onlineBrokers.map { info in
            var answer = DescribeClusterResponse.DescribeClusterBroker()
            answer.brokerId = info.id.rawValue
            answer.host = info.clientHost
            answer.port = info.clientPort
            answer.rack = info.rack
            return answer
        }
        // The bits that Kafka sends when nobody asked for operations.
        response.clusterAuthorizedOperations = Int32.min
        request.answer { response.write(to: &$0, version: request.version) }
    }
}
