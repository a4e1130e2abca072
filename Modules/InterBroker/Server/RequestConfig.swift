public import InterBrokerProtocol
public import Logging
public import NIOCore

/// What a type of request is about: a column of the request table.
public enum RequestKind: String, Sendable {
    /// Finding controllers.
    case controller
    /// Reading the cluster's metadata.
    case metadataRead
    /// What one daemon does for another.
    case interBroker
    /// Changing the cluster's metadata: the controller leader's business.
    case metadataWrite
}

/// What a handler knows about a request beside its body.
public struct RequestContext: Sendable {
    /// The common fields, checked already.
    public var header: RequestHeader
    /// Where the request came from, `address:port`.
    public var peer: String
    /// A logger that names the peer.
    public var logger: Logger

    /// Describes a request's origin.
    public init(header: RequestHeader, peer: String, logger: Logger) {
        self.header = header
        self.peer = peer
        self.logger = logger
    }
}

/// Answers one type of request.
///
/// - Thread: any; the requests of one connection are handled one after the other, those of
///   different connections at the same time. The task is cancelled when the connection ends.
public protocol InterBrokerRequestHandler<Request>: Sendable {
    /// What is asked.
    associatedtype Request: InterBrokerRequest

    /// Does what is asked, or throws the reason why not.
    func handle(
        _ request: Request,
        _ context: RequestContext
    ) async throws(Refusal) -> Request.Response
}

/// Takes over connections that have become Raft streams.
public protocol RaftStreamAcceptor: Sendable {
    /// What is answered to the sender, before the stream begins; or the reason why it must not.
    func admit(
        _ hello: RaftStreamRequest,
        _ context: RequestContext
    ) async throws(Refusal) -> RaftStreamResponse

    /// Takes the connection: it carries no requests any more, and its pipeline is empty.
    ///
    /// - Thread: the connection's event loop. Nothing was read yet that the stream carries.
    func accept(_ channel: any Channel, _ hello: RaftStreamRequest, from header: RequestHeader)
}

/// A row of a listener's request table.
public struct RequestConfig: Sendable {
    /// Which requests the row is about.
    public let type: InterBrokerRequestType
    /// What they are called in logs.
    public let name: String
    /// What they are about.
    public let kind: RequestKind

    let action: Action

    /// What happens to a request whose sender has passed the checks.
    enum Action: Sendable {
        case answer(@Sendable (ByteBuffer, RequestContext) async -> Outcome)
        case stream(any RaftStreamAcceptor)
    }

    /// A handler's answer as JSON, and the label under which it is counted.
    struct Outcome: Sendable {
        var json: ByteBuffer
        var result: String
        /// Set when the request itself was bad, so that the connection is closed.
        var refusal: PeerRefusal?
    }

    /// A row whose requests are answered.
    public init<Handler: InterBrokerRequestHandler>(
        _ type: InterBrokerRequestType,
        _ kind: RequestKind,
        _ handler: Handler
    ) {
        precondition(
            type == Handler.Request.type,
            "\(Handler.self) does not answer \(type.name)"
        )
        self.type = type
        self.name = type.name
        self.kind = kind
        self.action = .answer { json, context in
            await Self.answer(json, context, handler)
        }
    }

    /// The row of Raft streams.
    public init(raftStream acceptor: any RaftStreamAcceptor) {
        self.type = .raftStream
        self.name = type.name
        self.kind = .interBroker
        self.action = .stream(acceptor)
    }

    private static func answer<Handler: InterBrokerRequestHandler>(
        _ json: ByteBuffer,
        _ context: RequestContext,
        _ handler: Handler
    ) async -> Outcome {
        typealias Response = Handler.Request.Response
        let request: Handler.Request
        do {
            request = try InterBrokerJSON.decode(Handler.Request.self, from: json)
        } catch {
            return .bad(PeerRefusal(.badRequest, error.description))
        }
        if let refusal = request.validate() {
            return .encode(Answer<Response>.refused(refusal), "refused")
        }
        do {
            let response = try await handler.handle(request, context)
            return .encode(Answer.success(response), "ok")
        } catch {
            return .encode(Answer<Response>.refused(error), "refused")
        }
    }
}

extension RequestConfig.Outcome {
    /// An answer whose JSON does not fit into a frame becomes a refusal.
    static func encode(_ answer: Answer<some Any>, _ result: String) -> Self {
        do {
            let json = try InterBrokerJSON.encode(answer)
            if json.readableBytes <= InterBrokerLimits.frameBytesMax {
                return Self(json: json, result: result, refusal: nil)
            }
            return .refuse(Refusal("answer exceeds the frame limit"), "failed")
        } catch {
            return .refuse(Refusal("answer is not encodable"), "failed")
        }
    }

    /// The answer to bytes that are no request; the connection is closed after it.
    static func bad(_ refusal: PeerRefusal) -> Self {
        var outcome = refuse(Refusal(refusal.text), "bad_request")
        outcome.refusal = refusal
        return outcome
    }

    static func refuse(_ refusal: Refusal, _ result: String) -> Self {
        let json = try? InterBrokerJSON.encode(Answer<NoResponse>.refused(refusal))
        return Self(json: json ?? ByteBuffer(), result: result, refusal: nil)
    }
}

/// The response of an answer that is always a refusal.
private struct NoResponse: Codable, Equatable, Sendable {}
