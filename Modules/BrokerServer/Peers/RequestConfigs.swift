public import InterBroker
import InterBrokerProtocol

/// What the broker's peer listener answers: this list is complete.
///
/// The row of Raft streams needs RaftTransport, which stands beside this module; brokerd adds it.
public func requestConfigs(
    broker: BrokerReference,
    controllers: ControllerDiscoverHandler
) -> [RequestConfig] {
    [
        RequestConfig(.controllerDiscover, .controller, controllers),
        RequestConfig(
            .startPartitionRaftGroup, .interBroker, StartPartitionRaftGroupHandler(broker: broker)),
        RequestConfig(
            .stopPartitionRaftGroup, .interBroker, StopPartitionRaftGroupHandler(broker: broker)),
        RequestConfig(.metadataChanged, .interBroker, MetadataChangedHandler(broker: broker)),
    ]
}
