import CoreMetrics
import InterBroker
import InterBrokerProtocol
import Logging
import Model
import NIOCore
import NIOPosix
import Security
import Synchronization
import Testing

/// Waits until a condition holds; fails the test if it does not within ten seconds.
func eventually(
    _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async -> Bool
) async throws {
    let clock = ContinuousClock()
    let end = clock.now + .seconds(10)
    while clock.now < end {
        if await condition() { return }
        try await Task.sleep(for: .milliseconds(1))
    }
    Issue.record("never came true: \(what)", sourceLocation: sourceLocation)
}

/// Keeps log lines instead of printing them.
final class LogCapture: Sendable {
    struct Line: Sendable {
        var level: Logger.Level
        var text: String
        var metadata: [String: String]
    }

    private let kept = Mutex<[Line]>([])

    var lines: [Line] { kept.withLock { $0 } }
    var texts: [String] { lines.map(\.text) }

    func append(_ line: Line) { kept.withLock { $0.append(line) } }

    var logger: Logger {
        Logger(label: "test") { _ in Handler(capture: self) }
    }

    private struct Handler: LogHandler {
        let capture: LogCapture
        var metadata: Logger.Metadata = [:]
        var logLevel = Logger.Level.trace

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            let all = metadata.merging(event.metadata ?? [:]) { $1 }
            capture.append(
                Line(
                    level: event.level,
                    text: event.message.description,
                    metadata: all.mapValues(\.description)
                )
            )
        }
    }
}

/// Keeps counts by "label{a=b,...}".
final class CountingMetrics: MetricsFactory, Sendable {
    private let kept = Mutex<[String: Int64]>([:])

    subscript(key: String) -> Int64 { kept.withLock { $0[key] ?? 0 } }
    var keys: [String] { kept.withLock { $0.keys.sorted() } }

    func refusals(_ reason: String) -> Int64 { self["peer_refusals_total{reason=\(reason)}"] }

    func requests(_ type: Int, _ side: String, _ result: String) -> Int64 {
        self["inter_broker_requests_total{type=\(type),side=\(side),result=\(result)}"]
    }

    private final class Series: CounterHandler, TimerHandler, RecorderHandler {
        let metrics: CountingMetrics
        let key: String

        init(metrics: CountingMetrics, key: String) {
            self.metrics = metrics
            self.key = key
        }

        func add(_ amount: Int64) { metrics.kept.withLock { $0[key, default: 0] += amount } }
        func increment(by amount: Int64) { add(amount) }
        func reset() {}
        func recordNanoseconds(_ duration: Int64) { add(1) }
        func record(_ value: Int64) { add(1) }
        func record(_ value: Double) { add(1) }
    }

    private func series(_ label: String, _ dimensions: [(String, String)]) -> Series {
        let labels = dimensions.map { "\($0)=\($1)" }.joined(separator: ",")
        return Series(metrics: self, key: "\(label){\(labels)}")
    }

    func makeCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any CounterHandler { series(label, dimensions) }

    func makeTimer(
        label: String,
        dimensions: [(String, String)]
    ) -> any TimerHandler { series(label, dimensions) }

    func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler { series(label, dimensions) }

    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
}

/// A handler made of a closure.
struct ClosureHandler<Request: InterBrokerRequest>: InterBrokerRequestHandler {
    let body: @Sendable (Request, RequestContext) async -> Result<Request.Response, Refusal>

    func handle(
        _ request: Request,
        _ context: RequestContext
    ) async throws(Refusal) -> Request.Response {
        try await body(request, context).get()
    }
}

/// Stores epochs in memory; can be told to fail.
final class MemoryEpochStore: ControllerEpochStore, Sendable {
    struct Failure: Error {}
    private let state = Mutex<(saved: [ControllerEpoch], fails: Bool)>(([], false))

    var saved: [ControllerEpoch] { state.withLock { $0.saved } }
    func fail(_ fails: Bool) { state.withLock { $0.fails = fails } }

