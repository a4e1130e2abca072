import Disk
import Model
import Raft
import Testing

@testable import RaftLog

/// Disks that lose a write which they said to have kept, or cannot give back what they hold.
@Suite struct LyingDiskTests {
    /// A directory whose write-ahead log has been through all of its files more than once.
    private func harnessWithOldFiles() throws -> (Harness, GroupLog) {
        let harness = try Harness()
        let log = try harness.create(1001)
        for number in 0..<60 {
            try harness.append(log, term: 1, [makeBatch(bytes: 5000, seed: UInt64(number))])
        }
        return (harness, log)
    }

    @Test func `frames behind the header of an earlier life are found`() throws {
        let (harness, log) = try harnessWithOldFiles()
        let path = try #require(harness.files.paths.last { $0.contains("/wal/0") })
        var bytes = try #require(harness.files.contents(of: path))
        let old = WALFormat.fileHeader(harness.directory.directoryID, sequence: 1)
        #expect(Array(bytes[..<old.count]) != old)
        bytes.replaceSubrange(..<old.count, with: old)
        harness.files.restart(after: .everythingUnsynced)
        harness.files.replaceContents(of: path, with: bytes)
        let again = try Harness(harness.files)
        #expect(again.directory.damage == nil)
        #expect(again.groups[1001]?.lastIndex == log.lastIndex)
    }

    @Test func `a stray write over a header with an earlier life behind it is a hole`() throws {
        let (harness, log) = try harnessWithOldFiles()
        func walPaths() -> [String] { harness.files.paths.filter { $0.contains("/wal/0") } }
        var old: [UInt8]?
        var new: String?
        while new == nil {
            let before = walPaths().map { ($0, harness.files.contents(of: $0)) }
            try harness.append(log, term: 1, [makeBatch(bytes: 5000)])
            new = walPaths().first { path in !before.contains { $0.0 == path } }
            old = before.first { !walPaths().contains($0.0) }?.1
        }
        for _ in 0..<2 { try harness.append(log, term: 1, [makeBatch()]) }
        harness.files.restart(after: .nothing)
        let path = try #require(new)
        var bytes = try #require(harness.files.contents(of: path))
        // The first frame was written over the header, so that in its place an old one stands.
        let (header, first) = (0..<WALFormat.blockBytes, WALFormat.blockBytes)
        let frame = first..<2 * first
        bytes.replaceSubrange(header, with: bytes[frame])
        bytes.replaceSubrange(frame, with: try #require(old)[frame])
        harness.files.replaceContents(of: path, with: bytes)
        let again = try Harness(harness.files)
        #expect(again.directory.damage != nil)
        #expect(again.groups[1001]?.isSuspect ?? true)
    }

    @Test func `a lost frame with a later one behind it makes the groups suspect`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        harness.files.loseWrite(path: "/wal/")
        for _ in 0..<3 { try harness.append(log, term: 1, [makeBatch()]) }
        #expect(harness.files.lostWrites.count == 1)
        harness.files.restart(after: .everythingUnsynced)
        let again = try Harness(harness.files)
        #expect(again.directory.damage != nil)
        #expect(again.groups[1001]?.isSuspect ?? true)
    }

    @Test(arguments: Checkpoint.names)
    func `one checkpoint that cannot be read is harmless`(name: String) throws {
        let (harness, log) = try harnessWithOldFiles()
        try harness.close()
        harness.files.breakSector(of: "\(Harness.root)/\(name)", at: 0)
        let again = try Harness(harness.files)
        #expect(again.groups[1001]?.suspicion == nil)
        #expect(again.groups[1001]?.lastIndex == log.lastIndex)
        // It has been written again, so that the other one may fail next.
        try again.close()
        for other in Checkpoint.names where other != name {
            harness.files.breakSector(of: "\(Harness.root)/\(other)", at: 0)
        }
        #expect(try Harness(harness.files).groups[1001]?.lastIndex == log.lastIndex)
    }

    @Test func `a write-ahead log that cannot be read is no torn one`() throws {
        let (harness, _) = try harnessWithOldFiles()
        harness.files.restart(after: .nothing)
        harness.files.failRead(path: "/wal/", skip: 4)
        #expect(throws: RaftLogError.self) { try Harness(harness.files) }
        harness.files.restart(after: .nothing)
        #expect(try Harness(harness.files).groups[1001]?.suspicion == nil)
    }

    @Test func `a segment that cannot be read makes its group suspect, and it alone`() throws {
        let (harness, log) = try harnessWithOldFiles()
        try harness.append(harness.create(1002), term: 1, [makeBatch()])
        try harness.close()
        let directory = "\(Harness.root)/partitions/\(log.identity.directoryName)"
        let last = try #require(
            harness.files.paths.last {
                $0.hasPrefix(directory) && $0.hasSuffix(".entries")
            }
        )
        harness.files.breakSector(of: last, at: 0)
        let again = try Harness(harness.files)
        #expect(again.groups[1001]?.isSuspect == true)
        #expect(again.groups[1002]?.isSuspect == false)
    }

    @Test func `a hole where a batch should begin is damage, payloads read or not`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        for _ in 0..<3 { try harness.append(log, term: 1, [makeBatch(bytes: 600)]) }
        try harness.close()
        let path = try #require(harness.files.paths.first { $0.hasSuffix(".log") })
        var bytes = try #require(harness.files.contents(of: path))
        bytes.replaceSubrange(600..<1200, with: [UInt8](repeating: 0, count: 600))
        harness.files.replaceContents(of: path, with: bytes)
        for headersOnly in [true, false] {
            let again = try Harness(harness.files)
            var seen: [LogIndex] = []
            #expect(throws: RaftLogError.self) {
                try again.directory.scan(1001, from: 1, to: 3, headersOnly: headersOnly) {
                    seen.append($0.index)
                    _ = $1
                }
            }
            #expect(seen == [1])
            try again.close()
        }
    }
}
