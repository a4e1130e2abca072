import CoreMetrics
import InterBroker
public import InterBrokerProtocol
public import Logging
public import Model
public import NIOCore
public import Raft
public import RaftHost

/// Who this daemon is towards its peers.
public struct RaftPeerIdentity: Sendable {
    /// Its kind: brokers have streams to brokers, controllers to controllers.
    public var role: SenderRole
    /// Its broker or controller number: the owner in its node ids.
    public var id: Int32
    /// Its cluster; nil while it belongs to none.
    public var clusterID: @Sendable () -> ClusterID?
    /// This run of its process.
    public var session: SessionID

    /// Describes a daemon.
    public init(
        role: SenderRole,
        id: Int32,
        clusterID: @escaping @Sendable () -> ClusterID?,
        session: SessionID
    ) {
        self.role = role
        self.id = id
        self.clusterID = clusterID
        self.session = session
    }
}

/// One of the streams with a peer.
struct StreamKey: Hashable {
    let peer: Int32
    let lane: RaftLane
}

/// Carries Raft messages between the daemons of one kind.
///
/// One stream per direction, pair of daemons and lane; the messages of all groups share it, in
/// frames. Messages may be lost (a full queue, a lost stream) but those of one stream are never
/// reordered.
/// - Thread: the event loop only, `raftStreamAcceptor` excepted. Its listener's connections must
///   live on the same loop.
public final class StreamTransport: RaftSender {
    /// The loop to which everything here belongs.
    public let eventLoop: any EventLoop
    /// Who gets the messages; set it before the first stream is accepted.
    public weak var sink: (any RaftMessageSink)?

    let identity: RaftPeerIdentity
    let options: TransportOptions
    let logger: Logger
    private let addressOf: (Int32) -> String?
    private var outgoing: [StreamKey: PeerStream] = [:]
    /// The peers to which something was queued in this turn.
    private var unflushed: [PeerStream] = []
    private var lastPeer: PeerStream?
    var incoming: [StreamKey: IncomingStream] = [:] {
        didSet { streams.record(incoming.count) }
    }
    private let streams: Gauge
    /// The session of each peer's newest process.
    var sessions: [Int32: SessionID] = [:]
    /// The sessions of processes that a newer one has replaced, newest last.
    var retired: [Int32: [SessionID]] = [:]
    private var unreachable: [(group: RaftGroupID, node: NodeID)] = []
    private var metricsOfPeers: [Int32: PeerMetrics] = [:]
    private(set) var isShutDown = false

    /// Makes a transport without streams; they are opened when something is to be sent.
    ///
    /// - Parameter addressOf: a daemon's peer address, asked each time a stream is opened.
    public init(
        eventLoop: any EventLoop,
        identity: RaftPeerIdentity,
        options: TransportOptions = TransportOptions(),
        logger: Logger,
        addressOf: @escaping (Int32) -> String?
    ) {
        self.eventLoop = eventLoop
        self.identity = identity
        self.options = options
        self.logger = logger
        self.streams = Gauge(label: "raft_streams", factory: options.metrics)
        self.addressOf = addressOf
    }

    /// Queues a message for the daemon that owns its receiver.
    public func send(
        _ group: RaftGroupID,
        _ message: Message,
        chain: UInt64?,
        on lane: RaftLane
    ) {
        let key = StreamKey(peer: message.to.owner, lane: lane)
        queue(key) { $0.send(group, message, chain: chain) }
    }

    /// Queues a round of heartbeats for a daemon.
    public func send(_ round: HeartbeatRound, to owner: Int32) {
        queue(StreamKey(peer: owner, lane: .live)) { $0.send(round) }
    }

    /// Queues the answer to a daemon's round of heartbeats.
    public func send(_ answers: HeartbeatAnswers, to owner: Int32) {
        queue(StreamKey(peer: owner, lane: .live)) { $0.send(answers) }
    }

    /// Whether the lane for catching up to a daemon has less than its share waiting.
    public func takesCatchUp(to owner: Int32) -> Bool {
        queuedBytes(of: owner, on: .catchUp) < options.catchUpBytesMax
    }

    /// The newest run of a peer's process that has opened a stream to here; nil if none has.
    public func session(of owner: Int32) -> SessionID? {
        eventLoop.preconditionInEventLoop()
        return sessions[owner]
    }

    private func queue(_ key: StreamKey, _ send: (PeerStream) -> Void) {
        eventLoop.preconditionInEventLoop()
        guard !isShutDown, key.peer != identity.id else { return }
        let peer = stream(key)
        send(peer)
        if !peer.isUnflushed {
            peer.isUnflushed = true
            unflushed.append(peer)
        }
    }

    /// Sends what was queued since the last time: for each peer, one frame or a few large ones.
    public func flush() {
        eventLoop.preconditionInEventLoop()
        for peer in unflushed {
            peer.isUnflushed = false
            peer.flush()
        }
        unflushed.removeAll(keepingCapacity: true)
    }

    /// Closes all streams; nothing is sent or delivered any more.
    public func shutdown() {
        eventLoop.preconditionInEventLoop()
        isShutDown = true
        for peer in outgoing.values { peer.shutdown() }
        outgoing = [:]
        unflushed = []
        lastPeer = nil
        for stream in incoming.values { stream.close() }
        incoming = [:]
    }

    /// How many bytes wait for a peer.
    public func queuedBytes(of peer: Int32, on lane: RaftLane = .live) -> Int {
        outgoing[StreamKey(peer: peer, lane: lane)]?.countQueuedBytes() ?? 0
    }

    private func stream(_ key: StreamKey) -> PeerStream {
        if let lastPeer, lastPeer.key == key { return lastPeer }
        let peer =
            outgoing[key] ?? PeerStream(key, transport: self, metrics: metrics(of: key.peer))
        outgoing[key] = peer
        lastPeer = peer
        return peer
    }

    func address(of peer: Int32) -> String? { addressOf(peer) }

    func name(of peer: Int32) -> String { "\(identity.role.rawValue) \(peer)" }

    func name(of stream: StreamKey) -> String {
        name(of: stream.peer) + (stream.lane == .catchUp ? " (catching up)" : "")
    }

    func metrics(of peer: Int32) -> PeerMetrics {
        if let made = metricsOfPeers[peer] { return made }
        let made = PeerMetrics(peer: peer, factory: options.metrics)
        metricsOfPeers[peer] = made
        return made
    }

    /// Lets a peer's stream be opened at once: its process is known to be there.
    func peerIsThere(_ owner: Int32) {
        for lane in RaftLane.allCases { outgoing[StreamKey(peer: owner, lane: lane)]?.retryNow() }
    }

    /// Notes that entries or a snapshot for a node were dropped, and reports it after this turn.
    ///
    /// Not at once: the group that sends is in the middle of its own turn.
    func reportLoss(_ group: RaftGroupID, of message: Message) {
        guard message.type == .append || message.type == .snapshot else { return }
        if let last = unreachable.last, last == (group, message.to) { return }
        unreachable.append((group, message.to))
        guard unreachable.count == 1 else { return }
        let transport = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.execute {
            let lost = transport.value.unreachable
            transport.value.unreachable = []
            for (group, node) in lost { transport.value.sink?.peerUnreachable(group, node) }
        }
    }
}
