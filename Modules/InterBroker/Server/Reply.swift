import InterBrokerProtocol
import Logging
import NIOCore

/// What becomes of one request: the answer, and what happens to the connection.
struct Reply: Sendable {
    /// What the connection does once the answer is written.
    enum Next: Sendable {
        case `continue`
        case close
        case stream(any RaftStreamAcceptor, RaftStreamRequest, RequestHeader)
    }

    var outcome: RequestConfig.Outcome
    var next: Next
    /// Set when the peer was turned away: counted and logged by the connection.
    var refusal: PeerRefusal?

    /// Checks the sender, has the request handled and counts it.
    init(to frame: RequestFrame, from peer: String, _ shared: ListenerShared) async {
        let clock = ContinuousClock()
        let start = clock.now
        do {
            self = try await Self.handle(frame, peer, shared)
        } catch {
            self.init(refused: error)
        }
        shared.metrics.record(
            frame.type,
            result: outcome.result,
            duration: clock.now - start
        )
    }

    private init(outcome: RequestConfig.Outcome, next: Next, refusal: PeerRefusal? = nil) {
        self.outcome = outcome
        self.next = next
        self.refusal = refusal
    }

    private init(refused refusal: PeerRefusal) {
        self.init(
            outcome: .refuse(Refusal(refusal.text), "refused"),
            next: .close,
            refusal: refusal
        )
    }

    private static func handle(
        _ frame: RequestFrame,
        _ peer: String,
        _ shared: ListenerShared
    ) async throws(PeerRefusal) -> Reply {
        guard let row = shared.row(frame.type) else {
            throw PeerRefusal(
                .type,
                "unknown request type \(frame.type.rawValue) on this listener"
            )
        }
        let header: RequestHeader
        do {
            header = try InterBrokerJSON.decode(RequestHeader.self, from: frame.body)
        } catch {
            throw PeerRefusal(.badRequest, error.description)
        }
        try await shared.checks.validate(header, frame.type)
        var logger = shared.logger
        logger[metadataKey: "MARTLET_PEER"] = "\(peer)"
        let context = RequestContext(header: header, peer: peer, logger: logger)
        switch row.action {
        case .answer(let answer):
            let outcome = await answer(frame.body, context)
            return Reply(
                outcome: outcome,
                next: outcome.refusal == nil ? .continue : .close,
                refusal: outcome.refusal
            )
        case .stream(let acceptor): return try await stream(frame, context, acceptor)
        }
    }

    private static func stream(
        _ frame: RequestFrame,
        _ context: RequestContext,
        _ acceptor: any RaftStreamAcceptor
    ) async throws(PeerRefusal) -> Reply {
        let hello: RaftStreamRequest
        do {
            hello = try InterBrokerJSON.decode(RaftStreamRequest.self, from: frame.body)
        } catch {
            throw PeerRefusal(.badRequest, error.description)
        }
        do throws(Refusal) {
            if let refusal = hello.validate() { throw refusal }
            let response = try await acceptor.admit(hello, context)
            return Reply(
                outcome: .encode(Answer.success(response), "ok"),
                next: .stream(acceptor, hello, context.header)
            )
        } catch {
            return Reply(
                outcome: .encode(Answer<RaftStreamResponse>.refused(error), "refused"),
                next: .close
            )
        }
    }
}
