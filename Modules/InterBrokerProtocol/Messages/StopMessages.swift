/// A daemon that was asked to stop asks the controller leader whether this is the moment.
///
/// Sent again and again while the daemon waits and serves on: the leader knows by it who wants to
/// stop, and lets one go after another.
public struct ControlledShutdownRequest: InterBrokerRequest {
    /// The answer to this request.
    public typealias Response = ControlledShutdownResponse

    /// The number before the frame.
    public static let type = InterBrokerRequestType.controlledShutdown

    /// Whether the sender has seen for itself that it must not stop yet.
    public var isHindered: Bool

    /// Makes one of its fields.
    public init(isHindered: Bool) { self.isHindered = isHindered }

    private enum CodingKeys: String, CodingKey {
        case isHindered = "hindered"
    }
}

/// Whether a daemon may stop.
public struct ControlledShutdownResponse: Codable, Equatable, Sendable {
    /// What the controller leader says to a stop.
    public enum Verdict: String, Codable, Sendable {
        /// It may stop now; the next one is kept waiting until it is back.
        case granted
        /// Others would lose a quorum that they have now.
        case wait
        /// Everybody who would lose a quorum wants to stop as well: there is nobody to wait for.
        case everybodyStops = "everybody_stops"
    }

    /// The answer.
    public var verdict: Verdict
    /// For an operator, why the daemon had better wait; empty if it need not.
    public var reason: String

    /// Makes one of its fields.
    public init(verdict: Verdict, reason: String = "") {
        self.verdict = verdict
        self.reason = reason
    }

    private enum CodingKeys: String, CodingKey {
        case verdict
        case reason
    }
}
