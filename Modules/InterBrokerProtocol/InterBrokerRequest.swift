public import Model

/// What one type of request asks, without the common fields.
public protocol InterBrokerRequest: Codable, Equatable, Sendable {
    /// What a successful answer holds.
    associatedtype Response: Codable & Equatable & Sendable

    /// The number before the request's frame.
    static var type: InterBrokerRequestType { get }

    /// Why the request makes no sense whoever receives it; nil if it does.
    func validate() -> Refusal?
}

extension InterBrokerRequest {
    /// Accepts; most requests have nothing to check beyond their fields' types.
    public func validate() -> Refusal? { nil }
}

/// The answer "no", with its reason.
///
/// - Shape: `success` is false, `error` a short reason that programs may compare, `message` a
///   sentence for people. A controller that does not lead names the leader that it knows.
public struct Refusal: Error, Equatable, Sendable, CustomStringConvertible {
    /// The short reason; never empty.
    public var error: String
    /// More words, perhaps empty.
    public var message: String
    /// The controller leader's number, with `notControllerLeader` and if known.
    public var leaderID: ControllerID?
    /// The controller leader's peer address, with `notControllerLeader` and if known.
    public var leaderAddress: String?

    /// Describes a refusal.
    public init(
        _ error: String,
        message: String = "",
        leaderID: ControllerID? = nil,
        leaderAddress: String? = nil
    ) {
        self.error = error
        self.message = message
        self.leaderID = leaderID
        self.leaderAddress = leaderAddress
    }

    /// The reason, and the sentence if there is one.
    public var description: String { message.isEmpty ? error : "\(error): \(message)" }

    /// Whether the caller should ask the leader instead.
    public var isNotControllerLeader: Bool { error == Self.notControllerLeaderText }

    private static let notControllerLeaderText = "not controller leader"

    /// The group id is 0.
    public static let invalidRaftGroupID = Refusal("invalid raft group ID")
    /// The group runs here already, with other members.
    public static let alreadyRunning = Refusal("Raft group already running")
    /// The request names another data directory than the one that is here.
    public static let wrongDirectory = Refusal("wrong directory ID")

    /// This controller does not lead; the caller may ask the one that is named.
    public static func notControllerLeader(
        leaderID: ControllerID? = nil,
        leaderAddress: String? = nil
    ) -> Refusal {
        Refusal(notControllerLeaderText, leaderID: leaderID, leaderAddress: leaderAddress)
    }

    /// A field that the request needs is not there.
    public static func missingField(_ name: String) -> Refusal {
        Refusal("missing field: \(name)")
    }

    /// A field is there and holds what it must not hold.
    public static func invalidField(_ name: String, _ message: String = "") -> Refusal {
        Refusal("invalid field: \(name)", message: message)
    }
}

/// A request with its common fields: one JSON object on the wire.
public struct RequestEnvelope<Body: InterBrokerRequest>: Equatable, Sendable {
    /// The common fields.
    public var header: RequestHeader
    /// What is asked.
    public var body: Body

    /// Joins the two parts.
    public init(header: RequestHeader, body: Body) {
        self.header = header
        self.body = body
    }
}

extension RequestEnvelope: Codable {
    /// Reads both parts from one object.
    public init(from decoder: any Decoder) throws {
        self.init(header: try RequestHeader(from: decoder), body: try Body(from: decoder))
    }

    /// Writes both parts into one object.
    public func encode(to encoder: any Encoder) throws {
        try header.encode(to: encoder)
        try body.encode(to: encoder)
    }
}

/// An answer: the response's own fields with `success: true`, or a refusal.
public enum Answer<Body: Codable & Equatable & Sendable>: Equatable, Sendable {
    /// It was done.
    case success(Body)
    /// It was not.
    case refused(Refusal)
}

private enum AnswerKeys: String, CodingKey {
    case success
    case error
    case message
    case leaderID = "leader_id"
    case leaderAddress = "leader_address"
}

extension Answer: Codable {
    /// Reads an answer; the response's own fields are looked at only if it succeeded.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: AnswerKeys.self)
        if try fields.decode(Bool.self, forKey: .success) {
            self = .success(try Body(from: decoder))
        } else {
            self = .refused(
                Refusal(
                    try fields.decodeIfPresent(String.self, forKey: .error) ?? "unknown error",
                    message: try fields.decodeIfPresent(String.self, forKey: .message) ?? "",
                    leaderID: try fields.decodeIfPresent(ControllerID.self, forKey: .leaderID),
                    leaderAddress: try fields.decodeIfPresent(
                        String.self,
                        forKey: .leaderAddress
                    )
                )
            )
        }
    }

    /// Writes an answer; `success`, `error` and `message` are always there.
    public func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: AnswerKeys.self)
        switch self {
        case .success(let body):
            try fields.encode(true, forKey: .success)
            try fields.encode("", forKey: .error)
            try fields.encode("", forKey: .message)
            try body.encode(to: encoder)
        case .refused(let refusal):
            try fields.encode(false, forKey: .success)
            try fields.encode(refusal.error, forKey: .error)
            try fields.encode(refusal.message, forKey: .message)
            try fields.encodeIfPresent(refusal.leaderID, forKey: .leaderID)
            try fields.encodeIfPresent(refusal.leaderAddress, forKey: .leaderAddress)
        }
    }
}
