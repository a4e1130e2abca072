import Disk
import Model
import NIOCore
import Raft
import Testing

@testable import RaftLog

@Suite struct AppendTests {
    @Test func `entries are read back as they were written`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        try harness.append(log, term: 1, [nil])
        let batches = (0..<50).map {
            makeBatch(records: $0 % 3 + 1, bytes: 70 + $0 * 9, seed: UInt64($0))
        }
        try harness.append(log, term: 1, batches)
        #expect(log.lastIndex == 51)
        #expect(log.nextOffset == Offset(Int64(batches.reduce(0) { $0 + Int($1.offsetCount) })))
        let read = try harness.readAll(log)
        #expect(read.count == 51)
        #expect(read[0].payload.count == 0)
        for (entry, batch) in zip(read.dropFirst(), batches) {
            let bytes = entry.payload.copyBytes()
            #expect(Array(bytes[16...]) == Array(batch.body.readableBytesView))
            #expect((entry.payload.storage as? BatchPayload)?.leaderEpoch == 1)
        }
    }

    @Test func `a directory that was closed opens with everything in it`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        try harness.append(
            log,
            term: 3,
            [nil, makeBatch(records: 5), makeBatch(bytes: 5000)],
            commit: 2
        )
        let chain = log.chain(at: 3)
        try harness.close()
        let again = try Harness(harness.files)
        let found = try #require(again.groups[1001])
        #expect(found.identity == Harness.identity(1001))
        #expect(found.lastIndex == 3)
        #expect(found.hardState == HardState(term: 3, vote: .none, commit: 2))
        #expect(found.nextOffset == 6)
        #expect(found.chain(at: 3) == chain)
        #expect(try again.readAll(found).count == 3)
        #expect(again.directory.directoryID == harness.directory.directoryID)
    }

    @Test func `what was acknowledged survives a kill without a close`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        try harness.append(log, term: 1, [makeBatch(), makeBatch()])
        harness.files.restart(after: .nothing)
        let again = try Harness(harness.files)
        #expect(again.groups[1001]?.lastIndex == 2)
    }
}
