public import KafkaProtocol

/// Why something asked of a cluster did not happen.
public enum KafkaClientError: Error, Equatable, Sendable, CustomStringConvertible {
    /// No broker could be reached: which addresses were tried, and what the last one said.
    case unreachable(addresses: [String], reason: String)
    /// The connection to a broker ended while an answer was awaited.
    case disconnected(address: String, reason: String)
    /// The deadline passed; what was waited for.
    case timedOut(String)
    /// The cluster refused, with Kafka's code and perhaps a reason in words.
    case refused(KafkaError, message: String?)
    /// The broker speaks no version of this API that the client speaks.
    case unsupported(ApiKey)
    /// The broker sent bytes that are no answer to what was asked.
    case badAnswer(address: String, reason: String)
    /// A record batch that was fetched cannot be read.
    case badRecords(String)
    /// The topic does not exist.
    case unknownTopic(String)
    /// The partition does not exist.
    case unknownPartition(topic: String, partition: Int32)
    /// The client was closed.
    case closed

    /// One sentence for a person.
    public var description: String {
        switch self {
        case .unreachable(let addresses, let reason):
            "no broker answers at \(addresses.joined(separator: ", ")): \(reason)"
        case .disconnected(let address, let reason):
            "the connection to \(address) ended: \(reason)"
        case .timedOut(let what): "timed out: \(what)"
        case .refused(let error, let message?): "\(message) (\(error), code \(error.rawValue))"
        case .refused(let error, nil): "refused: \(error) (code \(error.rawValue))"
        case .unsupported(let api): "the broker does not speak a known version of \(api)"
        case .badAnswer(let address, let reason): "\(address) answered nonsense: \(reason)"
        case .badRecords(let reason): "a fetched record batch is damaged: \(reason)"
        case .unknownTopic(let topic): "topic '\(topic)' does not exist"
        case .unknownPartition(let topic, let partition):
            "topic '\(topic)' has no partition \(partition)"
        case .closed: "the client was closed"
        }
    }

    /// Whether no broker was there to be asked, as opposed to one that said no.
    public var isUnreachable: Bool {
        switch self {
        case .unreachable, .disconnected, .timedOut: true
        default: false
        }
    }

    /// Whether another try may succeed, perhaps at another broker.
    var isRetriable: Bool {
        switch self {
        case .unreachable, .disconnected, .timedOut: true
        case .refused(let error, _): error.isRetriable
        case .unsupported, .badAnswer, .badRecords, .unknownTopic, .unknownPartition, .closed:
            false
        }
    }

    /// Turns a code of Kafka's into an error; nil for "no error".
    init?(code: Int16, message: String? = nil) {
        guard code != KafkaError.none.rawValue else { return nil }
        guard let error = KafkaError(rawValue: code) else {
            let reason = message.map { "\($0) (code \(code))" } ?? "code \(code)"
            self = .refused(.unknownServerError, message: reason)
            return
        }
        self = .refused(error, message: message)
    }
}
