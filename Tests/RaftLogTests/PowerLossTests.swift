import Disk
import Glibc
import Model
import Raft
import Testing

@testable import RaftLog

/// The power is cut in every changing call of a run, and the directory recovered each time.
///
/// Every recovery is followed by more of the run, by a second loss and by a second recovery.
/// `MARTLET_ALL=1` takes many more seeds and every call.
@Suite struct PowerLossTests {
    static let runsAll = getenv("MARTLET_ALL") != nil
    static let actions = 90

    /// Sizes so small that files are full and segments roll after a few writes.
    static var options: RaftLogOptions {
        var options = Harness.options
        options.walFileBytes = 48 << 10
        options.segmentBytesMax = 6 << 10
        options.frameBytesMax = 16 << 10
        options.tailCacheBytes = 4 << 10
        options.segmentBacklogBytesMax = 8 << 10
        return options
    }

    enum Kind: String, CaseIterable {
        case everything, bytes, names, random, kill

        func loss(_ seed: UInt64) -> MemoryFiles.Loss {
            switch self {
            case .everything: .everythingUnsynced
            case .bytes: .unsyncedBytes
            case .names: .unsyncedNames
            case .random: .random(seed: seed)
            case .kill: .nothing
            }
        }
    }

    /// Runs a seed until the power is cut, and lets it come back.
    func cut(at call: Int, seed: UInt64, _ kind: Kind) throws -> Scenario? {
        let files = Harness.newFiles()
        files.cut(at: call)
        let harness = try? Harness(files, options: Self.options)
        let scenario = harness.map { Scenario($0, seed: seed) }
        try scenario?.run(Self.actions)
        files.restart(after: kind.loss(seed << 32 | UInt64(call)))
        // Cut while the directory was made: the next try makes it.
        if harness == nil { _ = try Harness(files, options: Self.options) }
        return scenario
    }

    static let runs: [(kind: Kind, seed: UInt64)] = {
        let seeds: ClosedRange<UInt64> = runsAll ? 1...20 : 1...1
        return Kind.allCases.flatMap { kind in seeds.map { (kind, $0) } }
    }()

    /// How many changing calls the run of a seed makes.
    func callCount(seed: UInt64) throws -> Int {
        let files = Harness.newFiles()
        let scenario = Scenario(try Harness(files, options: Self.options), seed: seed)
        try scenario.run(Self.actions)
        try scenario.checkReads()
        #expect(scenario.harness.failure.value == nil, "seed \(seed)")
        return files.changeCount
    }

    func crash(_ call: Int, seed: UInt64, _ kind: Kind) throws {
        let comment = "seed \(seed), call \(call), \(kind)"
        guard let scenario = try cut(at: call, seed: seed, kind) else { return }
        let files = scenario.harness.files
        let recovered = try Harness(files, options: Self.options)
        try scenario.check(recovered, comment)
        guard recovered.groups.values.allSatisfy({ !$0.isSuspect }) else { return }
        try scenario.resume(recovered)
        // Nothing, or a little more, or much more is done before the next loss.
        try scenario.run([0, 3, 25][call % 3])
        #expect(recovered.failure.value == nil, "\(comment)")
        files.restart(after: .everythingUnsynced)
        let again = try Harness(files, options: Self.options)
        try scenario.check(again, "\(comment), then a second loss")
    }

    @Test(arguments: runs)
    func `nothing acknowledged is lost and nothing deleted comes back`(
        kind: Kind,
        seed: UInt64
    ) throws {
        let calls = try callCount(seed: seed)
        for call in 3...calls {
            do { try crash(call, seed: seed, kind) } catch {
                Issue.record("seed \(seed), call \(call), \(kind): \(error)")
            }
        }
        print("cut at \(calls - 2) calls, seed \(seed), \(kind)")
    }

    @Test(arguments: Kind.allCases)
    func `a recovery that is interrupted anywhere is done again`(kind: Kind) throws {
        let seed: UInt64 = 21
        let calls = try callCount(seed: seed)
        var cuts = 0
        for call in stride(from: 10, through: calls, by: Self.runsAll ? 5 : 60) {
            guard let scenario = try cut(at: call, seed: seed, kind) else { continue }
            let files = scenario.harness.files
            let whole = files.copy()
            _ = try Harness(whole, options: Self.options)
            for step in (files.changeCount + 1)...whole.changeCount {
                let copy = files.copy()
                copy.cut(at: step)
                #expect(throws: RaftLogError.self) { try Harness(copy, options: Self.options) }
                // A kill is followed by every other kind: what it left may not be durable.
                let second = kind == .kill ? Kind.allCases[step % Kind.allCases.count] : kind
                copy.restart(after: second.loss(UInt64(call) << 32 | UInt64(step)))
                let recovered = try Harness(copy, options: Self.options)
                try scenario.check(recovered, "call \(call), then step \(step), \(kind)")
                cuts += 1
            }
        }
        print("cut at \(cuts) calls of recoveries, \(kind)")
    }
}
