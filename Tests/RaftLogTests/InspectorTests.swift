import Disk
import Model
import Raft
import RecordBatch
import Testing

@testable import RaftLog

@Suite struct InspectorTests {
    /// A batch whose own checksum is right.
    static func batch(
        _ value: String,
        records: Int = 1,
        attributes: RecordBatchHeader.Attributes = []
    ) throws -> BatchPayload {
        var builder = RecordBatchBuilder()
        builder.attributes = attributes
        for number in 0..<records {
            builder.append(key: nil, value: Array(value.utf8), timestamp: Int64(1000 + number))
        }
        return try #require(BatchPayload(bytes: builder.build()))
    }

    static func open(_ harness: Harness) throws -> LogInspector {
        try LogInspector.open(Harness.root, files: harness.files)
    }

    /// Group 1001 with an entry of a new leader, `count` batches, a marker and a configuration.
    static func fill(_ harness: Harness, count: Int) throws -> GroupLog {
        let log = try harness.create(1001)
        var batches: [BatchPayload?] = [nil]
        for number in 0..<count {
            let value = String(repeating: "record \(number) ", count: 20)
            batches.append(try batch(value, records: number % 3 + 1))
        }
        batches.append(try batch("marker", attributes: [.control, .transactional]))
        let commit = LogIndex(UInt64(batches.count))
        try harness.append(log, term: 2, batches, commit: commit)
        let change = Entry(
            term: 2,
            index: log.lastIndex + 1,
            type: .confChangeV2,
            payload: Payload([1, 2, 3])
        )
        try harness.submit([try log.prepare(entries: [change], hardState: nil, snapshot: nil)])
        return log
    }

    static func bytes(_ files: MemoryFiles) -> [String: [UInt8]] {
        var all: [String: [UInt8]] = [:]
        for path in files.paths { all[path] = files.contents(of: path) }
        return all
    }

    @Test func `a log that was closed is sound, in several segments`() throws {
        let harness = try Harness()
        let log = try Self.fill(harness, count: 100)
        let entries = try harness.readAll(log)
        try harness.close()
        let inspector = try Self.open(harness)
        #expect(inspector.problems.isEmpty)
        #expect(inspector.directoryID == harness.directory.directoryID)
        let group = try #require(inspector.group(1001))
        #expect(group.identity == Harness.identity(1001))
        #expect(group.hardState == HardState(term: 2, vote: .none, commit: 102))
        #expect((group.firstIndex, group.lastIndex) == (1, 103))
        #expect(group.nextOffset == log.nextOffset)
        #expect(group.reader.view.spans.count > 1)
        let found = inspector.verify(group)
        #expect(found.problems == [])
        #expect(found.entryCount == 103)
        for entry in entries {
            let row = try #require(try inspector.rows(of: group, from: entry.index, count: 1).first)
            #expect(try inspector.payload(of: row, in: group) == entry.payload.copyBytes())
        }
    }

