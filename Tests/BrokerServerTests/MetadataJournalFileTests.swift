import Disk
import Metadata
import Model
import NIOCore
import NIOEmbedded
import Testing

@testable import BrokerServer

/// A journal by itself: what is on disk after which event, and what is read of a damaged file.
@Suite struct MetadataJournalFileTests {
    @Test func `what is appended is in the file without a sync, and read again`() throws {
        let run = JournalRun()
        run.commitSome(5)
        run.files.restart(after: .nothing)
        #expect(run.reread().read() == run.metadata)
    }

    @Test func `a tail that is torn at any byte is left out, and the journal goes on before it`()
        throws
    {
        let run = JournalRun()
        let ends = run.commitSome(4)
        let bytes = try #require(run.bytes)
        for size in 0..<bytes.count {
            run.set(Array(bytes[..<size]))
            let next = run.reread()
            let known = next.read()
            let expected = ends.last { $0.end <= size }
            #expect(known == expected?.metadata, "cut after \(size) bytes")
            let isAtEnd = ends.contains { $0.end == size }
            #expect(next.log.lines.count == (isAtEnd ? 0 : 1), "cut after \(size) bytes")
            next.metadata = known ?? ClusterMetadata()
            next.commit(.setClusterID(JournalRun.cluster))
            #expect(next.reread().read() == next.metadata, "cut after \(size) bytes")
        }
    }

    @Test func `a flipped bit costs its frame and those after it, and nothing before`() throws {
        let run = JournalRun()
        let ends = run.commitSome(4)
        let bytes = try #require(run.bytes)
        for position in bytes.indices {
            run.set(bytes)
            run.files.flipBit(of: JournalRun.path, at: position * 8 + position % 8)
            let next = run.reread()
            #expect(next.read() == ends.last { $0.end <= position }?.metadata, "byte \(position)")
            #expect(next.log.lines.count == 1, "byte \(position)")
        }
    }

    @Test func `a command without its predecessor is not used, nor what follows it`() throws {
        let run = JournalRun()
        let ends = run.commitSome(5)
        var bytes = try #require(run.bytes)
        bytes.removeSubrange(ends[1].end..<ends[2].end)
        run.set(bytes)
        let next = run.reread()
        #expect(next.read() == ends[1].metadata)
        #expect(next.log.texts.contains { $0.contains("version 3 follows 2") } == false)
        #expect(next.log.texts.contains { $0.contains("version 4 follows 3") })
        // What was left out is not found again behind what is appended now.
        next.metadata = ends[1].metadata
        next.commit(.allocateProducerIDs(7))
        let third = next.reread()
        #expect(third.read() == next.metadata)
        #expect(third.log.lines.isEmpty)
    }

    @Test func `another cluster's journal is not used, and is replaced`() throws {
        let run = JournalRun()
        run.commitSome(3)
        let other = run.reread()
        #expect(other.journal.read(of: ClusterID(UniqueID(high: 9, low: 9))) == nil)
        other.commit(.setClusterID(JournalRun.cluster))
        #expect(other.reread().read() == other.metadata)
    }