    func save(_ epoch: ControllerEpoch) async throws {
        await Task.yield()
        try state.withLock { state in
            if state.fails { throw Failure() }
            state.saved.append(epoch)
        }
    }
}

/// A broker's listener on loopback, with its captures, and a controller that calls it.
struct Peers: Sendable {
    static let cluster = ClusterID(UniqueID(high: 1, low: 1))
    static let topic = TopicID(UniqueID(high: 2, low: 2))
    static let directory = DirectoryID(UniqueID(high: 3, low: 3))

    let listener: InterBrokerListener
    let address: Address
    let log: LogCapture
    let metrics: CountingMetrics
    let store: MemoryEpochStore

    var target: InterBrokerTarget { InterBrokerTarget(id: 2, address: address.description) }

    static let controller = InterBrokerCaller(
        role: .controller,
        id: 1,
        clusterID: cluster,
        controllerEpoch: 5
    )
    static let broker = InterBrokerCaller(role: .broker, id: 3, clusterID: cluster)

    var call: CallOptions {
        var options = CallOptions(logger: log.logger)
        options.metrics = metrics
        return options
    }

    static func start(_ group: RaftGroupID) -> StartPartitionRaftGroupRequest {
        StartPartitionRaftGroupRequest(
            raftGroupID: group,
            topicID: topic,
            topicName: "test-topic",
            partitionID: 0,
            nodeMembers: ["8589934593": "127.0.0.1:9192"],
            join: false,
            directoryID: directory
        )
    }

    static func stop(_ group: RaftGroupID) -> StopPartitionRaftGroupRequest {
        StopPartitionRaftGroupRequest(
            raftGroupID: group,
            topicID: topic,
            topicName: "test-topic",
            partitionID: 0
        )
    }

    /// Rows that answer starts and stops with the group's number.
    static let echo: [RequestConfig] = [
        RequestConfig(
            .startPartitionRaftGroup,
            .interBroker,
            ClosureHandler<StartPartitionRaftGroupRequest> { request, _ in
                .success(.init(message: "started \(request.raftGroupID)"))
            }
        ),
        RequestConfig(
            .stopPartitionRaftGroup,
            .interBroker,
            ClosureHandler<StopPartitionRaftGroupRequest> { request, _ in
                .success(.init(message: "not running"))
            }
        ),
        RequestConfig(
            .controllerDiscover,
            .controller,
            ClosureHandler<ControllerDiscoverRequest> { _, _ in .success(.init()) }
        ),
    ]

    /// Runs `body` with a started listener, and checks that no connection is left behind.
    static func with(
        _ table: [RequestConfig] = echo,
        clusterID: ClusterID? = cluster,
        change: (inout ListenerOptions, inout PeerChecks) -> Void = { _, _ in },
        _ body: (Peers) async throws -> Void
    ) async throws {
        let log = LogCapture()
        let store = MemoryEpochStore()
        let metrics = CountingMetrics()
        var options = ListenerOptions()
        options.metrics = metrics
        var checks = PeerChecks(
            allowList: .everyone,
            role: .broker,
            id: 2,
            clusterID: { clusterID },
            epochs: ControllerEpochGate(newest: 0, store: store)
        )
        change(&options, &checks)
        let listener = InterBrokerListener(
            address: Address(host: "127.0.0.1", port: 0),
            requestConfigs: table,
            checks: checks,
            options: options,
            group: MultiThreadedEventLoopGroup.singleton,
            logger: log.logger
        )
        let address = try await listener.start()
        let peers = Peers(
            listener: listener,
            address: address,
            log: log,
            metrics: metrics,
            store: store
        )
        do {
            try await body(peers)
        } catch {
            await listener.shutdown()
            throw error
        }
        try await eventually("every connection is closed") { listener.connectionCount == 0 }
        await listener.shutdown()
    }
}
