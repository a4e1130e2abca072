public import InterBrokerProtocol
public import Model

// One function per type of request. Each connects, sends, receives and closes.

/// Asks a broker to start its replica of a partition's Raft group.
public func sendStartPartitionRaftGroupRequest(
    _ request: StartPartitionRaftGroupRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> StartPartitionRaftGroupResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks a broker to start its replicas of several groups, over one connection and in order.
public func sendStartPartitionRaftGroupRequests(
    _ requests: [StartPartitionRaftGroupRequest],
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestIDs: [RequestID]? = nil,
    options: CallOptions = CallOptions()
) async -> [Result<StartPartitionRaftGroupResponse, InterBrokerError>] {
    await callBroker(
        batch: requests,
        target,
        from: caller,
        requestIDs: requestIDs,
        options: options
    )
}

/// Asks a broker to stop its replica of a partition's Raft group.
public func sendStopPartitionRaftGroupRequest(
    _ request: StopPartitionRaftGroupRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> StopPartitionRaftGroupResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks a broker to stop its replicas of several groups, over one connection and in order.
public func sendStopPartitionRaftGroupRequests(
    _ requests: [StopPartitionRaftGroupRequest],
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestIDs: [RequestID]? = nil,
    options: CallOptions = CallOptions()
) async -> [Result<StopPartitionRaftGroupResponse, InterBrokerError>] {
    await callBroker(
        batch: requests,
        target,
        from: caller,
        requestIDs: requestIDs,
        options: options
    )
}

/// Asks who answers at an address, and which cluster and leader it knows.
public func sendControllerDiscoverRequest(
    _ request: ControllerDiscoverRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> ControllerDiscoverResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks a controller whether it is a member of the cluster and leads it.
public func sendControllerVerifyRequest(
    _ request: ControllerVerifyRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> ControllerVerifyResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks a controller for the cluster's metadata, or for the changes since a version.
public func sendGetTopicMetadataRequest(
    _ request: GetTopicMetadataRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> GetTopicMetadataResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Makes this broker known to the controller leader.
public func sendRegisterBrokerRequest(
    _ request: RegisterBrokerRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> RegisterBrokerResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Shows the controller leader that this broker is alive.
public func sendBrokerHeartbeatRequest(
    _ request: BrokerHeartbeatRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> BrokerHeartbeatResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Tells the controller leader which replicas of this broker lead.
public func sendReportLeadersRequest(
    _ request: ReportLeadersRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> ReportLeadersResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Pushes changes of the metadata to a broker.
public func sendMetadataChangedRequest(
    _ request: MetadataChangedRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> MetadataChangedResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks the controller leader for new topics.
public func sendCreateTopicsRequest(
    _ request: CreateTopicsRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> CreateTopicsResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks the controller leader to delete topics.
public func sendDeleteTopicsRequest(
    _ request: DeleteTopicsRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> DeleteTopicsResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks the controller leader for more partitions.
public func sendCreatePartitionsRequest(
    _ request: CreatePartitionsRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> CreatePartitionsResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks the controller leader to change configurations.
public func sendAlterConfigsRequest(
    _ request: AlterConfigsRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> AlterConfigsResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks the controller leader for a block of producer ids.
public func sendAllocateProducerIDsRequest(
    _ request: AllocateProducerIDsRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> AllocateProducerIDsResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks the controller leader to move replicas.
public func sendReassignPartitionsRequest(
    _ request: ReassignPartitionsRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> ReassignPartitionsResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks another broker to end transactions in partitions that it leads.
public func sendWriteTxnMarkersRequest(
    _ request: WriteTxnMarkersRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> WriteTxnMarkersResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks the controller leader to let a controller belong to the controllers.
public func sendAddControllerRequest(
    _ request: AddControllerRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> ControllerChangeResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks the controller leader to let a controller go.
public func sendRemoveControllerRequest(
    _ request: RemoveControllerRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> ControllerChangeResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks the controller leader whether this daemon may stop now.
public func sendControlledShutdownRequest(
    _ request: ControlledShutdownRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> ControlledShutdownResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}

/// Asks the controller leader who the controllers are and how far each of them is.
public func sendDescribeControllersRequest(
    _ request: DescribeControllersRequest,
    to target: InterBrokerTarget,
    from caller: InterBrokerCaller,
    requestID: RequestID? = nil,
    options: CallOptions = CallOptions()
) async throws(InterBrokerError) -> DescribeControllersResponse {
    try await callBroker(request, target, from: caller, requestID: requestID, options: options)
}
