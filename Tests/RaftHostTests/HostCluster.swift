import Disk
import Logging
import Model
import NIOCore
import NIOEmbedded
import Raft
import RaftHost
import RaftLog
import RecordBatch
import Telemetry

/// Several managers in one thread: simulated time, disks in memory, and a network of queues.
final class HostCluster {
    /// One daemon.
    final class Host {
        let owner: Int32
        let files: MemoryFiles
        let writer = ManualExecutor()
        let reader = ManualExecutor()
        var manager: RaftManager?
        var machines: [RaftGroupID: RecordingStateMachine] = [:]
        var failure: (any Error)?
        let registry = MetricsRegistry()
        let events = EventLog()
        /// Its replica of every group.
        var node: NodeID { NodeID(owner: owner, incarnation: 1) }

        init(owner: Int32) {
            self.owner = owner
            files = MemoryFiles()
            try? files.makeDirectory("/data")
            try? files.syncDirectory("/")
        }
    }

    /// What travels between two hosts.
    enum Packet {
        case message(ReceivedMessage)
        case heartbeats(HeartbeatRound)
        case answers(HeartbeatAnswers)
    }

    /// Carries packets to the other hosts when `settle` delivers them.
    final class Network: RaftSender {
        unowned let cluster: HostCluster
        let owner: Int32

        init(cluster: HostCluster, owner: Int32) {
            self.cluster = cluster
            self.owner = owner
        }

        func send(
            _ group: RaftGroupID,
            _ message: Message,
            chain: UInt64?,
            on lane: RaftLane
        ) {
            let received = ReceivedMessage(group: group, message: message, chain: chain)
            cluster.queue.append((owner, message.to.owner, .message(received)))
            if message.type == .append || lane == .catchUp {
                cluster.appends.append((message, lane))
            }
        }

        func takesCatchUp(to peer: Int32) -> Bool { !cluster.fullCatchUps.contains(peer) }

        func send(_ round: HeartbeatRound, to peer: Int32) {
            cluster.queue.append((owner, peer, .heartbeats(round)))
        }

        func send(_ answers: HeartbeatAnswers, to peer: Int32) {
            cluster.queue.append((owner, peer, .answers(answers)))
        }

        func flush() {}
    }

    let loop = EmbeddedEventLoop()
    /// After so many entries a snapshot is taken; nil for groups that keep their whole log.
    var snapshotEntries: UInt64?
    /// Changes how managers that are started from now on are run.
    var configure: (inout RaftHostOptions, inout RaftLogOptions) -> Void = { _, _ in }
    let hosts: [Host]
    /// Decides which messages get lost.
    var loses: (Message) -> Bool = { _ in false }
    /// Pairs of owners between which nothing is delivered.
    var cut: Set<[Int32]> = []
    /// Decides which packets get lost, of messages, heartbeats and answers.
    var losesPacket: (_ from: Int32, _ to: Int32, Packet) -> Bool = { _, _, _ in false }
    /// Daemons whose lane for catching up takes nothing now.
    var fullCatchUps: Set<Int32> = []
    /// The appends that were sent so far, and snapshots, with the lane of each.
    var appends: [(message: Message, lane: RaftLane)] = []
    /// What was delivered so far.
    var delivered: [(from: Int32, to: Int32, packet: Packet)] = []
    fileprivate var queue: [(from: Int32, to: Int32, packet: Packet)] = []
    private var networks: [Network] = []

    init(hosts count: Int32 = 3) {
        hosts = (1...count).map { Host(owner: $0) }
    }

    func start(_ host: Host) throws {
        var random = TestRandom(state: UInt64(host.owner) &* 7919)
        var options = RaftHostOptions()
        options.snapshotEntries = snapshotEntries ?? options.snapshotEntries
        options.snapshotTicksMax = 20
        var logOptions = Self.options
        configure(&options, &logOptions)
        let (directory, logs) = try LogDirectory.open(
            path: "/data",
            files: host.files,
            writer: host.writer,
            reader: host.reader,
            options: logOptions,
            cluster: nil,
            random: &random
        )
        let manager = RaftManager(
            eventLoop: loop,
            directory: directory,
            options: options,
            random: random,
            metrics: RaftHostMetrics(host.registry),
            logger: host.events.logger()
        )
        let network = Network(cluster: self, owner: host.owner)
        networks.append(network)
        manager.connect(to: network)
        manager.storageFailed = { [unowned host] in host.failure = $0 }
        manager.startTicking()
        host.manager = manager
        host.machines = [:]
        for log in logs {
            let machine = RecordingStateMachine(hasSnapshots: snapshotEntries != nil)
            host.machines[log.identity.group] = machine
            try manager.recover(log, stateMachine: machine)
        }
    }

    static let options: RaftLogOptions = {
        var options = RaftLogOptions()
        options.walFileBytes = 1 << 20
        options.walFilesMax = 2
        options.segmentBytesMax = 16 << 10
        return options
    }()

    /// Starts all hosts, and one group on the first `count` of them.
    func startGroup(_ group: RaftGroupID = 1001, on count: Int = .max) throws {
        for host in hosts where host.manager == nil { try start(host) }
        let founders = hosts.prefix(count)
        for host in founders { startReplica(group, on: host, members: Array(founders)) }
        settle()
    }

