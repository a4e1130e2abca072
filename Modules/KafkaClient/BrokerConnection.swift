import KafkaProtocol
import Model
import NIOCore
import NIOPosix

/// One connection to a broker: requests go out without waiting, answers come back in order.
///
/// - Thread: the client's event loop.
/// - Invariant: every `completion` is called once; after a failure the connection is closed.
final class BrokerConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    typealias Completion = (Result<KafkaReader, KafkaClientError>) -> Void

    private struct Awaited {
        let correlationID: Int32
        let api: ApiKey
        let version: Int16
        let deadline: NIODeadline
        let completion: Completion
    }

    let address: Address
    /// Called once when the connection has ended.
    var onClose: (() -> Void)?
    private let options: ClientOptions
    private var context: ChannelHandlerContext?
    private var received = ByteBuffer()
    private var awaited = CircularBuffer<Awaited>()
    private var lastCorrelationID: Int32 = 0
    private var versions: [Int16: ClosedRange<Int16>] = [:]
    private var isFlushPlanned = false
    private var isWatching = false
    private(set) var isClosed = false

    init(address: Address, options: ClientOptions) {
        self.address = address
        self.options = options
    }

    /// How many requests have no answer yet.
    var inFlight: Int { awaited.count }

    // MARK: Sending

    /// The version to speak for an API; nil if there is none that both sides know.
    func version(of api: ApiKey) -> Int16? {
        if api == .apiVersions { return KafkaVersions.served(api)?.upperBound }
        guard let own = KafkaVersions.served(api), let theirs = versions[api.rawValue] else {
            return nil
        }
        let best = min(own.upperBound, theirs.upperBound)
        return best >= max(own.lowerBound, theirs.lowerBound) ? best : nil
    }

    /// Sends a request; `body` writes it in the version that it is given.
    ///
    /// `expectsAnswer` is false only for a produce with acks=0, which is then complete once sent.
    func send(
        _ api: ApiKey,
        version fixed: Int16? = nil,
        capacity: Int = 256,
        timeout: TimeAmount? = nil,
        expectsAnswer: Bool = true,
        body: (inout KafkaWriter, Int16) -> Void,
        completion: @escaping Completion
    ) {
        guard let context, !isClosed else {
            return completion(.failure(closedError("it is closed")))
        }
        guard let version = fixed ?? version(of: api) else {
            return completion(.failure(.unsupported(api)))
        }
        lastCorrelationID &+= 1
        var writer = KafkaWriter(capacity: capacity + 64)
        writer.writeInteger(Int32(0))
        RequestHeader(
            apiKey: api.rawValue,
            apiVersion: version,
            correlationID: lastCorrelationID,
            clientID: options.clientID
        ).write(to: &writer)
        body(&writer, version)
        writer.setInteger(Int32(clamping: writer.count - 4), at: 0)
        if expectsAnswer {
            awaited.append(
                Awaited(
                    correlationID: lastCorrelationID,
                    api: api,
                    version: version,
                    deadline: .now() + (timeout ?? options.requestTimeout),
                    completion: completion
                )
            )
            watch()
        }
        context.write(wrapOutboundOut(writer.buffer), promise: nil)
        planFlush(context)
        if !expectsAnswer { completion(.success(KafkaReader(ByteBuffer()))) }
    }

    /// Flushes once per turn of the loop, whatever the number of requests.
    private func planFlush(_ context: ChannelHandlerContext) {
        guard !isFlushPlanned else { return }
        isFlushPlanned = true
        context.eventLoop.assumeIsolated().execute { [self] in
            isFlushPlanned = false
            self.context?.flush()
        }
    }

    private func closedError(_ reason: String) -> KafkaClientError {
        .disconnected(address: address.description, reason: reason)
    }

    // MARK: Deadlines

    /// Looks after the oldest request every half second as long as there is one.
    private func watch() {
        guard !isWatching, let context else { return }
        isWatching = true
        context.eventLoop.assumeIsolated().scheduleTask(in: .milliseconds(500)) { [self] in
            isWatching = false
            guard let first = awaited.first else { return }
            guard first.deadline > .now() else {
                return fail(.timedOut("\(address) has not answered \(first.api)"))
            }
            watch()
        }
    }

    // MARK: Receiving

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        fail(closedError("it was torn down"))
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(closedError("the broker closed it"))
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(closedError(SystemErrors.reason(error)))
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        var bytes = unwrapInboundIn(data)
        if received.readableBytes == 0 { received = bytes } else { received.writeBuffer(&bytes) }
        takeFrames()
    }

    private func takeFrames() {
        while !isClosed {
            guard let size: Int32 = received.getInteger(at: received.readerIndex) else { return }
            guard size >= 4, Int(size) <= options.answerBytesMax else {
                return fail(bad("an answer of \(size) bytes"))
            }
            guard received.readableBytes >= 4 + Int(size) else {
                let missing = 4 + Int(size) - received.readableBytes
                received.reserveCapacity(minimumWritableBytes: missing)
                return
            }
            received.moveReaderIndex(forwardBy: 4)
            guard let frame = received.readSlice(length: Int(size)) else { return }
            if received.readableBytes == 0 { received = ByteBuffer() }
            take(frame)
        }
    }

    private func take(_ frame: ByteBuffer) {
        guard let first = awaited.popFirst() else {
            return fail(bad("an answer that nothing was asked for"))
        }
        var reader = KafkaReader(frame)
        do {
            let header = try ResponseHeader(
                reading: &reader,
                api: first.api,
                version: first.version
            )
            guard header.correlationID == first.correlationID else {
                let error = bad("answer \(header.correlationID) to \(first.correlationID)")
                first.completion(.failure(error))
                return fail(error)
            }
            first.completion(.success(reader))
        } catch {
            let error = bad("\(first.api) header: \(error)")
            first.completion(.failure(error))
            fail(error)
        }
    }

    func bad(_ reason: String) -> KafkaClientError {
        .badAnswer(address: address.description, reason: reason)
    }

    // MARK: Ending

    /// Closes the connection; what is awaited fails with the reason.
    func fail(_ error: KafkaClientError) {
        guard !isClosed else { return }
        isClosed = true
        context?.close(promise: nil)
        let unanswered = awaited
        awaited = CircularBuffer()
        onClose?()
        onClose = nil
        for request in unanswered { request.completion(.failure(error)) }
    }
}

