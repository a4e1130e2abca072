import KafkaProtocol

/// One API that the client listener answers.
struct KafkaRequestEntry: Sendable {
    let api: ApiKey
    /// What ApiVersions says.
    let advertised: ClosedRange<Int16>
    /// What is answered; narrower than `advertised` only for Produce, see `KafkaVersions`.
    let served: ClosedRange<Int16>
    /// Memory that a request takes beyond its frame and answer, in bytes; an estimate.
    let memoryEstimate: Int
    /// Decodes the body and answers; runs on the broker's event loop.
    let handle: Handle

    /// A handler: a function without state.
    typealias Handle =
        @Sendable (Broker, KafkaRequest, inout KafkaReader) throws(KafkaCodecError) -> Void

    init(
        _ api: ApiKey,
        memoryEstimate: Int = 8 << 10,
        _ handle: @escaping Handle
    ) {
        guard let versions = KafkaVersions.advertised(api), let served = KafkaVersions.served(api)
        else { preconditionFailure("\(api) has a handler and is not advertised") }
        self.api = api
        self.advertised = versions
        self.served = served
        self.memoryEstimate = memoryEstimate
        self.handle = handle
    }
}

/// What the client listener answers: this list is complete, nothing registers itself elsewhere.
enum KafkaRequests {
    /// Every API, in the order of its key.
    static let all: [KafkaRequestEntry] = [
        KafkaRequestEntry(.produce, memoryEstimate: 64 << 10, ProduceHandler.handle),
        KafkaRequestEntry(.fetch, memoryEstimate: 1 << 20, FetchHandler.handle),
        KafkaRequestEntry(.listOffsets, ListOffsetsHandler.handle),
        KafkaRequestEntry(.metadata, memoryEstimate: 64 << 10, MetadataHandler.handle),
        KafkaRequestEntry(.offsetCommit, GroupHandlers.offsetCommit),
        KafkaRequestEntry(.offsetFetch, GroupHandlers.offsetFetch),
        KafkaRequestEntry(.findCoordinator, FindCoordinatorHandler.handle),
        KafkaRequestEntry(.joinGroup, memoryEstimate: 64 << 10, GroupHandlers.joinGroup),
        KafkaRequestEntry(.heartbeat, GroupHandlers.heartbeat),
        KafkaRequestEntry(.leaveGroup, GroupHandlers.leaveGroup),
        KafkaRequestEntry(.syncGroup, memoryEstimate: 64 << 10, GroupHandlers.syncGroup),
        KafkaRequestEntry(.describeGroups, GroupHandlers.describeGroups),
        KafkaRequestEntry(.listGroups, GroupHandlers.listGroups),
        KafkaRequestEntry(.apiVersions, ApiVersionsHandler.handle),
        KafkaRequestEntry(.createTopics, CreateTopicsHandler.handle),
        KafkaRequestEntry(.deleteTopics, DeleteTopicsHandler.handle),
        KafkaRequestEntry(.initProducerID, InitProducerIDHandler.handle),
        KafkaRequestEntry(.describeConfigs, DescribeConfigsHandler.handle),
        KafkaRequestEntry(.alterPartitionReassignments, ReassignmentHandlers.alter),
        KafkaRequestEntry(.listPartitionReassignments, ReassignmentHandlers.list),
        KafkaRequestEntry(.describeQuorum, QuorumHandlers.describe),
        KafkaRequestEntry(.describeCluster, DescribeClusterHandler.handle),
        KafkaRequestEntry(.addRaftVoter, QuorumHandlers.add),
        KafkaRequestEntry(.removeRaftVoter, QuorumHandlers.remove),
    ]

    /// By API key; nil where nothing is answered.
    private static let byKey: [KafkaRequestEntry?] = {
        var table: [KafkaRequestEntry?] = []
        for entry in all {
            let place = Int(entry.api.rawValue)
            while table.count <= place { table.append(nil) }
            precondition(table[place] == nil, "\(entry.api) stands in the table twice")
            table[place] = entry
        }
        return table
    }()

    /// The entry of an API, if it is answered.
    static func entry(of api: ApiKey) -> KafkaRequestEntry? {
        let place = Int(api.rawValue)
        return place >= 0 && place < byKey.count ? byKey[place] : nil
    }
}
