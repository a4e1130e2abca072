import InterBroker
import InterBrokerProtocol
import Model
import NIOCore
import NIOPosix
import Raft
import RaftHost
import RaftLog
import Synchronization
import Testing

@testable import RaftTransport

@Suite struct StreamTests {
    private func pair(
        change: @Sendable @escaping (inout TransportOptions) -> Void = { _ in }
    ) async throws -> (Node, Node) {
        let first = try await Node(1, change: change)
        let second = try await Node(2, change: change)
        try await first.knows(second)
        try await second.knows(first)
        return (first, second)
    }

    private func commits(_ node: Node) async throws -> [UInt64] {
        try await node.on { $0.sink.received.map(\.message.commit.rawValue) }
    }

    @Test func `what is sent while the stream is being opened arrives in order`() async throws {
        let (first, second) = try await pair()
        for start in stride(from: UInt64(1), through: 901, by: 100) {
            try await first.beat(second, start...start + 99)
        }
        try await eventually("all arrived") { try await second.on { $0.sink.count } == 1000 }
        #expect(try await commits(second) == Array(1...1000))
        #expect(try await second.on { $0.sink.events } == [.connected(1)])
        try await first.stop()
        try await second.stop()
    }

    @Test func `one turn's messages of many groups arrive as one frame`() async throws {
        let (first, second) = try await pair()
        try await first.beat(second, 1...1)
        try await eventually("the stream is open") { try await second.on { $0.sink.count } == 1 }
        let (from, to) = (first.node(), second.node())
        try await first.on { parts in
            for group in 1001...2000 {
                let beat = Message(type: .heartbeat, to: to, from: from, term: 1)
                parts.transport.send(RaftGroupID(UInt64(group)), beat, chain: nil, on: .live)
            }
            parts.transport.flush()
        }
        try await eventually("all arrived") { try await second.on { $0.sink.count } == 1001 }
        #expect(try await second.on { $0.sink.frames } == 2)
        try await first.stop()
        try await second.stop()
    }

    @Test func `rounds of heartbeats and their answers arrive from whom they are`() async throws {
        let (first, second) = try await pair()
        let round = HeartbeatRound(
            number: 5,
            beats: [
                Heartbeat(group: 9, from: first.node(3), to: second.node(), term: 2, commit: 1)
            ]
        )
        let answers = HeartbeatAnswers(number: 6, places: [1..<3])
        try await first.on { parts in
            parts.transport.send(round, to: 2)
            parts.transport.send(answers, to: 2)
            parts.transport.flush()
        }
        try await eventually("both arrived") {
            try await second.on {
                $0.sink.rounds == [1: [round]] && $0.sink.answers == [1: [answers]]
            }
        }
        for node in [first, second] { try await node.stop() }
    }