// MARK: Opening

extension BrokerConnection {
    /// Connects and asks which versions the broker speaks.
    static func open(
        _ address: Address,
        on loop: any EventLoop,
        options: ClientOptions,
        completion: @escaping (Result<BrokerConnection, KafkaClientError>) -> Void
    ) {
        let future = ClientBootstrap(group: loop)
            .connectTimeout(options.connectTimeout)
            .channelOption(.socketOption(.tcp_nodelay), value: 1)
            .channelOption(
                .recvAllocator,
                value: AdaptiveRecvByteBufferAllocator(
                    minimum: 4 << 10,
                    initial: 64 << 10,
                    maximum: 1 << 20
                )
            )
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        BrokerConnection(address: address, options: options)
                    )
                }
            }
            .connect(host: address.host, port: address.port)
        future.assumeIsolated().whenComplete { result in
            do {
                let channel = try result.get()
                let connection = try channel.pipeline.syncOperations.handler(
                    type: BrokerConnection.self
                )
                connection.negotiate { error in
                    completion(error.map { .failure($0) } ?? .success(connection))
                }
            } catch {
                let reason = SystemErrors.reason(error)
                completion(
                    .failure(.unreachable(addresses: [address.description], reason: reason))
                )
            }
        }
    }

    /// Asks for the broker's versions, once more in the version that it offers if it must be.
    private func negotiate(
        version: Int16? = nil,
        completion: @escaping (KafkaClientError?) -> Void
    ) {
        var request = ApiVersionsRequest()
        request.clientSoftwareName = "martlet"
        request.clientSoftwareVersion = "0.1"
        send(.apiVersions, version: version) { writer, version in
            request.write(to: &writer, version: version)
        } completion: { [self] result in
            do throws(KafkaClientError) {
                let answer = try read(versions: try result.get(), version)
                if answer.errorCode == KafkaError.unsupportedVersion.rawValue, version == nil {
                    let offered = answer.apiKeys.first { $0.apiKey == ApiKey.apiVersions.rawValue }
                    return negotiate(
                        version: max(0, min(2, offered?.maxVersion ?? 0)),
                        completion: completion
                    )
                }
                if let error = KafkaClientError(code: answer.errorCode) { throw error }
                for range in answer.apiKeys where range.minVersion <= range.maxVersion {
                    versions[range.apiKey] = range.minVersion...range.maxVersion
                }
                completion(nil)
            } catch {
                fail(error)
                completion(error)
            }
        }
    }

    /// Reads the answer, which is in version 0 if the version was not understood.
    private func read(
        versions reader: KafkaReader,
        _ version: Int16?
    ) throws(KafkaClientError) -> ApiVersionsResponse {
        let asked = version ?? self.version(of: .apiVersions) ?? 0
        do {
            var peek = reader
            let code: Int16 = try peek.readInteger()
            var reader = reader
            let isRefused = code == KafkaError.unsupportedVersion.rawValue
            return try ApiVersionsResponse(reading: &reader, version: isRefused ? 0 : asked)
        } catch {
            throw bad("apiVersions: \(error)")
        }
    }
}

/// Words for what the system reports.
enum SystemErrors {
    /// The system's own words out of NIO's `what failed: Connection refused) (errno: 111)`.
    private static func words(of error: IOError) -> String {
        let text = "\(error)"
        let parts = text.split(separator: ": ")
        let end = ") (errno"
        guard parts.count == 3, parts[1].hasSuffix(end) else { return text }
        return String(parts[1].dropLast(end.count))
    }

    static func reason(_ error: any Error) -> String {
        switch error {
        case let error as IOError: words(of: error)
        case let error as NIOConnectionError:
            error.connectionErrors.last.map { reason($0.error) }
                ?? (error.dnsAError ?? error.dnsAAAAError).map { "\($0)" }
                ?? "cannot connect"
        case let error as ChannelError:
            if case .connectTimeout = error { "the connection timed out" } else { "\(error)" }
        default: "\(error)"
        }
    }
}
