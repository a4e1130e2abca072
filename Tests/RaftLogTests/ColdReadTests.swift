import Disk
import Model
import NIOCore
import Raft
import Testing

@testable import RaftLog

/// Reads of what is in segments only, held to what was appended.
@Suite struct ColdReadTests {
    /// What was appended, in order.
    struct Model {
        var batches: [(index: LogIndex, base: Offset, next: Offset, time: Int64, bytes: [UInt8])] =
            []
        var entries: [(index: LogIndex, term: Term, bytes: [UInt8])] = []
    }

    /// A log of many segments whose tail cache holds almost nothing.
    static func fill(_ harness: Harness, seed: UInt64) throws -> (GroupLog, Model) {
        var random = SeededRandom(seed)
        let log = try harness.create(1001)
        var model = Model()
        for round in 0..<60 {
            var payloads: [BatchPayload?] = []
            for _ in 0..<(1 + random.below(6)) {
                let batch = makeBatch(
                    records: 1 + random.below(9),
                    bytes: 61 + random.below(700),
                    seed: random.next(),
                    time: Int64(round * 100 + random.below(100))
                )
                payloads.append(random.below(5) == 0 ? nil : batch)
            }
            let term = Term(UInt64(1 + round / 10))
            let write = try harness.prepare(log, term: term, payloads, commit: log.lastIndex)
            for entry in write.entries {
                let row = entry.row
                let bytes = entry.payload.copyBytes()
                model.entries.append((row.index, row.term, bytes))
                guard row.isBatch else { continue }
                model.batches.append(
                    (row.index, row.baseOffset, row.nextOffset, row.maxTimestamp, bytes)
                )
            }
            try harness.submit([write])
            log.releaseTail(upTo: log.lastIndex)
        }
        return (log, model)
    }

    static var options: RaftLogOptions {
        var options = Harness.options
        options.tailCacheBytes = 500
        options.segmentBytesMax = 4000
        options.openFilesMax = 3
        return options
    }

