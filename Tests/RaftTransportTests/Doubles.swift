import CoreMetrics
import InterBroker
import InterBrokerProtocol
import Logging
import Model
import NIOCore
import NIOPosix
import Raft
import RaftHost
import Security
import Testing

@testable import RaftTransport

/// Waits until a condition holds; fails the test if it does not within ten seconds.
func eventually(
    _ what: String,
    sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async throws {
    let clock = ContinuousClock()
    let end = clock.now + .seconds(10)
    while clock.now < end {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(1))
    }
    Issue.record("never came true: \(what)", sourceLocation: sourceLocation)
}

/// Keeps what a transport delivers.
///
/// - Thread: the node's event loop.
final class Sink: RaftMessageSink {
    enum Event: Equatable {
        case connected(Int32)
        case disconnected(Int32)
        case unreachable(RaftGroupID, NodeID)
    }

    var received: [ReceivedMessage] = []
    var rounds: [Int32: [HeartbeatRound]] = [:]
    var answers: [Int32: [HeartbeatAnswers]] = [:]
    var frames = 0
    var count = 0
    var bytes = 0
    var events: [Event] = []
    var keeps = true

    func receive(_ messages: [ReceivedMessage]) {
        frames += 1
        count += messages.count
        for message in messages {
            for entry in message.message.entries { bytes += entry.payload.count }
        }
        if keeps { received += messages }
    }

    func receive(_ round: HeartbeatRound, from owner: Int32) {
        rounds[owner, default: []].append(round)
    }

    func receive(_ answers: HeartbeatAnswers, from owner: Int32) {
        self.answers[owner, default: []].append(answers)
    }

    func peerConnected(_ owner: Int32) { events.append(.connected(owner)) }
    func peerDisconnected(_ owner: Int32) { events.append(.disconnected(owner)) }
    func peerUnreachable(_ group: RaftGroupID, _ node: NodeID) {
        events.append(.unreachable(group, node))
    }
}

/// Where the nodes of a test listen; asked by their transports.
final class AddressBook {
    var addresses: [Int32: String] = [:]
}

/// A daemon: an event loop with a transport, its sink, and a listener that accepts streams.
struct Node: Sendable {
    /// What belongs to the event loop.
    struct Parts {
        let transport: StreamTransport
        let sink: Sink
        let book: AddressBook
    }

    static let cluster = ClusterID(UniqueID(high: 1, low: 1))

    let id: Int32
    let loop: any EventLoop
    let parts: NIOLoopBound<Parts>
    let listener: InterBrokerListener
    let address: Address

    init(
        _ id: Int32,
        session: UInt64 = 1,
        port: Int = 0,
        change: @Sendable @escaping (inout TransportOptions) -> Void = { _ in }
    ) async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let (parts, acceptor) = try await loop.submit {
            var options = TransportOptions()
            change(&options)
            let book = AddressBook()
            let sink = Sink()
            let transport = StreamTransport(
                eventLoop: loop,
                identity: RaftPeerIdentity(
                    role: .broker,
                    id: id,
                    clusterID: { Node.cluster },
                    session: SessionID(UniqueID(high: UInt64(id), low: session))
                ),
                options: options,
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                addressOf: { book.addresses[$0] }
            )
            transport.sink = sink
            let parts = Parts(transport: transport, sink: sink, book: book)
            return (NIOLoopBound(parts, eventLoop: loop), transport.raftStreamAcceptor)
        }.get()
        listener = InterBrokerListener(
            address: Address(host: "127.0.0.1", port: port),
            requestConfigs: [RequestConfig(raftStream: acceptor)],
            checks: PeerChecks(
                allowList: .everyone,
                role: .broker,
                id: id,
                clusterID: { Node.cluster }
            ),
            group: loop,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        address = try await listener.start()
        self.id = id
        self.loop = loop
        self.parts = parts
    }

    /// Runs `body` on the node's event loop.
    func on<Result: Sendable>(
        _ body: @escaping @Sendable (Parts) throws -> Result
    ) async throws -> Result {
        let parts = parts
        return try await loop.submit { try body(parts.value) }.get()
    }

    func knows(_ other: Node) async throws {
        let address = other.address.description
        let id = other.id
        try await on { $0.book.addresses[id] = address }
    }

    func node(_ incarnation: UInt32 = 1) -> NodeID { NodeID(owner: id, incarnation: incarnation) }

    /// Sends heartbeats of the given commit indexes to a node, in one turn.
    func beat(_ other: Node, _ commits: ClosedRange<UInt64>) async throws {
        let (from, to) = (node(), other.node())
        try await on { parts in
            for commit in commits {
                var message = Message(type: .heartbeat, to: to, from: from, term: 1)
                message.commit = LogIndex(commit)
                parts.transport.send(1001, message, chain: nil, on: .live)
            }
            parts.transport.flush()
        }
    }

    func stop() async throws {
        try await on { $0.transport.shutdown() }
        await listener.shutdown()
    }
}
