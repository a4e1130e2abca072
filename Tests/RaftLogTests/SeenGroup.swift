import Disk
import Model
import NIOCore
import Raft
import Testing

@testable import RaftLog

/// What can be seen of one entry.
struct SeenEntry: Equatable {
    var term: Term
    var index: LogIndex
    var baseOffset: Offset
    var nextOffset: Offset
    var chain: UInt64
    var bytes: [UInt8]

    init(_ row: EntryRow, _ bytes: [UInt8]) {
        term = row.term
        index = row.index
        baseOffset = row.baseOffset
        nextOffset = row.nextOffset
        chain = row.chain
        self.bytes = bytes
    }
}

/// What can be seen of one group.
struct SeenGroup: Equatable {
    var node: NodeID
    var term: Term
    var vote: NodeID
    var start: LogIndex
    var entries: [SeenEntry]

    init(node: NodeID, term: Term, vote: NodeID, start: LogIndex, entries: [SeenEntry]) {
        self.node = node
        self.term = term
        self.vote = vote
        self.start = start
        self.entries = entries
    }

    /// Reads a group from its segments, every byte.
    init(reading log: GroupLog, _ harness: Harness) throws {
        var entries: [SeenEntry] = []
        if log.lastIndex >= log.firstIndex {
            try harness.directory.scan(
                log.identity.group,
                from: log.firstIndex,
                to: log.lastIndex,
                headersOnly: false
            ) { row, bytes in
                entries.append(SeenEntry(row, bytes))
            }
        }
        self.init(
            node: log.identity.node,
            term: log.hardState.term,
            vote: log.hardState.vote,
            start: log.firstIndex - 1,
            entries: entries
        )
    }

    /// Whether a recovered group is this one, which may have lost a prefix to a snapshot.
    func matches(_ recovered: SeenGroup) -> Bool {
        guard node == recovered.node, term == recovered.term, vote == recovered.vote,
            start <= recovered.start
        else { return false }
        let kept = entries.drop { $0.index <= recovered.start }
        guard kept.elementsEqual(recovered.entries) else { return false }
        // Either the entries go on or the last one is included in the prefix that went.
        return kept.isEmpty
            ? (entries.last?.index ?? start) == recovered.start
            : kept.first?.index == recovered.start + 1
    }

    /// Reads entries, batches and times from disk and expects what the model has.
    func expectReads(of log: GroupLog, _ harness: Harness) throws {
        let kept = entries.drop { $0.index < log.firstIndex }
        let group = log.identity.group
        #expect(log.lastIndex == entries.last?.index ?? start)
        let read = try harness.readAll(log)
        #expect(read.map(\.index) == kept.map(\.index))
        #expect(read.map(\.term) == kept.map(\.term))
        #expect(read.map { $0.payload.copyBytes() } == kept.map(\.bytes))
        let batches = kept.filter { $0.nextOffset > $0.baseOffset }
        guard let first = batches.first, let last = batches.last else { return }
        var bytes: [UInt8] = []
        var offset = first.baseOffset
        while offset < last.nextOffset {
            let done = Box<Result<ByteBuffer, RaftLogError>>()
            harness.directory.readBatches(
                group,
                from: offset,
                below: last.nextOffset,
                maxBytes: 900
            ) { done.set($0) }
            harness.run()
            guard let buffer = try done.value?.get(), buffer.readableBytes > 0 else { break }
            bytes += Array(buffer.readableBytesView)
            guard let next = batches.first(where: { $0.nextOffset > offset }) else { break }
            offset = next.baseOffset
            var left = buffer.readableBytes
            for batch in batches where batch.baseOffset >= next.baseOffset && left > 0 {
                left -= batch.bytes.count
                offset = batch.nextOffset
            }
            #expect(left == 0, "whole batches end to end")
        }
        #expect(bytes == batches.flatMap(\.bytes), "group \(group): the batches end to end")
        let time = Box<Result<(offset: Offset, timestamp: Int64)?, RaftLogError>>()
        harness.directory.offset(at: 0, of: group) { time.set($0) }
        harness.run()
        #expect(try time.value?.get()?.offset == first.baseOffset)
    }
}