    @Test func `entries and their chain arrive whole, both ways at once`() async throws {
        let (first, second) = try await pair()
        for (sender, receiver) in [(first, second), (second, first)] {
            let (from, to) = (sender.node(), receiver.node())
            try await sender.on { parts in
                for index in 0..<50 {
                    let payload = try Messages.batchPayload(
                        bytes: 100 + index * 3001,
                        seed: UInt8(index)
                    )
                    var message = Messages.append([payload], index: LogIndex(UInt64(index)))
                    (message.from, message.to) = (from, to)
                    parts.transport.send(1001, message, chain: UInt64(index), on: .live)
                }
                parts.transport.flush()
            }
        }
        for node in [first, second] {
            try await eventually("all arrived") { try await node.on { $0.sink.count } == 50 }
            try await node.on { parts in
                for (index, received) in parts.sink.received.enumerated() {
                    let sent = Messages.batch(bytes: 100 + index * 3001, seed: UInt8(index))
                    #expect(
                        received.message.entries[0].payload.copyBytes()
                            == Array(sent.readableBytesView)
                    )
                    #expect(received.chain == UInt64(index))
                }
            }
        }
        try await first.stop()
        try await second.stop()
    }

    @Test func `the end of a peer's process is reported at once and once`() async throws {
        let (first, second) = try await pair()
        try await first.beat(second, 1...1)
        try await eventually("it arrived") { try await second.on { $0.sink.count } == 1 }
        try await first.stop()
        try await eventually("the end was seen") {
            try await second.on { $0.sink.events } == [.connected(1), .disconnected(1)]
        }
        try await second.stop()
    }

    @Test func `a stream is opened again after its receiver was restarted`() async throws {
        let (first, second) = try await pair()
        try await first.beat(second, 1...1)
        try await eventually("it arrived") { try await second.on { $0.sink.count } == 1 }
        try await second.stop()
        let again = try await Node(2, session: 2, port: second.address.port)
        var commit: UInt64 = 2
        try await eventually("a message arrives again") {
            try await first.beat(again, commit...commit)
            commit += 1
            return try await again.on { $0.sink.count } > 0
        }
        let got = try await commits(again)
        #expect(got == got.sorted())
        try await first.stop()
        try await again.stop()
    }

    @Test func `a restarted peer replaces its former process, whose session is over`()
        async throws
    {
        let (first, second) = try await pair()
        try await first.beat(second, 1...1)
        try await eventually("it arrived") { try await second.on { $0.sink.count } == 1 }
        // The same broker number in a new process, while the old stream still stands.
        let newer = try await Node(1, session: 2)
        try await newer.knows(second)
        try await newer.beat(second, 10...10)
        try await eventually("the newer process is heard") {
            try await commits(second).contains(10)
        }
        #expect(
            try await second.on { $0.sink.events }
                == [.connected(1), .disconnected(1), .connected(1)]
        )
        var commit: UInt64 = 100
        try await eventually("the older process finds its stream closed") {
            try await first.beat(second, commit...commit)
            commit += 1
            return try await first.on { $0.transport.queuedBytes(of: 2) } == 0 && commit > 150
        }
        #expect(try await commits(second) == [1, 10])
        let target = InterBrokerTarget(id: 2, address: second.address.description)
        await #expect(throws: InterBrokerError.self) {
            try await openRaftStream(
                target,
                hello: RaftStreamRequest(
                    session: SessionID(UniqueID(high: 1, low: 1)),
                    formatVersion: RaftStreamRequest.currentFormatVersion
                ),
                from: InterBrokerCaller(role: .broker, id: 1, clusterID: Node.cluster)
            )
        }
        for node in [first, newer, second] { try await node.stop() }
    }

    @Test func `a second stream of the same process is no news`() async throws {
        let (first, second) = try await pair()
        try await first.beat(second, 1...1)
        try await eventually("it arrived") { try await second.on { $0.sink.count } == 1 }
        let target = InterBrokerTarget(id: 2, address: second.address.description)
        let (channel, _) = try await openRaftStream(
            target,
            hello: RaftStreamRequest(
                session: SessionID(UniqueID(high: 1, low: 1)),
                formatVersion: RaftStreamRequest.currentFormatVersion
            ),
            from: InterBrokerCaller(role: .broker, id: 1, clusterID: Node.cluster)
        )
        var message = Message(type: .heartbeat, to: second.node(), from: first.node(), term: 1)
        message.commit = 2
        try await channel.writeAndFlush(Messages.stream([message]))
        try await eventually("it arrived") { try await commits(second) == [1, 2] }
        #expect(try await second.on { $0.sink.events } == [.connected(1)])
        try await channel.close()
        for node in [first, second] { try await node.stop() }
    }

    @Test func `a full queue drops messages and says so for entries`() async throws {
        let (first, second) = try await pair { options in
            options.queueBytesMax = 100_000
            options.connectingBytesMax = 50_000
        }
        let (from, to) = (first.node(), second.node())
        let queued = try await first.on { parts in
            let payload = try Messages.batchPayload(bytes: 10_000)
            for index in 0..<20 {
                var message = Messages.append([payload], index: LogIndex(UInt64(index)))
                (message.from, message.to) = (from, to)
                parts.transport.send(1001, message, chain: nil, on: .live)
            }
            parts.transport.flush()
            return parts.transport.queuedBytes(of: 2)
        }
        #expect(queued >= 50_000 && queued < 65_000)
        try await eventually("the group is told once") {
            try await first.on { $0.sink.events.contains(.unreachable(1001, to)) }
        }
        try await eventually("what was queued arrives") {
            try await second.on { $0.sink.count } == 5
        }
        for node in [first, second] { try await node.stop() }
    }

    @Test func `a snapshot on a lost stream is reported to its sender`() async throws {
        let (first, second) = try await pair()
        let (from, to) = (first.node(), second.node())
        try await first.on { parts in
            var message = Message(type: .snapshot, to: to, from: from)
            message.term = 3
            message.snapshot = Snapshot(
                metadata: SnapshotMetadata(index: 5, term: 2),
                data: Payload([1])
            )
            parts.transport.send(1001, message, chain: nil, on: .live)
            parts.transport.flush()
        }
        try await eventually("it arrived") { try await second.on { $0.sink.count } == 1 }
        #expect(try await first.on { $0.sink.events } == [])
        try await second.stop()
        try await eventually("the sender is told") {
            try await first.on { $0.sink.events.contains(.unreachable(1001, to)) }
        }
        try await first.stop()
    }

    @Test func `a receiver that does not read bounds the sender's memory`() async throws {
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(SilentAfterHello())
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        let first = try await Node(1) { options in
            options.queueBytesMax = 1 << 20
            options.silenceMax = .seconds(60)
        }
        try await first.on { $0.book.addresses[2] = "127.0.0.1:\(port)" }
        let (from, to) = (first.node(), NodeID(owner: 2, incarnation: 1))
        try await eventually("messages are dropped") {
            try await first.on { parts in
                let payload = try Messages.batchPayload(bytes: 200_000)
                for index in 0..<10 {
                    var message = Messages.append([payload], index: LogIndex(UInt64(index)))
                    (message.from, message.to) = (from, to)
                    parts.transport.send(1001, message, chain: nil, on: .live)
                }
                parts.transport.flush()
                #expect(parts.transport.queuedBytes(of: 2) <= 1 << 20 + 220_000)
                return parts.sink.events.contains(.unreachable(1001, to))
                    && parts.transport.queuedBytes(of: 2) > 800_000
            }
        }
        try await first.stop()
        try await server.close()
    }

    @Test func `what waits on the lane for catching up holds up nothing else`() async throws {
        let (server, live) = try await Self.laneServer()
        let first = try await Node(1) { options in
            options.queueBytesMax = 8 << 20
            options.catchUpBytesMax = 1 << 20
            options.silenceMax = .seconds(60)
        }
        let port = try #require(server.localAddress?.port)
        try await first.on { $0.book.addresses[2] = "127.0.0.1:\(port)" }
        let (from, to) = (first.node(), NodeID(owner: 2, incarnation: 1))
        #expect(try await first.on { $0.transport.takesCatchUp(to: 2) })
        try await eventually("the lane for catching up is full") {
            try await first.on { parts in
                let payload = try Messages.batchPayload(bytes: 200_000)
                var message = Messages.append([payload], index: 1)
                (message.from, message.to) = (from, to)
                parts.transport.send(1001, message, chain: nil, on: .catchUp)
                parts.transport.flush()
                return !parts.transport.takesCatchUp(to: 2)
                    && parts.sink.events.contains(.unreachable(1001, to))
            }
        }
        let before = live.count
        try await first.on { parts in
            let beat = Message(type: .heartbeat, to: to, from: from, term: 1)
            parts.transport.send(1001, beat, chain: nil, on: .live)
            parts.transport.flush()
        }
        try await eventually("the heartbeat has arrived") {
            live.count > before
        }
        #expect(try await first.on { $0.transport.queuedBytes(of: 2) } == 0)
        try await first.stop()
        try await server.close()
    }

    /// A peer that reads nothing on the lane for catching up, and counts bytes on the other one.
    private static func laneServer() async throws -> (any Channel, ByteCounter) {
        let live = ByteCounter()
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        SilentAfterHello { live.add($0) }
                    )
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return (server, live)
    }

    @Test func `the lanes are streams of their own, and only the live one's end is news`()
        async throws
    {
        let (first, second) = try await pair()
        let (from, to) = (first.node(), second.node())
        let sent = Messages.append([try Messages.batchPayload(bytes: 3_000_000)])
        try await first.on { parts in
            var message = sent
            (message.from, message.to) = (from, to)
            parts.transport.send(1001, message, chain: 5, on: .catchUp)
            parts.transport.flush()
        }
        try await eventually("it arrived") { try await second.on { $0.sink.count } == 1 }
        #expect(try await second.on { $0.sink.events } == [])
        try await first.beat(second, 1...1)
        try await eventually("it arrived") { try await second.on { $0.sink.count } == 2 }
        #expect(second.listener.connectionCount == 2)
        #expect(try await second.on { $0.sink.events } == [.connected(1)])
        // A newer process ends both, and that is reported once.
        let newer = try await Node(1, session: 2)
        try await newer.knows(second)
        try await newer.on { parts in
            var message = sent
            (message.from, message.to) = (from, to)
            parts.transport.send(1001, message, chain: 5, on: .catchUp)
            parts.transport.flush()
        }
        try await eventually("the newer process is heard") {
            try await second.on { $0.sink.count } == 3
        }
        try await eventually("the older streams are closed") {
            second.listener.connectionCount == 1
        }
        #expect(try await second.on { $0.sink.events } == [.connected(1), .disconnected(1)])
        for node in [first, newer, second] { try await node.stop() }
    }

    @Test func `a snapshot of many frames arrives whole`() async throws {
        let (first, second) = try await pair()
        let (from, to) = (first.node(), second.node())
        let bytes = (0..<40_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 5) }
        try await first.on { parts in
            var message = Message(type: .snapshot, to: to, from: from, term: 3)
            message.snapshot = Snapshot(
                metadata: SnapshotMetadata(index: 5, term: 2),
                data: Payload(bytes)
            )
            parts.transport.send(1001, message, chain: nil, on: .catchUp)
            parts.transport.flush()
        }
        try await eventually("it arrived") { try await second.on { $0.sink.count } == 1 }
        let got = try await second.on { $0.sink.received.first?.message.snapshot?.data }
        #expect(got?.copyBytes() == bytes)
        for node in [first, second] { try await node.stop() }
    }

    @Test func `a peer without an address or a listener costs nothing but the messages`()
        async throws
    {
        let first = try await Node(1)
        let (from, to) = (first.node(), NodeID(owner: 2, incarnation: 1))
        var message = Messages.append([])
        (message.from, message.to) = (from, to)
        let lost = message
        for _ in 0..<3 {
            try await first.on { parts in
                parts.transport.send(1001, lost, chain: nil, on: .live)
                parts.transport.flush()
                #expect(parts.transport.queuedBytes(of: 2) < 1000)
            }
        }
        try await eventually("the group is told") {
            try await first.on { $0.sink.events.contains(.unreachable(1001, to)) }
        }
        try await first.stop()
    }

    @Test func `a damaged stream is closed and reported`() async throws {
        let second = try await Node(2)
        let target = InterBrokerTarget(id: 2, address: second.address.description)
        let (channel, _) = try await openRaftStream(
            target,
            hello: RaftStreamRequest(
                session: SessionID(UniqueID(high: 1, low: 1)),
                formatVersion: RaftStreamRequest.currentFormatVersion
            ),
            from: InterBrokerCaller(role: .broker, id: 1, clusterID: Node.cluster)
        )
        let message = Message(
            type: .heartbeat,
            to: second.node(),
            from: NodeID(owner: 1, incarnation: 1),
            term: 1
        )
        var bytes = Messages.stream([message])
        bytes.writeImmutableBuffer(Messages.stream([message]))
        bytes.setInteger(UInt8(0xee), at: bytes.writerIndex - 1)
        try await channel.writeAndFlush(bytes)
        try await channel.closeFuture.get()
        try await eventually("the end was seen") {
            try await second.on { $0.sink.events } == [.connected(1), .disconnected(1)]
        }
        #expect(try await second.on { $0.sink.count } == 1)
        try await second.stop()
    }

    @Test func `after shutdown nothing is sent or taken`() async throws {
        let (first, second) = try await pair()
        try await first.beat(second, 1...1)
        try await eventually("it arrived") { try await second.on { $0.sink.count } == 1 }
        try await second.on { $0.transport.shutdown() }
        try await eventually("the sender's stream is gone") {
            try await first.beat(second, 2...2)
            return second.listener.connectionCount == 0
        }
        #expect(try await second.on { $0.sink.count } == 1)
        for node in [first, second] { try await node.stop() }
    }
}

/// Counts what arrives, on whatever thread.
private final class ByteCounter: Sendable {
    private let bytes = Atomic(0)

    var count: Int { bytes.load(ordering: .relaxed) }

    func add(_ count: Int) { bytes.wrappingAdd(count, ordering: .relaxed) }
}

/// Answers the first request like a listener and reads nothing afterwards, unless it is for the
/// live lane and somebody counts its bytes.
private final class SilentAfterHello: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let count: ((Int) -> Void)?
    private var isOpen = false

    init(count: ((Int) -> Void)? = nil) {
        self.count = count
    }

    func channelActive(context: ChannelHandlerContext) { context.read() }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        if isOpen {
            count?(bytes.readableBytes)
            return context.read()
        }
        isOpen = true
        let json =
            #"{"success":true,"session":"00000000-0000-0001-0000-000000000001"}"#
        var answer = ByteBuffer(integer: Int32(json.utf8.count))
        answer.writeString(json)
        context.writeAndFlush(wrapOutboundOut(answer), promise: nil)
        if count != nil, String(buffer: bytes).contains(#""lane":"live""#) { context.read() }
    }
}
