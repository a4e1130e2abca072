import Disk
import Model
import NIOCore
import Raft
import Testing

@testable import RaftLog

/// Single situations in which a recovery once was wrong, or easily could be.
@Suite struct RecoveryTests {
    static func vote(_ log: GroupLog, term: Term, commit: LogIndex) throws -> GroupWrite {
        let hard = HardState(term: term, vote: NodeID(owner: 2, incarnation: 1), commit: commit)
        return try log.prepare(entries: [], hardState: hard, snapshot: nil)
    }

    static func snapshot(_ log: GroupLog, at index: LogIndex) throws -> Snapshot {
        let term = try log.term(at: index)
        let metadata = SnapshotMetadata(index: index, term: term, confState: log.confState)
        return Snapshot(metadata: metadata, data: Payload([7, UInt8(index.rawValue)]))
    }

    /// Writes what a leader's snapshot at `index` brings.
    static func install(_ log: GroupLog, at index: LogIndex, term: Term) throws -> GroupWrite {
        let state = SnapshotState(chain: 99, nextOffset: 500, state: [9])
        let metadata = SnapshotMetadata(index: index, term: term, confState: log.confState)
        return try log.prepare(
            entries: [],
            hardState: HardState(term: term, vote: .none, commit: index),
            snapshot: Snapshot(metadata: metadata, data: state.payload)
        )
    }

    /// Fills WAL files with another group's entries until checkpoints were written.
    static func fillFiles(_ harness: Harness) throws {
        let log = try harness.groups[1099] ?? harness.create(1099)
        for _ in 0..<20 {
            try harness.append(log, term: 1, [makeBatch(bytes: 9000)], commit: log.lastIndex)
        }
    }