    @Test func `a range that is being read is not read a second time`() throws {
        let harness = try Harness(options: Self.options)
        let (log, model) = try Self.fill(harness, seed: 3)
        func ask() -> LogIndex? {
            #expect(throws: LogStorageError.temporarilyUnavailable) {
                try log.entries(from: 2, to: 9, maxBytes: 500)
            }
            return log.takeWantedRange()?.0
        }
        #expect(ask() == 2)
        #expect(ask() == nil)
        log.finishRead(from: 2, [])
        // It failed, and may be tried again.
        #expect(ask() == 2)
        let entry = Entry(
            term: model.entries[1].term,
            index: 2,
            payload: Payload(model.entries[1].bytes)
        )
        log.finishRead(from: 2, [entry])
        #expect(try log.entries(from: 2, to: 9, maxBytes: 500).map(\.index) == [2])
    }

    /// Before and after a restart.
    private func bothLives(
        _ body: (Harness, GroupLog, Model, inout SeededRandom) throws -> Void
    ) throws {
        let harness = try Harness(options: Self.options)
        let (log, model) = try Self.fill(harness, seed: 41)
        var random = SeededRandom(42)
        #expect(log.tailBatches(from: 0, below: log.nextOffset, maxBytes: 1) == nil)
        try body(harness, log, model, &random)
        try harness.close()
        let again = try Harness(harness.files, options: Self.options)
        try body(again, #require(again.groups[1001]), model, &random)
    }

    @Test func `entries of any range are those that were appended`() throws {
        try bothLives { harness, log, model, random in
            for _ in 0..<300 {
                let from = 1 + random.below(model.entries.count)
                let to = from + 1 + random.below(model.entries.count - from + 1)
                let bytesMax = random.below(5000)
                let done = Box<Result<[Entry], RaftLogError>>()
                harness.directory.readEntries(
                    1001,
                    from: LogIndex(UInt64(from)),
                    to: LogIndex(UInt64(to)),
                    maxBytes: bytesMax
                ) { done.set($0) }
                harness.run()
                let read = try #require(try done.value?.get())
                #expect(!read.isEmpty && read.count <= to - from)
                let total = read.reduce(0) { $0 + $1.sizeBytes }
                #expect(read.count == 1 || total <= bytesMax)
                for (entry, known) in zip(read, model.entries[(from - 1)...]) {
                    #expect(entry.index == known.index && entry.term == known.term)
                    #expect(entry.payload.copyBytes() == known.bytes)
                }
            }
        }
    }

    @Test func `batches from any offset are whole, end to end and below the limit`() throws {
        try bothLives { harness, log, model, random in
            let end = Int(log.nextOffset.rawValue)
            for _ in 0..<300 {
                let from = Offset(Int64(random.below(end)))
                let below = Offset(from.rawValue + Int64(1 + random.below(end)))
                let bytesMax = random.below(3000)
                let done = Box<Result<ByteBuffer, RaftLogError>>()
                harness.directory.readBatches(1001, from: from, below: below, maxBytes: bytesMax) {
                    done.set($0)
                }
                harness.run()
                let bytes = Array(try #require(try done.value?.get()).readableBytesView)
                let wanted = model.batches.drop { $0.next <= from }
                guard let first = wanted.first, first.next <= below else {
                    #expect(bytes.isEmpty)
                    continue
                }
                #expect(bytes.count >= first.bytes.count)
                #expect(bytes.count == first.bytes.count || bytes.count <= bytesMax)
                var expected: [UInt8] = []
                for batch in wanted where expected.count < bytes.count && batch.next <= below {
                    expected += batch.bytes
                }
                #expect(bytes == expected)
            }
        }
    }

    @Test func `a time finds the first batch that is not earlier`() throws {
        try bothLives { harness, log, model, random in
            for _ in 0..<200 {
                let time = Int64(random.below(6200))
                let done = Box<Result<(offset: Offset, timestamp: Int64)?, RaftLogError>>()
                harness.directory.offset(at: time, of: 1001) { done.set($0) }
                harness.run()
                let found = try #require(done.value).get()
                let known = model.batches.first { $0.time >= time }
                #expect(found?.offset == known?.base)
                #expect(found?.timestamp == known?.time)
            }
        }
    }

    @Test func `a scan calls with every entry in order, whole or by its header`() throws {
        try bothLives { harness, log, model, random in
            for _ in 0..<20 {
                let from = 1 + random.below(model.entries.count)
                let to = from + random.below(model.entries.count - from + 1)
                for headersOnly in [false, true] {
                    var place = from - 1
                    try harness.directory.scan(
                        1001,
                        from: LogIndex(UInt64(from)),
                        to: LogIndex(UInt64(to)),
                        headersOnly: headersOnly
                    ) { row, bytes in
                        let known = model.entries[place]
                        #expect(row.index == known.index)
                        #expect(
                            bytes == (headersOnly ? Array(known.bytes.prefix(61)) : known.bytes)
                        )
                        place += 1
                    }
                    #expect(place == to)
                }
            }
        }
    }

    @Test func `what a snapshot replaced and what is not there yet is refused by name`() throws {
        let harness = try Harness(options: Self.options)
        let (log, model) = try Self.fill(harness, seed: 43)
        let count = LogIndex(UInt64(model.entries.count))
        let snapshot = try RecoveryTests.snapshot(log, at: 100)
        harness.directory.saveSnapshot(1001, snapshot) { _ in }
        harness.run()
        log.adoptSavedSnapshot()
        #expect(log.firstIndex > 1 && log.firstIndex <= 101)
        func read(_ from: LogIndex) throws -> [Entry] {
            let done = Box<Result<[Entry], RaftLogError>>()
            harness.directory.readEntries(1001, from: from, to: from + 1, maxBytes: 1) {
                done.set($0)
            }
            harness.run()
            return try #require(done.value).get()
        }
        #expect(throws: RaftLogError.compacted) { try read(log.firstIndex - 1) }
        #expect(try read(log.firstIndex).count == 1)
        #expect(try read(count).count == 1)
        #expect(throws: RaftLogError.outOfRange) { try read(count + 1) }
        let gone = Box<Result<ByteBuffer, RaftLogError>>()
        harness.directory.readBatches(1001, from: 0, below: 9999, maxBytes: 10) { gone.set($0) }
        harness.run()
        #expect(throws: RaftLogError.outOfRange) { try gone.value?.get() }
    }

    @Test func `segments before a snapshot and replaced snapshots leave the disk`() throws {
        let harness = try Harness(options: Self.options)
        let (log, _) = try Self.fill(harness, seed: 44)
        let directory = "\(Harness.root)/partitions/\(log.identity.directoryName)"
        let before = try harness.files.list(directory).count
        for index in [60, 120] as [LogIndex] {
            let snapshot = try RecoveryTests.snapshot(log, at: index)
            harness.directory.saveSnapshot(1001, snapshot) { _ in }
            harness.run()
        }
        try harness.close()
        let names = try harness.files.list(directory)
        #expect(names.count < before)
        #expect(names.filter { $0.hasSuffix(".snapshot") } == [SnapshotFile.name(120)])
        log.adoptSavedSnapshot()
        #expect(names.compactMap(SegmentPath.first).min() == log.firstIndex)
    }

    @Test func `a deleted group's directory goes, and a new group starts from nothing`() throws {
        let harness = try Harness(options: Self.options)
        _ = try Self.fill(harness, seed: 45)
        harness.groups[1001] = nil
        harness.directory.delete(1001) { _ in }
        harness.run()
        #expect(!harness.directory.holds(1001))
        #expect(try harness.files.list("\(Harness.root)/partitions") == [])
        #expect(throws: RaftLogError.unknownGroup(1001)) {
            try harness.directory.newGroupLog(1001)
        }
        let log = try harness.create(1001, incarnation: 2)
        #expect(log.lastIndex == 0 && log.hardState == HardState())
        try harness.append(log, term: 1, [makeBatch(seed: 9)])
        #expect(try harness.readAll(log).count == 1)
        try harness.close()
        let again = try Harness(harness.files, options: Self.options)
        #expect(again.groups[1001]?.lastIndex == 1)
        #expect(again.groups[1001]?.identity.node == NodeID(owner: 1, incarnation: 2))
    }
}
