public import InterBroker
import InterBrokerProtocol
public import Model

/// What the controller's peer listener answers: this list is complete.
///
/// The row of Raft streams needs RaftTransport, which stands beside this module; controllerd adds
/// it.
public func requestConfigs(
    id: ControllerID,
    directoryID: DirectoryID,
    controller: ClusterController,
    store: MetadataStore
) -> [RequestConfig] {
    [
        RequestConfig(
            .controllerDiscover,
            .controller,
            ControllerDiscoverHandler(id: id, directoryID: directoryID, store: store)
        ),
        RequestConfig(
            .controllerVerify,
            .controller,
            ControllerVerifyHandler(id: id, store: store)
        ),
        RequestConfig(
            .getTopicMetadata,
            .metadataRead,
            GetTopicMetadataHandler(controller: controller, store: store)
        ),
        RequestConfig(
            .registerBroker,
            .metadataWrite,
            RegisterBrokerHandler(controller: controller)
        ),
        RequestConfig(
            .brokerHeartbeat,
            .metadataWrite,
            BrokerHeartbeatHandler(controller: controller)
        ),
        RequestConfig(
            .reportLeaders,
            .metadataWrite,
            ReportLeadersHandler(controller: controller)
        ),
        RequestConfig(.createTopics, .metadataWrite, CreateTopicsHandler(controller: controller)),
        RequestConfig(.deleteTopics, .metadataWrite, DeleteTopicsHandler(controller: controller)),
        RequestConfig(
            .createPartitions,
            .metadataWrite,
            CreatePartitionsHandler(controller: controller)
        ),
        RequestConfig(.alterConfigs, .metadataWrite, AlterConfigsHandler(controller: controller)),
        RequestConfig(
            .allocateProducerIDs,
            .metadataWrite,
            AllocateProducerIDsHandler(controller: controller)
        ),
        RequestConfig(
            .reassignPartitions,
            .metadataWrite,
            ReassignPartitionsHandler(controller: controller)
        ),
        RequestConfig(
            .controlledShutdown,
            .controller,
            ControlledShutdownHandler(controller: controller)
        ),
    ] + controllerChanges(controller)
}

/// What is answered about the controllers themselves.
private func controllerChanges(_ controller: ClusterController) -> [RequestConfig] {
    [
        RequestConfig(
            .addController,
            .metadataWrite,
            AddControllerHandler(controller: controller)
        ),
        RequestConfig(
            .removeController,
            .metadataWrite,
            RemoveControllerHandler(controller: controller)
        ),
        RequestConfig(
            .describeControllers,
            .controller,
            DescribeControllersHandler(controller: controller)
        ),
    ]
}
