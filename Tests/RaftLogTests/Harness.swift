import Disk
import Model
import NIOCore
import Raft
import Synchronization

@testable import RaftLog

/// A seeded generator, so that a test's run can be repeated.
struct SeededRandom: RandomNumberGenerator {
    var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(1, limit))) }
}

/// A value that completions leave behind.
final class Box<Value: Sendable>: Sendable {
    private let stored = Mutex<Value?>(nil)
    var value: Value? { stored.withLock { $0 } }
    func set(_ value: Value) { stored.withLock { $0 = value } }
}

/// A Kafka batch with `records` records, made of a recognisable filling.
func makeBatch(records: Int = 1, bytes: Int = 100, seed: UInt64 = 0, time: Int64 = 0)
    -> BatchPayload
{
    var random = SeededRandom(seed)
    var batch = ByteBuffer()
    let size = max(bytes, BatchPayload.bytesMin)
    batch.writeInteger(Int64(0))
    batch.writeInteger(Int32(size - 12))
    batch.writeInteger(Int32(-1))
    batch.writeInteger(UInt8(2))
    batch.writeInteger(UInt32(0))
    batch.writeInteger(Int16(0))
    batch.writeInteger(Int32(records - 1))
    batch.writeInteger(time)
    batch.writeInteger(time)
    batch.writeInteger(Int64(-1))
    batch.writeInteger(Int16(-1))
    batch.writeInteger(Int32(-1))
    batch.writeInteger(Int32(records))
    while batch.readableBytes + 8 <= size { batch.writeInteger(random.next()) }
    while batch.readableBytes < size { batch.writeInteger(UInt8(7)) }
    guard let payload = BatchPayload(batch: batch) else {
        preconditionFailure("the test made no batch")
    }
    return payload
}

/// A data directory in memory whose threads run when told.
final class Harness {
    static let cluster = ClusterID(UniqueID(high: 1, low: 2))
    static let root = "/data"

    let files: MemoryFiles
    let options: RaftLogOptions
    let writer = ManualExecutor()
    let reader = ManualExecutor()
    let failure = Box<RaftLogError>()
    let directory: LogDirectory
    var groups: [RaftGroupID: GroupLog] = [:]

    static var options: RaftLogOptions {
        var options = RaftLogOptions()
        options.walFileBytes = 64 << 10
        options.walFilesMax = 3
        options.segmentBytesMax = 16 << 10
        options.segmentStepBytesMin = 4 << 10
        options.segmentStepBytesMax = 16 << 10
        options.tailCacheBytes = 1 << 20
        options.frameBytesMax = 32 << 10
        options.copiedPayloadBytesMax = 64
        return options
    }

    static func newFiles(isLogging: Bool = false) -> MemoryFiles {
        let files = MemoryFiles(isLogging: isLogging)
        try? files.makeDirectory(root)
        try? files.syncDirectory("/")
        return files
    }

    init(
        _ files: MemoryFiles = Harness.newFiles(),
        options: RaftLogOptions = Harness.options
    ) throws {
        self.files = files
        self.options = options
        var random = SeededRandom(1)
        let failure = failure
        let (directory, found) = try LogDirectory.open(
            path: Self.root,
            files: files,
            writer: writer,
            reader: reader,
            options: options,
            cluster: Self.cluster,
            random: &random,
            onFailure: { failure.set($0) }
        )
        self.directory = directory
        for group in found { groups[group.identity.group] = group }
    }

    /// Whether the reader's thread gets a turn: without it no checkpoint is ever written.
    var runsReader = true

    /// Runs both threads until they have nothing left to do.
    func run() {
        while writer.runOne() || (runsReader && reader.runOne()) {}
    }

    static func identity(_ group: UInt64, incarnation: UInt32 = 1) -> GroupIdentity {
        GroupIdentity(
            group: RaftGroupID(group),
            topicID: TopicID(UniqueID(high: 0xabc, low: group)),
            topicName: "topic-\(group)",
            partition: 0,
            node: NodeID(owner: 1, incarnation: incarnation),
            members: [
                .init(node: NodeID(owner: 1, incarnation: incarnation), address: "a:1"),
                .init(node: NodeID(owner: 2, incarnation: 1), address: "b:2"),
            ]
        )
    }

    /// Creates a group and waits for it.
    @discardableResult
    func create(_ group: UInt64, incarnation: UInt32 = 1) throws -> GroupLog {
        let done = Box<Result<Void, RaftLogError>>()
        directory.create(Self.identity(group, incarnation: incarnation)) { done.set($0) }
        run()
        try done.value?.get()
        let log = try directory.newGroupLog(RaftGroupID(group))
        groups[RaftGroupID(group)] = log
        return log
    }

    /// Prepares entries with the given payloads after the log's end, or from `index` on.
    func prepare(
        _ log: GroupLog,
        term: Term,
        from index: LogIndex? = nil,
        _ payloads: [BatchPayload?],
        commit: LogIndex? = nil
    ) throws -> GroupWrite {
        var next = index ?? log.lastIndex + 1
        var offset = log.offset(after: next - 1)
        var entries: [Entry] = []
        for payload in payloads {
            var entry = Entry(term: term, index: next)
            if let payload {
                entry.payload = Payload(
                    payload.stamped(baseOffset: offset, epoch: term.leaderEpoch)
                )
                offset += Int64(payload.offsetCount)
            }
            entries.append(entry)
            next += 1
        }
        let vote = term > log.hardState.term ? NodeID.none : log.hardState.vote
        let hard = HardState(term: term, vote: vote, commit: commit ?? log.hardState.commit)
        return try log.prepare(entries: EntryList(entries), hardState: hard, snapshot: nil)
    }

    /// Submits and waits.
    func submit(_ writes: [GroupWrite]) throws {
        let done = Box<Result<Void, RaftLogError>>()
        directory.submit(writes) { done.set($0) }
        run()
        try done.value?.get()
    }

    func append(
        _ log: GroupLog,
        term: Term,
        from index: LogIndex? = nil,
        _ payloads: [BatchPayload?],
        commit: LogIndex? = nil
    ) throws {
        try submit([prepare(log, term: term, from: index, payloads, commit: commit)])
    }

    /// Everything that a group's log holds, read from disk.
    func readAll(_ log: GroupLog) throws -> [Entry] {
        guard log.lastIndex >= log.firstIndex else { return [] }
        var all: [Entry] = []
        while all.count < Int(log.lastIndex - log.firstIndex + 1) {
            let done = Box<Result<[Entry], RaftLogError>>()
            directory.readEntries(
                log.identity.group,
                from: log.firstIndex + UInt64(all.count),
                to: log.lastIndex + 1,
                maxBytes: 10_000
            ) { done.set($0) }
            run()
            guard let result = done.value else { preconditionFailure("no answer") }
            all += try result.get()
        }
        return all
    }

    func close() throws {
        let done = Box<Result<Void, RaftLogError>>()
        directory.close { done.set($0) }
        run()
        try done.value?.get()
    }
}
