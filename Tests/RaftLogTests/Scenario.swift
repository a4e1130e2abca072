import Disk
import Model
import NIOCore
import Raft
import Testing

@testable import RaftLog

/// A seeded run of writes, cuts, snapshots and deletions against a data directory, with a model
/// of what was submitted and what was acknowledged.
///
/// `@unchecked Sendable`: everything runs on the test's own thread; the executors are manual.
final class Scenario: @unchecked Sendable {
    /// The states that a group went through; nil while it does not exist.
    struct History {
        var states: [SeenGroup?] = [nil]
        var acknowledged = 0
        var incarnation: UInt32 = 0
        var isBusy = false
        /// What was handed over as a snapshot, by index.
        var snapshots: [LogIndex: [UInt8]] = [:]
        /// The newest snapshot that was acknowledged.
        var savedSnapshot: LogIndex = 0
        /// The highest commit index that was handed over.
        var commit: LogIndex = 0

        /// The last entry that is known to be durable.
        var durable: LogIndex {
            guard let state = states[acknowledged] else { return 0 }
            return state.entries.last?.index ?? state.start
        }
    }

    private(set) var harness: Harness
    var random: SeededRandom
    var histories: [RaftGroupID: History] = [:]
    var payloadSeed: UInt64 = 0
    let groupCount: UInt64
    /// How many reads were held to the model.
    private(set) var reads = 0

    init(_ harness: Harness, seed: UInt64, groups: UInt64 = 4) {
        self.harness = harness
        random = SeededRandom(seed)
        groupCount = groups
        for group in 1...groups { histories[RaftGroupID(1000 + group)] = History() }
    }

    /// Goes on with a directory that was recovered: what it holds is what was acknowledged.
    func resume(_ recovered: Harness) throws {
        harness = recovered
        for (group, old) in histories {
            let seen = try recovered.groups[group].map { try SeenGroup(reading: $0, recovered) }
            let log = recovered.groups[group]
            var history = History(states: [seen], incarnation: old.incarnation)
            history.snapshots = seen == nil ? [:] : old.snapshots
            history.savedSnapshot = (try? log?.snapshot())??.metadata.index ?? 0
            history.commit = log?.hardState.commit ?? 0
            histories[group] = history
        }
    }

    /// Runs `count` random actions, with the threads' work in between in random order.
    func run(_ count: Int) throws {
        for _ in 0..<count {
            if harness.files.isCut || harness.failure.value != nil { break }
            try act()
            if random.below(3) == 0 { continue }
            for _ in 0..<random.below(6) {
                if random.below(3) > 0 { harness.writer.runOne() } else { harness.reader.runOne() }
            }
        }
        harness.run()
    }

    private func act() throws {
        let group = RaftGroupID(1001 + random.next() % groupCount)
        guard let history = histories[group], !history.isBusy else { return }
        guard let log = harness.groups[group] else { return create(group) }
        switch random.below(48) {
        case 0: try delete(log)
        case 1...3: saveSnapshot(log)
        case 4: try installSnapshot(log)
        case 5...6: try vote(log)
        case 7...12: try cut(log)
        case 13...16: try commit(log)
        case 17: try checkReads()
        case 18: log.releaseTail(upTo: min(log.hardState.commit, history.durable))
        case 19: try appendTwice(log)
        default: try submit([append(log)])
        }
    }

    private func create(_ group: RaftGroupID) {
        let incarnation = (histories[group]?.incarnation ?? 0) + 1
        let states = histories[group]?.states ?? [nil]
        histories[group] = History(states: states, acknowledged: states.count - 1)
        histories[group]?.incarnation = incarnation
        histories[group]?.isBusy = true
        let identity = Harness.identity(group.rawValue, incarnation: incarnation)
        note(group, SeenGroup(node: identity.node, term: 0, vote: .none, start: 0, entries: []))
        let place = (histories[group]?.states.count ?? 0) - 1
        harness.directory.create(identity, join: random.below(2) == 0) { result in
            guard case .success = result else { return }
            self.acknowledge(group, place)
            self.histories[group]?.isBusy = false
            self.harness.groups[group] = try? self.harness.directory.newGroupLog(group)
        }
    }

    private func delete(_ log: GroupLog) throws {
        let group = log.identity.group
        histories[group]?.isBusy = true
        harness.groups[group] = nil
        let late = random.below(2) == 0 ? try append(log, isNoted: false) : nil
        note(group, nil)
        let place = (histories[group]?.states.count ?? 0) - 1
        harness.directory.delete(group) { result in
            guard case .success = result else { return }
            self.acknowledge(group, place)
            self.histories[group]?.isBusy = false
        }
        // A write that was on its way when the group was deleted.
        if let late { harness.directory.submit([late]) { _ in } }
    }

    private func append(_ log: GroupLog, isNoted: Bool = true) throws -> GroupWrite {
        let count = 1 + random.below(random.below(10) == 0 ? 12 : 4)
        var payloads: [BatchPayload?] = []
        for _ in 0..<count {
            payloadSeed += 1
            let bytesMax = random.below(8) == 0 ? 3000 : 300
            let batch = makeBatch(
                records: 1 + random.below(5),
                bytes: 61 + random.below(bytesMax),
                seed: payloadSeed,
                time: Int64(payloadSeed)
            )
            payloads.append(random.below(6) == 0 ? nil : batch)
        }
        let term = max(log.hardState.term, 1)
        // What a leader has committed may come together with the entries.
        let commits = [log.hardState.commit, log.lastIndex, log.lastIndex + UInt64(count)]
        let commit = commits[random.below(3)]
        let write = try harness.prepare(log, term: term, payloads, commit: commit)
        if isNoted { note(log, write) }
        return write
    }

