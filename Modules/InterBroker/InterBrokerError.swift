public import InterBrokerProtocol

/// Why an inter-broker function gave no answer, or a listener did not start.
public enum InterBrokerError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The address to connect to is empty.
    case missingAddress
    /// No connection was made.
    case connectFailed(address: String, reason: String)
    /// The whole call took longer than its deadline.
    case deadlineExceeded(address: String)
    /// The connection ended before the answer; whether the request took effect is unknown.
    case connectionClosed(address: String)
    /// What came back is no answer to the request.
    case badAnswer(address: String, reason: String)
    /// The request cannot be sent; nothing was.
    case badRequest(String)
    /// The peer said no.
    case refused(Refusal)
    /// The listener could not be opened.
    case cannotListen(address: String, reason: String)

    /// A sentence for the log.
    public var description: String {
        switch self {
        case .missingAddress: "failed to connect to broker: missing address"
        case .connectFailed(let address, let reason):
            "failed to connect to broker \(address): \(reason)"
        case .deadlineExceeded(let address): "deadline exceeded waiting for broker \(address)"
        case .connectionClosed(let address):
            "connection to broker \(address) closed before the answer"
        case .badAnswer(let address, let reason): "bad answer from broker \(address): \(reason)"
        case .badRequest(let reason): "bad request: \(reason)"
        case .refused(let refusal): refusal.description
        case .cannotListen(let address, let reason): "cannot listen on \(address): \(reason)"
        }
    }

    /// The `result` label of `inter_broker_requests_total`.
    var result: String {
        switch self {
        case .missingAddress, .connectFailed, .cannotListen: "connect_failed"
        case .deadlineExceeded: "deadline_exceeded"
        case .connectionClosed: "closed"
        case .badAnswer: "bad_answer"
        case .badRequest: "bad_request"
        case .refused: "refused"
        }
    }
}