    @Test func `a journal that has outgrown its snapshot begins anew`() throws {
        let run = JournalRun()
        run.commitSome(2)
        var sizes: [Int] = []
        for _ in 0..<5 {
            run.commit(.allocateProducerIDs(1), padding: 1 << 20)
            sizes.append(try #require(run.bytes).count)
        }
        #expect(sizes[3] > MetadataJournal.bytesMax)
        #expect(sizes[4] < 1000)
        #expect(run.reread().read() == run.metadata)
    }

    @Test func `a new snapshot takes the place of all that came before it`() throws {
        let run = JournalRun()
        run.commitSome(3)
        run.metadata = ClusterMetadata()
        _ = run.metadata.apply(.setClusterID(JournalRun.cluster), at: 90)
        let json = run.metadata.json
        run.journal.append([.snapshot(json, at: 90)])
        run.settle()
        #expect(run.bytes == MetadataJournalContent.beginning(with: .snapshot(json, at: 90)))
        run.commit(.allocateProducerIDs(1))
        #expect(run.reread().read() == run.metadata)
    }

    @Test func `a flush ends when a loss of power would take nothing any more`() throws {
        let run = JournalRun()
        run.commitSome(3)
        var isFlushed = false
        run.journal.flush { isFlushed = true }
        #expect(!isFlushed)
        run.settle()
        #expect(isFlushed)
        run.files.restart(after: .everythingUnsynced)
        #expect(run.reread().read() == run.metadata)
    }

    @Test func `what was written is synced soon, and once`() throws {
        let run = JournalRun(isLogged: true)
        run.commitSome(4)
        #expect(run.syncs == 1, "of the file that the first change has made")
        run.loop.advanceTime(by: .seconds(1))
        run.settle()
        #expect(run.syncs == 2)
        run.loop.advanceTime(by: .seconds(5))
        run.settle()
        #expect(run.syncs == 2)
        run.files.restart(after: .everythingUnsynced)
        #expect(run.reread().read() == run.metadata)
    }

    @Test(arguments: [DiskError.Operation.write, .sync, .rename])
    func `a disk that fails is named once, and tried again until it does not`(
        operation: DiskError.Operation
    ) throws {
        let run = JournalRun()
        if operation == .write { run.commitSome(2) }
        run.files.fail(operation, path: MetadataJournal.name)
        run.files.fail(operation, path: MetadataJournal.name)
        run.commitSome(2)
        var isFlushed = false
        run.journal.flush { isFlushed = true }
        run.settle()
        #expect(isFlushed, "nobody waits for a disk that fails")
        #expect(run.log.texts.count { $0.contains("out of date") } == 1)
        run.loop.advanceTime(by: .seconds(1))
        run.settle()
        #expect(run.log.lines.count == 1)
        #expect(run.reread().read() == run.metadata)
        // The next failure is another one.
        run.files.fail(.write, path: MetadataJournal.name)
        run.commit(.allocateProducerIDs(1))
        #expect(run.log.lines.count == 2)
    }
}

/// One run of a journal over files in memory, where everything happens when the test says so.
private final class JournalRun {
    static let cluster = ClusterID(UniqueID(high: 1, low: 2))
    static let path = "/data/\(MetadataJournal.name)"

    let files: MemoryFiles
    let loop = EmbeddedEventLoop()
    let log = RecordingLog()
    let journal: MetadataJournal
    var metadata = ClusterMetadata()
    private let executor = ManualExecutor()

    init(files: MemoryFiles? = nil, isLogged: Bool = false) {
        self.files = files ?? MemoryFiles(isLogging: isLogged)
        journal = MetadataJournal(
            directory: "/data",
            files: self.files,
            executor: executor,
            eventLoop: loop,
            logger: log.logger
        )
        if files == nil { makeDirectory() }
        journal.use { [unowned self] in metadata }
    }

    private func makeDirectory() {
        do {
            try files.makeDirectory("/data")
            try files.syncDirectory("/")
        } catch {
            preconditionFailure("\(error)")
        }
    }

    /// The next run on the same files, which has read nothing yet.
    func reread() -> JournalRun { JournalRun(files: files) }

    func read() -> ClusterMetadata? { journal.read(of: Self.cluster) }

    func settle() {
        repeat {
            executor.runAll()
            loop.run()
        } while executor.count > 0
    }

    /// Applies a command and lets the journal write it, with blanks after its text.
    func commit(_ command: MetadataCommand, padding: Int = 0) {
        let previous = metadata.version
        _ = metadata.apply(command, at: previous + 1)
        let text = String(decoding: command.json, as: UTF8.self)
        journal.append([
            .command(
                text + String(repeating: " ", count: padding),
                at: previous + 1,
                after: previous
            )
        ])
        settle()
    }

    /// Commits as many commands, and says what the metadata were at which size of the file.
    @discardableResult
    func commitSome(_ count: Int) -> [(end: Int, metadata: ClusterMetadata)] {
        var ends: [(end: Int, metadata: ClusterMetadata)] = []
        for number in 0..<count {
            commit(number == 0 ? .setClusterID(Self.cluster) : .allocateProducerIDs(100))
            ends.append((bytes?.count ?? 0, metadata))
        }
        return ends
    }

    var bytes: [UInt8]? { files.contents(of: Self.path) }

    func set(_ bytes: [UInt8]) { files.replaceContents(of: Self.path, with: bytes) }

    /// How often a journal's file was synced.
    var syncs: Int {
        files.operations.count { $0.hasPrefix("sync ") && $0.contains(MetadataJournal.name) }
    }
}