extension Scenario {
    /// Holds a recovered directory to the model: each group is in a state that was submitted, and
    /// not in an earlier one than the last that was acknowledged.
    func check(_ recovered: Harness, _ comment: String) throws {
        #expect(recovered.directory.damage == nil, "\(comment)")
        for group in histories.keys.sorted() {
            guard let history = histories[group] else { continue }
            let log = recovered.groups[group]
            #expect(log?.suspicion == nil, "\(comment): group \(group)")
            guard log?.suspicion == nil else { continue }
            let seen = try log.map { try SeenGroup(reading: $0, recovered) }
            if !history.allows(seen, from: history.acknowledged) {
                let old = history.states.indices.last {
                    history.allows(seen, from: $0) && !history.allows(seen, from: $0 + 1)
                }
                Issue.record(
                    """
                    \(comment): group \(group), acknowledged \(history.acknowledged) of \
                    \(history.states.count - 1): recovered state \(old ?? -1) with \
                    \(seen?.entries.count ?? -1) entries after \(seen?.start ?? 0), \
                    term \(seen?.term ?? 0), node \(seen?.node ?? NodeID.none)
                    """
                )
            }
            if let log { try check(log, history, recovered, comment) }
        }
        try checkFiles(recovered, comment)
    }

    private func check(
        _ log: GroupLog,
        _ history: History,
        _ recovered: Harness,
        _ comment: String
    ) throws {
        let group = log.identity.group
        #expect(log.hardState.commit <= log.lastIndex, "\(comment): group \(group)")
        guard log.identity.node == Harness.identity(0, incarnation: history.incarnation).node
        else { return }
        #expect(log.hardState.commit <= history.commit, "\(comment): group \(group)")
        let snapshot = try recovered.directory.loadSnapshot(group)
        let index = snapshot?.metadata.index ?? 0
        #expect(index >= history.savedSnapshot, "\(comment): group \(group)'s snapshot")
        #expect(index >= log.firstIndex - 1, "\(comment): group \(group) begins after its snapshot")
        if let snapshot {
            let bytes = snapshot.data.copyBytes()
            #expect(history.snapshots[index] == bytes, "\(comment): group \(group)'s snapshot")
        }
    }

    /// What is gone is gone from the disk too, and nothing else lies about.
    private func checkFiles(_ recovered: Harness, _ comment: String) throws {
        let root = Harness.root
        let living = Set(recovered.groups.values.map(\.identity.directoryName))
        let names = try recovered.files.list("\(root)/partitions")
        #expect(Set(names).isSubset(of: living), "\(comment)")
        let wal = try recovered.files.list("\(root)/wal")
        #expect(wal.count <= max(2, recovered.options.walFilesMax), "\(comment): \(wal)")
        for name in wal {
            let bytes = recovered.files.contents(of: "\(root)/wal/\(name)")
            #expect(bytes?.count == recovered.options.walFileBytes, "\(comment): \(name)")
        }
        for log in recovered.groups.values where log.suspicion == nil {
            let directory = "\(root)/partitions/\(log.identity.directoryName)"
            guard recovered.files.kind(of: directory) != nil else { continue }
            let known = try #require(recovered.directory.writer.store(of: log.identity.group))
            let firsts = Set(known.state.segments)
            for name in try recovered.files.list(directory) {
                let isKnown = SegmentPath.first(in: name).map(firsts.contains)
                let snapshot = known.state.snapshot.map { SnapshotFile.name($0.point.index) }
                #expect(isKnown ?? (name == snapshot), "\(comment): \(directory)/\(name)")
            }
        }
    }
}

extension Scenario.History {
    /// Whether one of the states from a place on is the one that was found.
    func allows(_ seen: SeenGroup?, from place: Int) -> Bool {
        guard place < states.count else { return false }
        return states[place...].contains { state in
            guard let state, let seen else { return state == nil && seen == nil }
            return state.matches(seen)
        }
    }
}
