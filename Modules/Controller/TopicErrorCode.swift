/// Kafka's error codes in the answers to requests about topics.
enum TopicErrorCode: Int16 {
    case none = 0
    case unknownServerError = -1
    case unknownTopicOrPartition = 3
    case requestTimedOut = 7
    case invalidTopic = 17
    case topicAlreadyExists = 36
    case invalidPartitions = 37
    case invalidReplicationFactor = 38
    case invalidReplicaAssignment = 39
    case invalidConfig = 40
    case notController = 41
    case invalidRequest = 42
    case noReassignmentInProgress = 85
    case unknownTopicID = 100
}

/// Why something about a topic is refused, in Kafka's terms.
struct TopicFailure: Error, Equatable {
    var code: TopicErrorCode
    var message: String

    init(_ code: TopicErrorCode, _ message: String) {
        self.code = code
        self.message = message
    }
}