    @Test func `a directory is read while it is open, and nothing is written`() throws {
        let harness = try Harness()
        let log = try Self.fill(harness, count: 10)
        let before = Self.bytes(harness.files)
        let inspector = try Self.open(harness)
        let group = try #require(inspector.group(1001))
        #expect(group.lastIndex == 13)
        #expect(inspector.verify(group).problems == [])
        #expect(Self.bytes(harness.files) == before)
        // The daemon goes on, cuts what is not committed, and fills its WAL files again.
        for round in 0..<30 {
            let value = String(repeating: "\(round)", count: 4000)
            let term = Term(UInt64(3 + round))
            let from = log.lastIndex
            try harness.append(log, term: term, from: from, [Self.batch(value), Self.batch(value)])
            let now = try Self.open(harness)
            let found = now.verify(try #require(now.group(1001)))
            #expect(found.problems == [])
            #expect(found.entryCount == Int(log.lastIndex.rawValue))
        }
        // An old picture is looked at again before anything is said.
        #expect(inspector.verify(group).problems == [])
    }

    @Test func `a flipped bit of a payload is reported with its entry and nothing else`() throws {
        let harness = try Harness()
        _ = try Self.fill(harness, count: 20)
        try harness.close()
        let sound = try Self.open(harness)
        let group = try #require(sound.group(1001))
        let row = try #require(try sound.rows(of: group, from: 7, count: 1).first)
        let path = SegmentPath.of(group.reader.view.directory, 1, "log")
        #expect(harness.files.flipBit(of: path, at: Int(row.position) * 8 + 500))
        let problems = sound.verify(group).problems
        #expect(problems.map(\.index) == [7])
        #expect(problems.first?.text.contains("payload") == true)
    }

    @Test func `a payload that was rewritten with its checksum breaks the hash`() throws {
        let harness = try Harness()
        _ = try Self.fill(harness, count: 5)
        try harness.close()
        let sound = try Self.open(harness)
        let group = try #require(sound.group(1001))
        var row = try #require(try sound.rows(of: group, from: 3, count: 1).first)
        let directory = group.reader.view.directory
        let path = SegmentPath.of(directory, 1, "log")
        #expect(harness.files.flipBit(of: path, at: Int(row.position) * 8 + 500))
        var bytes = try #require(harness.files.contents(of: path))
        let start = Int(row.position)
        row.payloadCRC = Checksum.crc(Array(bytes[start..<start + row.length]))
        let rowsPath = SegmentPath.of(directory, 1, "entries")
        bytes = try #require(harness.files.contents(of: rowsPath))
        bytes.withUnsafeMutableBytes { all in
            guard let base = all.baseAddress else { return }
            row.store(to: base + Int(SegmentPath.rowPosition(3, first: 1)), group: 1001)
        }
        #expect(harness.files.replaceContents(of: rowsPath, with: bytes))
        let problems = sound.verify(group).problems
        #expect(problems.map(\.index) == [3, 3])
        #expect(problems.first?.text.contains("hash") == true)
        #expect(problems.last?.text.contains("CRC") == true)
    }

    @Test func `a flipped bit of a row is reported, and the rows after it are verified`() throws {
        let harness = try Harness()
        _ = try Self.fill(harness, count: 20)
        try harness.close()
        let sound = try Self.open(harness)
        let group = try #require(sound.group(1001))
        let path = SegmentPath.of(group.reader.view.directory, 1, "entries")
        let place = Int(SegmentPath.rowPosition(5, first: 1))
        #expect(harness.files.flipBit(of: path, at: place * 8 + 70))
        let found = sound.verify(group)
        #expect(found.problems.map(\.index) == [5])
        #expect(found.entryCount == 22)
    }

    @Test func `a hole in the write-ahead log is a problem of the directory`() throws {
        let harness = try Harness()
        let log = try Self.fill(harness, count: 3)
        try harness.append(log, term: 2, [Self.batch("one")])
        try harness.append(log, term: 2, [Self.batch("two")])
        let path = try #require(
            harness.files.paths.first {
                $0.hasSuffix("0000000000000001.wal") || $0.contains("/wal/0")
            }
        )
        #expect(harness.files.flipBit(of: path, at: 4096 * 8 + 700))
        let inspector = try Self.open(harness)
        #expect(!inspector.problems.isEmpty || inspector.groups.contains { $0.suspicion != nil })
    }

    @Test func `replicas are compared as far as both know what is committed`() throws {
        let first = try Harness()
        let second = try Harness()
        for (harness, last, commit) in [(first, "a", 5), (second, "b", 4)] {
            let log = try harness.create(1001)
            let same = try (1...4).map { try Self.batch("same \($0)") }
            let commit = LogIndex(UInt64(commit))
            try harness.append(log, term: 1, same + [Self.batch(last)], commit: commit)
        }
        let result = ReplicaComparison.compare(
            1001,
            in: [try Self.open(first), try Self.open(second)]
        )
        #expect(result.difference == nil)
        #expect(result.through == 4)
        #expect(result.entryCount == 4)
        let log = try #require(second.groups[1001])
        try second.append(log, term: 1, [Self.batch("more")], commit: 6)
        let now = ReplicaComparison.compare(
            1001,
            in: [try Self.open(first), try Self.open(second)]
        )
        #expect(now.difference?.index == 5)
        #expect(now.through == 5)
    }
}
