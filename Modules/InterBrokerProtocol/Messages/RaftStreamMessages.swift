public import Model

/// Asks to turn the connection into a stream of Raft messages, from its sender to its receiver.
///
/// After a successful answer no JSON travels on the connection any more.
public struct RaftStreamRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = RaftStreamResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.raftStream

    /// This run of the sender's process: a newer stream of its ends the older ones.
    public var session: SessionID
    /// The version of the frames that follow.
    public var formatVersion: Int
    /// What the stream is for.
    public var lane: Lane

    /// The streams that a daemon opens to another one.
    public enum Lane: String, Codable, CaseIterable, Sendable {
        /// Heartbeats, votes, answers and fresh entries; its end means that the sender is gone.
        case live
        /// Old entries and snapshots.
        case catchUp = "catch_up"
    }

    /// Makes one of its fields.
    public init(session: SessionID, formatVersion: Int, lane: Lane = .live) {
        self.session = session
        self.formatVersion = formatVersion
        self.lane = lane
    }

    private enum CodingKeys: String, CodingKey {
        case session
        case formatVersion = "format_version"
        case lane
    }
}

/// The stream may begin.
public struct RaftStreamResponse: Codable, Equatable, Sendable {
    /// This run of the receiver's process.
    public var session: SessionID

    /// Makes one of its fields.
    public init(session: SessionID) {
        self.session = session
    }

    private enum CodingKeys: String, CodingKey {
        case session
    }
}

extension RaftStreamRequest {
    /// The version of the frames that this program writes and reads.
    public static let currentFormatVersion = 2

    /// Refuses frames of another version.
    public func validate() -> Refusal? {
        formatVersion == Self.currentFormatVersion
            ? nil
            : Refusal(
                "unsupported Raft stream version \(formatVersion)",
                message: "this daemon speaks version \(Self.currentFormatVersion)"
            )
    }
}