    @Test func `a commit index never brings an older term and vote back`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        try harness.append(log, term: 1, [makeBatch()])
        let commit = HardState(term: 1, vote: .none, commit: 1)
        let first = try log.prepare(entries: [], hardState: commit, snapshot: nil)
        let second = try Self.vote(log, term: 2, commit: 1)
        harness.directory.submit([first]) { _ in }
        try harness.submit([second])
        let store = try #require(harness.directory.writer.store(of: 1001))
        #expect(store.state.hardState == log.hardState)
        harness.files.restart(after: .everythingUnsynced)
        let found = try #require(try Harness(harness.files).groups[1001])
        #expect(found.hardState.term == 2)
        #expect(found.hardState.vote == NodeID(owner: 2, incarnation: 1))
    }

    @Test func `a commit index does not come before the entries that it commits`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        let batches = (0..<8).map { makeBatch(bytes: 8000, seed: $0) }
        let write = try harness.prepare(log, term: 1, batches, commit: 8)
        // The write takes several frames; the power goes in the second one.
        harness.files.cut(at: harness.files.changeCount + 3)
        harness.directory.submit([write]) { _ in }
        harness.run()
        #expect(harness.files.isCut)
        harness.files.restart(after: .everythingUnsynced)
        let found = try #require(try Harness(harness.files).groups[1001])
        #expect(found.suspicion == nil)
        #expect(found.lastIndex > 0 && found.lastIndex < 8)
        #expect(found.hardState.commit <= found.lastIndex)
    }

    @Test(arguments: [0, 2])
    func `a write that comes after its group's end harms nobody`(entries: Int) throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        if entries > 0 {
            try harness.append(log, term: 1, (0..<entries).map { _ in makeBatch() })
        }
        let late = try harness.prepare(log, term: 1, [makeBatch()])
        harness.directory.delete(1001) { _ in }
        harness.directory.submit([late]) { _ in }
        harness.run()
        #expect(harness.failure.value == nil)
        #expect(try harness.files.list("\(Harness.root)/partitions") == [])
        try Self.fillFiles(harness)
        try harness.close()
        #expect(try Set(Harness(harness.files).groups.keys) == [1099])
    }

    @Test func `a file that was renamed and not written to is never taken for another`() throws {
        let files = Harness.newFiles(isLogging: true)
        let harness = try Harness(files)
        let log = try harness.create(1001)
        while files.operations.filter({ $0.hasPrefix("rename /data/wal/") }).count < 4 {
            try harness.append(log, term: 1, [makeBatch(bytes: 9000)], commit: log.lastIndex)
        }
        let renames = files.operations.indices.filter {
            files.operations[$0].hasPrefix("rename /data/wal/")
        }
        for rename in renames {
            let files = Harness.newFiles()
            files.cut(at: rename + 2)
            let harness = try Harness(files)
            let log = try? harness.create(1001)
            while let log, !files.isCut {
                try? harness.append(log, term: 1, [makeBatch(bytes: 9000)], commit: log.lastIndex)
            }
            files.restart(after: .unsyncedBytes)
            try goOn(files)
        }
    }

    /// Appends through many WAL files; after each entry a power loss must leave it.
    private func goOn(_ files: MemoryFiles) throws {
        let harness = try Harness(files)
        let log = try harness.groups[1001] ?? harness.create(1001)
        for _ in 0..<40 {
            try harness.append(log, term: 1, [makeBatch(bytes: 9000)], commit: log.lastIndex)
            let copy = files.copy()
            copy.restart(after: .everythingUnsynced)
            let found = try #require(try Harness(copy).groups[1001])
            #expect(found.suspicion == nil)
            guard found.lastIndex == log.lastIndex else {
                Issue.record("entry \(log.lastIndex) is lost, \(found.lastIndex) is the last")
                return
            }
        }
        let wal = try files.list("\(Harness.root)/wal")
        #expect(wal.count <= Harness.options.walFilesMax)
    }

    @Test func `what a killed process left unsynced is durable before it is built upon`() throws {
        let files = Harness.newFiles()
        let first = files.changeCount
        _ = try Harness(files).create(1001)
        for call in (first + 1)...(files.changeCount + 1) {
            let files = Harness.newFiles()
            files.cut(at: call)
            _ = try? Harness(files).create(1001)
            files.restart(after: .nothing)
            let harness = try Harness(files)
            let log = try harness.groups[1001] ?? harness.create(1001)
            try harness.append(log, term: 1, [makeBatch()])
            files.restart(after: .everythingUnsynced)
            let found = (try? Harness(files))?.groups[1001]
            #expect(found?.lastIndex == 1, "killed in call \(call)")
        }
    }

    @Test func `a frame that lacks its file's header counts at the next start or never`() throws {
        // The header of the next file is lost, the frame behind it is not.
        let harness = try Harness()
        let log = try harness.create(1001)
        try harness.append(log, term: 1, [makeBatch()])
        let wal = "\(Harness.root)/wal"
        let writer = harness.directory.writer
        let sequence = try #require(writer.current?.sequence)
        try harness.close()
        let frame = FrameBuilder(copiedPayloadBytesMax: 64)
        frame.reset()
        frame.add(.hardState(HardState(term: 9, vote: .none, commit: 0)), group: 1001)
        let parts = frame.finish(
            file: sequence + 1,
            frame: writer.nextFrame,
            position: 4096,
            directory: harness.directory.directoryID
        )
        let bytes = parts.flatMap { Array($0) }
        for name in try harness.files.list(wal) {
            var old = try #require(harness.files.contents(of: "\(wal)/\(name)"))
            old.replaceSubrange(4096..<4096 + bytes.count, with: bytes)
            #expect(harness.files.replaceContents(of: "\(wal)/\(name)", with: old))
        }
        // This life takes the file and dies before its first frame is written.
        let next = try Harness(harness.files)
        let again = try #require(next.groups[1001])
        #expect(again.hardState.term == 9)
        harness.files.fail(.write, path: "/wal/")
        next.directory.submit([try Self.vote(again, term: 10, commit: 0)]) { _ in }
        next.run()
        harness.files.restart(after: .nothing)
        let last = try #require(try Harness(harness.files).groups[1001])
        #expect(last.hardState.term == 9)
    }

    @Test func `one of the two checkpoints is whole at any time`() throws {
        let log = Harness.newFiles(isLogging: true)
        func life(_ files: MemoryFiles) {
            guard let harness = try? Harness(files), let log = try? harness.create(1001) else {
                return
            }
            try? harness.append(log, term: 1, [makeBatch()])
            try? harness.close()
        }
        life(log)
        let places = log.operations.indices.filter { log.operations[$0].contains("/checkpoint.") }
        for place in places {
            for first in [MemoryFiles.Loss.nothing, .random(seed: UInt64(place))] {
                let files = Harness.newFiles()
                files.cut(at: place + 1)
                life(files)
                files.restart(after: first)
                let whole = files.copy()
                _ = try Harness(whole)
                for step in (files.changeCount + 1)...whole.changeCount {
                    let losses = [MemoryFiles.Loss.everythingUnsynced, .nothing, .unsyncedNames]
                    for second in losses + (0..<8).map({ .random(seed: $0) }) {
                        let copy = files.copy()
                        copy.cut(at: step)
                        _ = try? Harness(copy)
                        copy.restart(after: second)
                        #expect(throws: Never.self, "call \(place), step \(step), \(second)") {
                            try Harness(copy)
                        }
                    }
                }
            }
        }
    }

    // MARK: Snapshots

    @Test func `a saved snapshot does not vanish with its directory`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        try harness.append(log, term: 1, [makeBatch(), makeBatch()], commit: 2)
        let done = Box<Result<Void, RaftLogError>>()
        harness.directory.saveSnapshot(1001, try Self.snapshot(log, at: 2)) { done.set($0) }
        harness.run()
        try done.value?.get()
        harness.files.restart(after: .everythingUnsynced)
        let again = try Harness(harness.files)
        #expect(again.groups[1001]?.suspicion == nil)
        #expect(try again.directory.loadSnapshot(1001)?.data.copyBytes() == [7, 2])
    }

    @Test func `a saved snapshot that comes after a leader's newer one is forgotten`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        try harness.append(log, term: 1, [makeBatch(), makeBatch(), makeBatch()], commit: 3)
        harness.directory.saveSnapshot(1001, try Self.snapshot(log, at: 2)) { _ in }
        harness.directory.submit([try Self.install(log, at: 50, term: 2)]) { _ in }
        // Both are in the writer's queue before it looks.
        harness.reader.runAll()
        harness.run()
        #expect(log.firstIndex == 51)
        try harness.append(log, term: 2, [makeBatch()], commit: 51)
        harness.files.restart(after: .everythingUnsynced)
        let again = try Harness(harness.files)
        let found = try #require(again.groups[1001])
        #expect(found.suspicion == nil)
        #expect((found.firstIndex, found.lastIndex) == (51, 51))
        #expect(try again.directory.loadSnapshot(1001)?.metadata.index == 50)
    }

    @Test func `of two saved snapshots the newer one stays`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        try harness.append(log, term: 1, [makeBatch(), makeBatch(), makeBatch()], commit: 3)
        for index in [3, 2] as [LogIndex] {
            harness.directory.saveSnapshot(1001, try Self.snapshot(log, at: index)) { _ in }
        }
        harness.reader.runAll()
        harness.run()
        #expect(try harness.directory.loadSnapshot(1001)?.metadata.index == 3)
        try harness.close()
        let again = try Harness(harness.files)
        #expect(try again.directory.loadSnapshot(1001)?.metadata.index == 3)
    }

    @Test func `a snapshot of a deleted group is not its successor's`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        try harness.append(log, term: 1, [makeBatch(), makeBatch(), makeBatch()], commit: 3)
        _ = try harness.readAll(log)
        harness.directory.saveSnapshot(1001, try Self.snapshot(log, at: 2)) { _ in }
        harness.directory.delete(1001) { _ in }
        harness.writer.runAll()
        harness.directory.create(Harness.identity(1001, incarnation: 2)) { _ in }
        harness.writer.runAll()
        let successor = try harness.directory.newGroupLog(1001)
        let write = try harness.prepare(successor, term: 1, [makeBatch()])
        harness.directory.submit([write]) { _ in }
        harness.writer.runAll()
        harness.run()
        #expect(try harness.directory.loadSnapshot(1001) == nil)
        harness.files.restart(after: .nothing)
        let found = try #require(try Harness(harness.files).groups[1001])
        #expect(found.suspicion == nil)
        #expect((found.firstIndex, found.lastIndex) == (1, 1))
    }

    // MARK: Segments

    @Test func `a segment's file that comes after a checkpoint keeps its name`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        // Entries without payload: the segment has no file for batches yet.
        try harness.append(log, term: 1, [nil])
        try Self.fillFiles(harness)
        let change = Entry(term: 1, index: 2, type: .confChangeV2, payload: Payload([1, 2]))
        try harness.submit([try log.prepare(entries: [change], hardState: nil, snapshot: nil)])
        try harness.append(log, term: 1, [makeBatch()])
        try Self.fillFiles(harness)
        harness.files.restart(after: .everythingUnsynced)
        let again = try Harness(harness.files)
        let found = try #require(again.groups[1001])
        #expect(found.suspicion == nil)
        #expect(try again.readAll(found).map(\.payload.count) == [0, 2, 100])
    }

    @Test func `a segment's file that a killed process made keeps its name`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        try harness.append(log, term: 1, [nil])
        try Self.fillFiles(harness)
        try harness.append(log, term: 1, [makeBatch()])
        harness.files.restart(after: .nothing)
        // Recovery goes on in that segment and its checkpoint vouches for the file.
        _ = try Harness(harness.files)
        harness.files.restart(after: .everythingUnsynced)
        let again = try Harness(harness.files)
        let found = try #require(again.groups[1001])
        #expect(found.suspicion == nil)
        #expect(try again.readAll(found).map(\.payload.count) == [0, 100])
    }

    @Test(arguments: ["log", "entries", "side"])
    func `a group with a missing file is suspect, and it alone`(ending: String) throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        try harness.append(log, term: 1, [makeBatch()])
        let change = Entry(term: 1, index: 2, type: .confChangeV2, payload: Payload([1, 2]))
        try harness.submit([try log.prepare(entries: [change], hardState: nil, snapshot: nil)])
        try harness.append(harness.create(1002), term: 1, [makeBatch()])
        try harness.close()
        let directory = "\(Harness.root)/partitions/\(log.identity.directoryName)"
        try harness.files.remove(SegmentPath.of(directory, 1, ending))
        let again = try Harness(harness.files)
        #expect(again.groups[1001]?.suspicion?.contains("missing") == true)
        #expect(again.groups[1002]?.isSuspect == false)
        // It stays so, even when nobody remembers why.
        try again.close()
        #expect(try Harness(harness.files).groups[1001]?.isSuspect == true)
    }

    @Test func `after two cuts at one place the batches still lie end to end`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        try harness.append(log, term: 1, (0..<5).map { makeBatch(bytes: 300, seed: $0) })
        try harness.append(log, term: 2, from: 4, [makeBatch(bytes: 200, seed: 11)])
        try Self.fillFiles(harness)
        try harness.append(log, term: 3, from: 4, [makeBatch(bytes: 250, seed: 12)])
        try harness.append(log, term: 3, [makeBatch(bytes: 260, seed: 13)])
        let entries = try harness.readAll(log)
        let done = Box<Result<ByteBuffer, RaftLogError>>()
        var bytes: [UInt8] = []
        for from in [0, 3] as [Offset] {
            harness.directory.readBatches(1001, from: from, below: 99, maxBytes: 1 << 20) {
                done.set($0)
            }
            harness.run()
            bytes += Array(try #require(try done.value?.get()).readableBytesView)
            if bytes.count > 1000 { break }
        }
        #expect(bytes == entries.flatMap { $0.payload.copyBytes() })
    }
}

