public import Model

/// Asks for a block of producer ids that nobody else is given.
public struct AllocateProducerIDsRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = AllocateProducerIDsResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.allocateProducerIDs

    /// How many; 1 to 1,000.
    public var count: Int32

    /// Makes one of its fields.
    public init(count: Int32) {
        self.count = count
    }

    private enum CodingKeys: String, CodingKey {
        case count
    }
}

/// A block of producer ids, the sender's alone.
public struct AllocateProducerIDsResponse: Codable, Equatable, Sendable {
    /// The first id.
    public var first: Int64
    /// How many ids there are.
    public var count: Int32

    /// Makes one of its fields.
    public init(first: Int64, count: Int32) {
        self.first = first
        self.count = count
    }

    private enum CodingKeys: String, CodingKey {
        case first
        case count
    }
}

/// Asks the leaders of partitions to end transactions there.
public struct WriteTxnMarkersRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = WriteTxnMarkersResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.writeTxnMarkers

    /// The markers.
    public var markers: [TransactionMarker]

    /// Makes one of its fields.
    public init(markers: [TransactionMarker]) {
        self.markers = markers
    }

    private enum CodingKeys: String, CodingKey {
        case markers
    }
}

/// The end of one transaction, for some partitions.
public struct TransactionMarker: Codable, Equatable, Sendable {
    /// The producer's id.
    public var producerID: Int64
    /// The producer's epoch.
    public var producerEpoch: Int16
    /// The coordinator's epoch: the term of its partition.
    public var coordinatorEpoch: Int32
    /// Whether the transaction is committed, and not aborted.
    public var commit: Bool
    /// The partitions.
    public var partitions: [MarkedPartition]

    /// Makes one of its fields.
    public init(
        producerID: Int64,
        producerEpoch: Int16,
        coordinatorEpoch: Int32,
        commit: Bool,
        partitions: [MarkedPartition]
    ) {
        self.producerID = producerID
        self.producerEpoch = producerEpoch
        self.coordinatorEpoch = coordinatorEpoch
        self.commit = commit
        self.partitions = partitions
    }

    private enum CodingKeys: String, CodingKey {
        case producerID = "producer_id"
        case producerEpoch = "producer_epoch"
        case coordinatorEpoch = "coordinator_epoch"
        case commit
        case partitions
    }
}

/// A partition that took part in a transaction.
public struct MarkedPartition: Codable, Equatable, Sendable {
    /// The topic's identity.
    public var topicID: TopicID
    /// The partition's number.
    public var partitionID: PartitionID

    /// Makes one of its fields.
    public init(topicID: TopicID, partitionID: PartitionID) {
        self.topicID = topicID
        self.partitionID = partitionID
    }

    private enum CodingKeys: String, CodingKey {
        case topicID = "topic_id"
        case partitionID = "partition_id"
    }
}

/// What became of each marker in each partition.
public struct WriteTxnMarkersResponse: Codable, Equatable, Sendable {
    /// The results, in the order of the request.
    public var results: [MarkerResult]

    /// Makes one of its fields.
    public init(results: [MarkerResult]) {
        self.results = results
    }

    private enum CodingKeys: String, CodingKey {
        case results
    }
}

/// What became of one marker in one partition.
public struct MarkerResult: Codable, Equatable, Sendable {
    /// The producer's id.
    public var producerID: Int64
    /// The topic's identity.
    public var topicID: TopicID
    /// The partition's number.
    public var partitionID: PartitionID
    /// Kafka's error code; 0 if it was written.
    public var errorCode: Int16

    /// Makes one of its fields.
    public init(
        producerID: Int64,
        topicID: TopicID,
        partitionID: PartitionID,
        errorCode: Int16
    ) {
        self.producerID = producerID
        self.topicID = topicID
        self.partitionID = partitionID
        self.errorCode = errorCode
    }

    private enum CodingKeys: String, CodingKey {
        case producerID = "producer_id"
        case topicID = "topic_id"
        case partitionID = "partition_id"
        case errorCode = "error_code"
    }
}

extension AllocateProducerIDsRequest {
    /// The most ids that one block holds.
    public static let countMax: Int32 = 1000

    /// Refuses a block that is empty or too large.
    public func validate() -> Refusal? {
        (1...Self.countMax).contains(count) ? nil : .invalidField("count")
    }
}
