import KafkaProtocol
import NIOCore

/// One request on its way through a handler: what was asked, and where the answer goes.
///
/// - Thread: the broker's event loop.
/// - Invariant: exactly one of `answer`, `answerNothing` and `close` is called, once.
struct KafkaRequest {
    let api: ApiKey
    let version: Int16
    let correlationID: Int32
    /// The client id of the header; empty if there was none.
    let clientID: String
    let connection: KafkaConnection
    let slot: UInt64
    /// The bytes of the request's frame, which count against the connection's limit until then.
    let bytes: Int
    /// When its last bytes were read.
    let arrival: NIODeadline

    /// Encodes the answer's body and hands it to the connection.
    func answer(_ body: (inout KafkaWriter) -> Void) {
        var writer = startResponse()
        body(&writer)
        finish(KafkaResponse(head: Self.withSize(writer, tailBytes: 0)))
    }

    /// Hands over an answer that is encoded already, size and header included.
    func answer(_ response: KafkaResponse) { finish(response) }

    /// The request is owed no answer: a produce with acks=0.
    func answerNothing() { connection.complete(self, nil) }

    /// Closes the connection instead of answering.
    func close(_ reason: KafkaCloseReason) {
        connection.complete(self, nil)
        connection.close(reason)
    }

    private func finish(_ response: KafkaResponse) { connection.complete(self, response) }

    /// A writer that already holds room for the size and the response header.
    func startResponse() -> KafkaWriter {
        var writer = KafkaWriter()
        writer.writeInteger(Int32(0))
        ResponseHeader(correlationID: correlationID).write(to: &writer, api: api, version: version)
        return writer
    }

    static func withSize(_ writer: KafkaWriter, tailBytes: Int) -> ByteBuffer {
        var buffer = writer.buffer
        let size = buffer.readableBytes - 4 + tailBytes
        buffer.setInteger(Int32(clamping: size), at: buffer.readerIndex)
        return buffer
    }
}

/// Why a client's connection is closed; the raw value is the label of the metric.
enum KafkaCloseReason: Error, Equatable, CustomStringConvertible {
    /// The bytes are no Kafka frame.
    case frame(KafkaFrameError)
    /// The request could not be decoded.
    case malformed(String)
    /// No API has this key.
    case unknownAPI(Int16)
    /// The API is there, and not in this version.
    case unsupportedVersion(ApiKey, Int16)
    /// A produce with acks=0 failed, and closing is the only way to tell the client.
    case unacknowledgedError(KafkaError)
    /// Nothing was asked for too long.
    case idle
    /// The broker stops.
    case shutdown

    /// The label in `kafka_connections_closed_total`.
    var label: String {
        switch self {
        case .frame: "frame"
        case .malformed: "malformed"
        case .unknownAPI: "unknown_api"
        case .unsupportedVersion: "unsupported_version"
        case .unacknowledgedError: "acks_0_error"
        case .idle: "idle"
        case .shutdown: "shutdown"
        }
    }

    /// A sentence for the log.
    var description: String {
        switch self {
        case .frame(let error): error.description
        case .malformed(let reason): "malformed request: \(reason)"
        case .unknownAPI(let key): "unknown API key \(key)"
        case .unsupportedVersion(let api, let version): "unsupported version \(version) of \(api)"
        case .unacknowledgedError(let error): "produce with acks=0 failed: \(error)"
        case .idle: "idle for too long"
        case .shutdown: "the broker stops"
        }
    }
}
