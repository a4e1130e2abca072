import NIOCore
import NIOHTTP1
import Telemetry

/// Answers the requests of one connection.
///
/// - Invariant: an answer is written only after the request has arrived whole, or when it breaks a
///   bound; in that case the connection is closed after the answer.
final class ConsoleHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private struct Answer {
        var status: HTTPResponseStatus
        var type = "text/plain; charset=utf-8"
        var body: String
    }

    private let metrics: MetricsRegistry
    private let limits: ConsoleServer.Limits
    private let health: @Sendable () -> HealthReport
    private var head: HTTPRequestHead?
    private var bodyBytes = 0
    private var isClosing = false
    private var deadline: Scheduled<Void>?

    init(
        metrics: MetricsRegistry,
        limits: ConsoleServer.Limits,
        health: @escaping @Sendable () -> HealthReport
    ) {
        self.metrics = metrics
        self.limits = limits
        self.health = health
    }

    func handlerAdded(context: ChannelHandlerContext) { setDeadline(context) }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    private func setDeadline(_ context: ChannelHandlerContext) {
        deadline?.cancel()
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: limits.requestTimeout) {
            channel.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        switch unwrapInboundIn(data) {
        case .head(let head):
            self.head = head
            bodyBytes = 0
            let length = head.headers.first(name: "content-length").flatMap { Int($0) } ?? 0
            if length > limits.bodyBytesMax { refuseBody(context) }
        case .body(let part):
            bodyBytes += part.readableBytes
            if bodyBytes > limits.bodyBytesMax { refuseBody(context) }
        case .end:
            guard let head else { return }
            self.head = nil
            write(answer(head), to: head, context)
            setDeadline(context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard !isClosing else { return }
        switch error as? HTTPParserError {
        case .headerOverflow:
            refuse(
                context,
                Answer(status: .requestHeaderFieldsTooLarge, body: "headers too large\n")
            )
        case nil: context.close(promise: nil)
        default: refuse(context, Answer(status: .badRequest, body: "not HTTP\n"))
        }
    }

    private func refuseBody(_ context: ChannelHandlerContext) {
        refuse(context, Answer(status: .payloadTooLarge, body: "the body is too large\n"))
    }

    /// Answers and closes: what follows in the stream is not read.
    private func refuse(_ context: ChannelHandlerContext, _ answer: Answer) {
        isClosing = true
        write(answer, to: nil, context)
    }

    private func answer(_ head: HTTPRequestHead) -> Answer {
        let path = head.uri.prefix { $0 != "?" }
        guard ["/", "/metrics", "/health"].contains(path) else {
            return Answer(status: .notFound, body: "there are /metrics and /health\n")
        }
        guard head.method == .GET || head.method == .HEAD else {
            return Answer(status: .methodNotAllowed, body: "only GET\n")
        }
        switch path {
        case "/metrics":
            let type = "text/plain; version=0.0.4; charset=utf-8"
            return Answer(status: .ok, type: type, body: metrics.prometheusText())
        case "/health":
            let report = health()
            let status: HTTPResponseStatus = report.isHealthy ? .ok : .serviceUnavailable
            return Answer(status: status, type: "application/json", body: report.json)
        default:
            return Answer(status: .ok, body: "martlet\n/metrics\n/health\n")
        }
    }

    /// Writes an answer; without a request head the connection closes after it.
    private func write(
        _ answer: Answer,
        to head: HTTPRequestHead?,
        _ context: ChannelHandlerContext
    ) {
        let known = ["/metrics", "/health"]
        let path = head.map { String($0.uri.prefix { $0 != "?" }) } ?? ""
        metrics.counter(
            .httpRequests,
            ["path": known.contains(path) ? path : "other", "status": "\(answer.status.code)"]
        ).add()
        let keepsAlive = head?.isKeepAlive ?? false
        var headers = HTTPHeaders([
            ("content-type", answer.type), ("content-length", "\(answer.body.utf8.count)"),
            ("cache-control", "no-store"),
        ])
        if !keepsAlive { headers.add(name: "connection", value: "close") }
        let version = head?.version ?? .http1_1
        let response = HTTPResponseHead(version: version, status: answer.status, headers: headers)
        context.write(wrapOutboundOut(.head(response)), promise: nil)
        if head?.method != .HEAD {
            let body = context.channel.allocator.buffer(string: answer.body)
            context.write(wrapOutboundOut(.body(.byteBuffer(body))), promise: nil)
        }
        let end = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        if !keepsAlive {
            isClosing = true
            let channel = context.channel
            end.whenComplete { _ in channel.close(promise: nil) }
        }
    }
}
