/// Why a coordinator refuses; the raw value is Kafka's error code.
enum GroupError: Int16, Error, Sendable {
    case unknownServerError = -1
    case unknownTopicOrPartition = 3
    case offsetMetadataTooLarge = 12
    case loadInProgress = 14
    case coordinatorNotAvailable = 15
    case notCoordinator = 16
    case illegalGeneration = 22
    case inconsistentProtocol = 23
    case invalidGroupID = 24
    case unknownMemberID = 25
    case invalidSessionTimeout = 26
    case rebalanceInProgress = 27
    case invalidCommitOffsetSize = 28
    case nonEmptyGroup = 68
    case groupIDNotFound = 69
    case memberIDRequired = 79
    case groupMaxSizeReached = 81
    case fencedInstanceID = 82
}

extension GroupError? {
    /// Kafka's code; 0 for "no error".
    var code: Int16 { self?.rawValue ?? 0 }
}
