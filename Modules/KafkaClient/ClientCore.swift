import KafkaProtocol
import Model
import NIOCore

/// What a client knows of a cluster and its connections to it.
///
/// - Thread: the client's event loop.
final class ClientCore {
    typealias Completion<T> = (Result<T, KafkaClientError>) -> Void

    private enum Link {
        case connecting([Completion<BrokerConnection>])
        case open(BrokerConnection)
    }

    let loop: any EventLoop
    let options: ClientOptions
    private let bootstrap: [Address]
    private var links: [Address: Link] = [:]
    private(set) var isClosed = false

    /// The brokers that the last metadata named.
    var brokers: [Int32: Address] = [:]
    /// The broker that takes administrative requests, or -1.
    var controllerID: Int32 = -1
    /// The topics that were asked about.
    var topics: [String: TopicDescription] = [:]
    /// The topics that a refresh asks about.
    var wantedTopics: Set<String> = []
    var refreshWaiters: [Completion<Void>] = []
    var isRefreshing = false

    init(loop: any EventLoop, bootstrap: [Address], options: ClientOptions) {
        self.loop = loop
        self.bootstrap = bootstrap
        self.options = options
    }

    /// Runs `body` on the loop after a pause.
    func after(_ pause: TimeAmount, _ body: @escaping () -> Void) {
        loop.assumeIsolated().scheduleTask(in: pause, body)
    }

    // MARK: Connections

    /// Gives the connection to an address, opening it if there is none.
    func connection(to address: Address, _ completion: @escaping Completion<BrokerConnection>) {
        guard !isClosed else { return completion(.failure(.closed)) }
        switch links[address] {
        case .open(let connection): completion(.success(connection))
        case .connecting(let waiters): links[address] = .connecting(waiters + [completion])
        case nil:
            links[address] = .connecting([completion])
            BrokerConnection.open(address, on: loop, options: options) { [self] result in
                opened(address, result)
            }
        }
    }

    private func opened(_ address: Address, _ result: Result<BrokerConnection, KafkaClientError>) {
        guard case .connecting(let waiters) = links[address] else {
            if case .success(let connection) = result { connection.fail(.closed) }
            return
        }
        switch result {
        case .success(let connection):
            links[address] = .open(connection)
            connection.onClose = { [self] in links[address] = nil }
        case .failure: links[address] = nil
        }
        for waiter in waiters { waiter(result) }
    }

    /// The connection to an address, if there is one already.
    func openConnection(to address: Address) -> BrokerConnection? {
        guard case .open(let connection) = links[address], !connection.isClosed else { return nil }
        return connection
    }

    /// Gives a connection to any broker: an open one, or the first that can be opened.
    func anyConnection(_ completion: @escaping Completion<BrokerConnection>) {
        for case .open(let connection) in links.values where !connection.isClosed {
            return completion(.success(connection))
        }
        var addresses = bootstrap
        for id in brokers.keys.sorted() {
            if let address = brokers[id], !addresses.contains(address) {
                addresses.append(address)
            }
        }
        open(firstOf: addresses, tried: [], reason: "no address was given", completion)
    }

    private func open(
        firstOf addresses: [Address],
        tried: [String],
        reason: String,
        _ completion: @escaping Completion<BrokerConnection>
    ) {
        guard let first = addresses.first else {
            return completion(.failure(.unreachable(addresses: tried, reason: reason)))
        }
        connection(to: first) { [self] result in
            switch result {
            case .success, .failure(.closed): completion(result)
            case .failure(let error):
                var reason = error.description
                if case .unreachable(_, let inner) = error { reason = inner }
                open(
                    firstOf: Array(addresses.dropFirst()),
                    tried: tried + [first.description],
                    reason: reason,
                    completion
                )
            }
        }
    }

    /// Closes all connections; what is awaited fails.
    func close() {
        isClosed = true
        let open = links
        links = [:]
        for link in open.values {
            switch link {
            case .open(let connection): connection.fail(.closed)
            case .connecting(let waiters): for waiter in waiters { waiter(.failure(.closed)) }
            }
        }
    }

    // MARK: Calls

    /// Sends a request over a connection and reads its answer.
    func call<Request: KafkaMessage, Response: KafkaMessage>(
        _ api: ApiKey,
        _ request: Request,
        over connection: BrokerConnection,
        timeout: TimeAmount? = nil,
        _ completion: @escaping Completion<Response>
    ) {
        guard let version = connection.version(of: api) else {
            return completion(.failure(.unsupported(api)))
        }
        connection.send(api, timeout: timeout) { writer, version in
            request.write(to: &writer, version: version)
        } completion: { result in
            completion(Self.read(api, version, result, connection))
        }
    }

    static func read<Response: KafkaMessage>(
        _ api: ApiKey,
        _ version: Int16,
        _ result: Result<KafkaReader, KafkaClientError>,
        _ connection: BrokerConnection
    ) -> Result<Response, KafkaClientError> {
        result.flatMap { reader in
            var reader = reader
            do {
                return .success(try Response(reading: &reader, version: version))
            } catch {
                return .failure(connection.bad("\(api): \(error)"))
            }
        }
    }
}
