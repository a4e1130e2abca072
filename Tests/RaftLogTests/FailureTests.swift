import Disk
import Glibc
import Model
import Raft
import Testing

@testable import RaftLog

/// Every changing call fails once, without a loss of power: whatever was not acknowledged before
/// is never acknowledged after.
@Suite struct FailureTests {
    static let actions = 60

    /// Runs a seed with one failing call; nil when the directory could not even be opened.
    private func run(_ files: MemoryFiles, seed: UInt64) throws -> Scenario? {
        let harness: Harness
        do {
            harness = try Harness(files, options: PowerLossTests.options)
        } catch RaftLogError.disk { return nil }
        let scenario = Scenario(harness, seed: seed)
        try scenario.run(Self.actions)
        return scenario
    }

    @Test(arguments: [EIO, ENOSPC])
    func `a call that fails is reported, and nothing is acknowledged after it`(
        code: Int32
    ) throws {
        let sound = Harness.newFiles()
        _ = try run(sound, seed: 31)
        let step = PowerLossTests.runsAll ? 1 : 2
        for call in stride(from: 0, to: sound.changeCount - 2, by: step) {
            let files = Harness.newFiles(isLogging: true)
            files.fail(skip: call, code: code)
            let comment = "call \(call), error \(code)"
            guard let scenario = try run(files, seed: 31) else {
                files.restart(after: .everythingUnsynced)
                _ = try Harness(files, options: PowerLossTests.options)
                continue
            }
            let harness = scenario.harness
            expectSilence(files.operations, comment)
            // A file that could not even be made is reported to the one who wanted it.
            let isOpening = files.operations.contains {
                $0.hasPrefix("create ") && $0.hasSuffix(".snapshot.tmp FAILS")
            }
            if !isOpening { try expectFailed(harness, code, comment) }
            files.restart(after: .everythingUnsynced)
            let recovered = try Harness(files, options: PowerLossTests.options)
            try scenario.check(recovered, comment)
        }
        print("\(sound.changeCount - 2) calls failed with \(code)")
    }

    /// The log says that it failed, and takes nothing any more.
    private func expectFailed(_ harness: Harness, _ code: Int32, _ comment: String) throws {
        guard case .disk(let error)? = harness.failure.value else {
            Issue.record("\(comment): failure \(String(describing: harness.failure.value))")
            return
        }
        #expect(error.code == code, "\(comment)")
        let answers = Box<RaftLogError>()
        harness.directory.create(Harness.identity(1077)) { result in
            if case .failure(let error) = result { answers.set(error) }
        }
        harness.run()
        #expect(answers.value == .halted, "\(comment)")
    }

    /// After a failed sync nothing is synced under that path, and no checkpoint vouches for it.
    private func expectSilence(_ operations: [String], _ comment: String) {
        guard let place = operations.firstIndex(where: { $0.hasSuffix(" FAILS") }) else {
            Issue.record("\(comment): nothing failed")
            return
        }
        let failed = operations[place].dropLast(" FAILS".count)
        let later = operations[(place + 1)...]
        if failed.hasPrefix("sync") {
            #expect(!later.contains { $0 == failed }, "\(comment): \(failed) is tried again")
        }
        guard !failed.contains(".snapshot") else { return }
        #expect(!later.contains { $0.contains("/checkpoint.") }, "\(comment): \(failed)")
        // What fails in the background the writer hears of in its turn.
        guard failed.contains("/data/wal/0") else { return }
        #expect(!later.contains { $0.contains("/data/wal/0") }, "\(comment): \(failed)")
    }

    @Test func `the first one who waits hears the reason, the others that it is over`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        harness.files.fail(.sync, path: "/wal/")
        let (first, second) = (Box<RaftLogError>(), Box<RaftLogError>())
        for box in [first, second] {
            let write = try harness.prepare(log, term: 1, [makeBatch()])
            harness.directory.submit([write]) { result in
                if case .failure(let error) = result { box.set(error) }
            }
        }
        harness.run()
        guard case .disk(let error)? = first.value else {
            Issue.record("\(String(describing: first.value))")
            return
        }
        #expect(error.operation == .sync)
        #expect(second.value == .halted)
        #expect(harness.failure.value == .disk(error))
        let late = Box<RaftLogError>()
        harness.directory.close { result in
            if case .failure(let error) = result { late.set(error) }
        }
        harness.run()
        #expect(late.value == .halted)
    }

    @Test func `a checkpoint is not written when a segment's sync failed before it`() throws {
        let harness = try Harness(Harness.newFiles(isLogging: true))
        let log = try harness.create(1001)
        try harness.append(log, term: 1, [makeBatch(), makeBatch()])
        harness.files.fail(.sync, path: ".entries")
        harness.directory.close()
        // The writer begins the checkpoint and then has no turn for as long as it takes.
        harness.writer.runAll()
        harness.reader.runAll()
        let operations = harness.files.operations
        let failed = try #require(operations.firstIndex { $0.hasSuffix(" FAILS") })
        #expect(!operations[failed...].contains { $0.contains("checkpoint") })
        harness.run()
        #expect(harness.failure.value != nil)
        harness.files.restart(after: .everythingUnsynced)
        let found = try #require(try Harness(harness.files).groups[1001])
        #expect(found.suspicion == nil)
        #expect(found.lastIndex == 2)
    }

    @Test func `a snapshot that cannot be written is not acknowledged`() throws {
        for operation in [DiskError.Operation.write, .sync, .rename] {
            let harness = try Harness()
            let log = try harness.create(1001)
            try harness.append(log, term: 1, [makeBatch(), makeBatch()], commit: 2)
            harness.files.fail(operation, path: ".snapshot", code: ENOSPC)
            let done = Box<Result<Void, RaftLogError>>()
            let snapshot = try RecoveryTests.snapshot(log, at: 2)
            harness.directory.saveSnapshot(1001, snapshot) { done.set($0) }
            harness.run()
            #expect(throws: RaftLogError.self) { try done.value?.get() }
            #expect(harness.failure.value != nil, "\(operation)")
            harness.files.restart(after: .everythingUnsynced)
            let again = try Harness(harness.files)
            #expect(again.groups[1001]?.isSuspect == false)
            #expect(try again.directory.loadSnapshot(1001) == nil)
        }
    }
}