    /// Two groups in one submission.
    private func appendTwice(_ log: GroupLog) throws {
        var writes = [try append(log)]
        for group in 1...groupCount {
            guard let other = harness.groups[RaftGroupID(1000 + group)], other !== log,
                histories[RaftGroupID(1000 + group)]?.isBusy == false
            else { continue }
            writes.append(try append(other))
            break
        }
        submit(writes)
    }

    private func cut(_ log: GroupLog) throws {
        let room = Int(log.lastIndex - log.hardState.commit)
        guard room > 0 else { return submit([try append(log)]) }
        let index = log.lastIndex - UInt64(random.below(room))
        payloadSeed += 1
        let batch = makeBatch(
            bytes: 61 + random.below(200),
            seed: payloadSeed,
            time: Int64(payloadSeed)
        )
        let term = log.hardState.term + 1
        let write = try harness.prepare(log, term: term, from: index, [nil, batch])
        note(log, write)
        submit([write])
        // A voter that heard of two leaders at once cuts twice.
        if random.below(3) == 0 { try cut(log) }
    }

    private func vote(_ log: GroupLog) throws {
        var hard = log.hardState
        hard.term += 1
        hard.vote = NodeID(owner: 2, incarnation: 1)
        let write = try log.prepare(entries: [], hardState: hard, snapshot: nil)
        note(log, write)
        submit([write])
    }

    /// Only the commit index moves, and now and then term and vote right after it.
    private func commit(_ log: GroupLog) throws {
        var hard = log.hardState
        hard.commit = log.lastIndex
        let write = try log.prepare(entries: [], hardState: hard, snapshot: nil)
        note(log, write)
        submit([write])
        if random.below(2) == 0 { try vote(log) }
    }

    private func saveSnapshot(_ log: GroupLog) {
        let group = log.identity.group
        let durable = histories[group]?.durable ?? 0
        let index = min(log.hardState.commit, durable)
        guard index >= log.firstIndex, let term = try? log.term(at: index) else { return }
        let metadata = SnapshotMetadata(index: index, term: term, confState: log.confState)
        let incarnation = histories[group]?.incarnation
        // A state machine's snapshot at an index is always the same.
        let state = histories[group]?.snapshots[index] ?? [1, UInt8(index.rawValue & 255)]
        histories[group]?.snapshots[index] = state
        let snapshot = Snapshot(metadata: metadata, data: Payload(state))
        harness.directory.saveSnapshot(group, snapshot) { result in
            guard case .success = result, self.histories[group]?.incarnation == incarnation,
                self.histories[group]?.isBusy == false
            else { return }
            let known = self.histories[group]?.savedSnapshot ?? 0
            self.histories[group]?.savedSnapshot = max(known, index)
        }
    }

    private func installSnapshot(_ log: GroupLog) throws {
        let room = Int(log.lastIndex - log.hardState.commit)
        let index = log.hardState.commit + 1 + UInt64(random.below(room + 10))
        var hard = log.hardState
        hard.term += 1
        hard.commit = index
        let bytes = [UInt8(random.below(256)), 4, 5]
        let offset = Offset(log.nextOffset.rawValue + 7)
        let state = SnapshotState(chain: random.next(), nextOffset: offset, state: bytes)
        histories[log.identity.group]?.snapshots[index] = bytes
        let metadata = SnapshotMetadata(index: index, term: hard.term, confState: log.confState)
        let snapshot = Snapshot(metadata: metadata, data: state.payload)
        let write = try log.prepare(entries: [], hardState: hard, snapshot: snapshot)
        note(log, write)
        submit([write])
    }

    // MARK: The model

    private func note(_ group: RaftGroupID, _ seen: SeenGroup?) {
        histories[group]?.states.append(seen)
    }

    /// The states that a write leads through.
    private func note(_ log: GroupLog, _ write: GroupWrite) {
        let group = write.group
        var seen = histories[group]?.states.last ?? nil
        seen?.term = log.hardState.term
        seen?.vote = log.hardState.vote
        histories[group]?.commit = log.hardState.commit
        if let install = write.install {
            seen?.start = install.mark.point.index
            seen?.entries = []
        }
        // A write may be split over frames: term and vote first, then entries one by one.
        note(group, seen)
        for entry in write.entries {
            seen?.entries.removeAll { $0.index >= entry.row.index }
            seen?.entries.append(SeenEntry(entry.row, entry.payload.copyBytes()))
            note(group, seen)
        }
    }

    private func submit(_ writes: [GroupWrite]) {
        let places = writes.map { (histories[$0.group]?.states.count ?? 0) - 1 }
        harness.directory.submit(writes) { result in
            guard case .success = result else { return }
            for (write, place) in zip(writes, places) { self.acknowledge(write.group, place) }
        }
    }

    private func acknowledge(_ group: RaftGroupID, _ place: Int) {
        let before = histories[group]?.acknowledged ?? 0
        histories[group]?.acknowledged = max(before, place)
    }

    /// Waits for everything, then holds what each group's log and its files say to the model.
    func checkReads() throws {
        harness.run()
        guard !harness.files.isCut, harness.failure.value == nil else { return }
        for group in histories.keys.sorted() {
            guard let log = harness.groups[group], let history = histories[group],
                !history.isBusy, let state = history.states.last ?? nil
            else { continue }
            reads += 1
            #expect(history.acknowledged == history.states.count - 1, "all was acknowledged")
            log.adoptSavedSnapshot()
            try state.expectReads(of: log, harness)
        }
    }
}