    /// Starts one replica; with `join` it waits to be added.
    func startReplica(
        _ group: RaftGroupID = 1001,
        on host: Host,
        members: [Host],
        join: Bool = false
    ) {
        let machine = RecordingStateMachine(hasSnapshots: snapshotEntries != nil)
        host.machines[group] = machine
        host.manager?.startRaftGroup(
            GroupIdentity(
                group: group,
                topicID: TopicID(UniqueID(high: 1, low: group.rawValue)),
                topicName: "test",
                partition: 0,
                node: host.node,
                members: members.map {
                    GroupIdentity.Member(node: $0.node, address: "h\($0.owner):1")
                }
            ),
            stateMachine: machine,
            join: join
        ) { result in
            if case .failure(let error) = result { host.failure = error }
        }
        settle()
    }

    /// Ends a host's process: what was not written to its disk is lost, as are its messages.
    func kill(_ host: Host, _ loss: MemoryFiles.Loss = .nothing) {
        host.manager?.shutdown()
        host.manager = nil
        host.writer.dropAll()
        host.reader.dropAll()
        host.files.restart(after: loss)
        queue.removeAll { $0.from == host.owner }
    }

    /// Runs until nothing happens any more without time going by.
    func settle() {
        var isBusy = true
        while isBusy {
            isBusy = false
            loop.run()
            for host in hosts {
                while host.writer.runOne() { isBusy = true }
                while host.reader.runOne() { isBusy = true }
            }
            let packets = queue
            queue = []
            for (from, to, packet) in packets {
                guard !cut.contains([from, to]), !isLost(from, to, packet),
                    let manager = hosts.first(where: { $0.owner == to })?.manager
                else { continue }
                delivered.append((from, to, packet))
                isBusy = true
                switch packet {
                case .message(let received): manager.receive([received])
                case .heartbeats(let round): manager.receive(round, from: from)
                case .answers(let answers): manager.receive(answers, from: from)
                }
            }
        }
    }

    private func isLost(_ from: Int32, _ to: Int32, _ packet: Packet) -> Bool {
        if case .message(let received) = packet, loses(received.message) { return true }
        return losesPacket(from, to, packet)
    }

    /// Lets time go by, tick by tick, until `condition` holds; false if it never does.
    func run(ticks: Int = 100, until condition: () -> Bool) -> Bool {
        for _ in 0..<ticks {
            settle()
            if condition() { return true }
            loop.advanceTime(by: .milliseconds(100))
        }
        settle()
        return condition()
    }

    func replica(_ host: Host, _ group: RaftGroupID = 1001) -> Replica? {
        host.manager?.replica(group)
    }

    /// The hosts whose replica leads, confirmed.
    func leaders(_ group: RaftGroupID = 1001) -> [Host] {
        hosts.filter { replica($0, group)?.leadership.isConfirmed == true }
    }

    func waitForLeader(_ group: RaftGroupID = 1001) -> Host? {
        _ = run { leaders(group).count == 1 }
        return leaders(group).first
    }
}

/// A batch of one record.
func batch(_ text: String) -> BatchPayload {
    let bytes = RecordBatchBuilder.single(key: nil, value: Array(text.utf8), timestamp: 1)
    guard let payload = BatchPayload(batch: ByteBuffer(bytes: bytes)) else {
        preconditionFailure("not a batch")
    }
    return payload
}

/// Remembers everything that it is told.
final class RecordingStateMachine: StateMachine {
    var wantsPayloadAtRecovery: Bool { true }
    private(set) var applied: [(index: LogIndex, offset: Offset, text: String)] = []
    private(set) var appended: [LogIndex] = []
    private(set) var leadership: [Leadership] = []
    private(set) var configurations: [ConfState] = []
    /// What stood beside changes of members.
    private(set) var notes: [[UInt8]] = []
    /// Where a snapshot was restored last.
    private(set) var restored: LogIndex = 0
    private let hasSnapshots: Bool

    init(hasSnapshots: Bool = false) { self.hasSnapshots = hasSnapshots }

    /// The applied texts, in order.
    var texts: [String] { applied.map(\.text).filter { !$0.isEmpty } }

    func recover(_ row: EntryRow, _ bytes: [UInt8]) { note(row, bytes) }

    func appended(_ row: EntryRow, _ payload: Payload) { appended.append(row.index) }

    func truncated(from index: LogIndex) { appended.removeAll { $0 >= index } }

    func apply(_ row: EntryRow, _ payload: Payload) { note(row, payload.copyBytes()) }

    func leadershipChanged(_ leadership: Leadership) { self.leadership.append(leadership) }

    func configurationChanged(_ configuration: ConfState) { configurations.append(configuration) }

    func takeSnapshot() -> [UInt8]? { hasSnapshots ? [1, 2, 3] : nil }

    func restore(_ snapshot: [UInt8], index: LogIndex) { restored = index }

    private func note(_ row: EntryRow, _ bytes: [UInt8]) {
        var text = ""
        if row.type != .normal {
            if let note = ConfChange.note(in: bytes) { notes.append(note) }
        } else if bytes.count > RecordBatchHeader.size {
            var records = RecordIterator(Array(bytes[RecordBatchHeader.size...]), count: 1)
            text = String(decoding: records.next()?.value ?? [], as: UTF8.self)
        }
        applied.append((row.index, row.baseOffset, text))
    }
}

/// A small generator, the same in every run.
struct TestRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ mixed >> 27) &* 0x94d0_49bb_1331_11eb
        return mixed ^ mixed >> 31
    }
}