/// Syncs that take long.
@Suite struct SlowSyncTests {
    @Test func `the first slow sync is reported at once, the others together after a while`() {
        var syncs = SlowSyncs()
        let now = ContinuousClock.now
        #expect(syncs.note(.milliseconds(999), at: now) == nil)
        #expect(syncs.note(.seconds(2), at: now) == .init(longest: .seconds(2), count: 1))
        #expect(syncs.note(.seconds(3), at: now + .seconds(4)) == nil)
        #expect(syncs.note(.seconds(1), at: now + .seconds(9)) == nil)
        #expect(
            syncs.note(.milliseconds(1), at: now + .seconds(10))
                == .init(longest: .seconds(3), count: 2)
        )
        #expect(syncs.note(.milliseconds(1), at: now + .seconds(30)) == nil)
    }
}

/// What a long recovery says of itself.
@Suite struct RecoveryProgressTests {
    @Test func `a recovery says how far it is, every few mebibytes and at every file`() throws {
        var said: [String] = []
        let progress = RecoveryProgress(stepBytes: 4 << 20) { said.append($0) }
        for _ in 0..<10 { progress.read(1 << 20, of: 128 << 20) }
        progress.begin()
        progress.wrote(3 << 20, of: 9 << 20)
        progress.wrote(1 << 20, of: 9 << 20)
        progress.synced(of: 2)
        progress.synced(of: 2)
        #expect(
            said == [
                "read 4 of 128 MiB of the write-ahead log",
                "read 8 of 128 MiB of the write-ahead log",
                "wrote 4 of 9 MiB to segments",
                "synced 1 of 2 files", "synced 2 of 2 files",
            ]
        )
    }

    @Test func `opening a directory passes it on`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        try harness.append(log, term: 1, [makeBatch(bytes: 9000)])
        harness.files.restart(after: .everythingUnsynced)
        var random = SeededRandom(1)
        var said: [String] = []
        _ = try LogDirectory.open(
            path: Harness.root,
            files: harness.files,
            writer: harness.writer,
            reader: harness.reader,
            options: Harness.options,
            cluster: Harness.cluster,
            random: &random,
            progress: { said.append($0) }
        )
        #expect(said.last?.hasPrefix("synced ") == true, "\(said)")
    }
}
