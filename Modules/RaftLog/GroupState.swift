import Model
import Raft

/// Everything durable about a group but its payloads: what a checkpoint keeps.
struct GroupState: Equatable, Sendable {
    var identity: GroupIdentity
    var hardState = HardState()
    var confState: ConfState
    /// The last entry whose effect on the members `confState` includes.
    var confIndex: LogIndex = 0
    /// The place before the first entry.
    var start: LogPoint
    /// The place after the last entry.
    var end: LogPoint
    var terms = TermRuns()
    /// The newest snapshot.
    var snapshot: SnapshotMark?
    /// The first indexes of the segments, rising; a segment ends where the next one begins.
    var segments: [LogIndex] = []
    /// Why the log cannot be trusted; nil for a sound one.
    var suspicion: String?

    init(identity: GroupIdentity) {
        self.identity = identity
        confState = ConfState(voters: identity.members.map(\.node))
        let start = LogPoint(index: 0, term: 0, chain: identity.chainStart, nextOffset: 0)
        self.start = start
        end = start
    }

    /// The members and the last entry that they include: as recorded, or of a newer snapshot.
    var newestConfiguration: (ConfState, LogIndex) {
        if let snapshot, snapshot.point.index > confIndex {
            return (snapshot.confState, snapshot.point.index)
        }
        return (confState, confIndex)
    }

    /// Takes an entry at the end, or anywhere before it: then the entries from there on are cut.
    mutating func append(_ row: EntryRow) {
        if row.index <= end.index { terms.cut(from: row.index) }
        terms.append(row)
        end = LogPoint(after: row)
    }

    /// Takes any other change.
    mutating func apply(_ record: WALRecord) {
        switch record {
        case .entry(let row): append(row)
        case .hardState(let state): hardState = state
        case .configuration(let state, let index):
            confState = state
            confIndex = index
        case .prefixTruncated(let point):
            start = point
            terms.drop(through: point)
        case .snapshot(let mark):
            snapshot = mark
            guard mark.replacesLog else { return }
            confState = mark.confState
            confIndex = mark.point.index
            start = mark.point
            end = mark.point
            terms = TermRuns()
        case .created, .tombstone: break
        }
    }

    func write(to writer: inout ByteWriter) {
        identity.write(to: &writer)
        writer.put(hardState.term.rawValue)
        writer.put(hardState.vote.rawValue)
        writer.put(hardState.commit.rawValue)
        confState.write(to: &writer)
        writer.put(confIndex.rawValue)
        start.write(to: &writer)
        end.write(to: &writer)
        writer.put(UInt32(terms.runs.count))
        for run in terms.runs {
            writer.put(run.term.rawValue)
            writer.put(run.firstIndex.rawValue)
            writer.put(run.firstOffset.rawValue)
        }
        writer.put(UInt8(snapshot == nil ? 0 : 1))
        if let snapshot {
            snapshot.point.write(to: &writer)
            snapshot.confState.write(to: &writer)
        }
        writer.put(UInt32(segments.count))
        for first in segments { writer.put(first.rawValue) }
        writer.put(suspicion ?? "")
    }

    init(reading reader: inout ByteReader) throws(FormatError) {
        identity = try GroupIdentity(reading: &reader)
        let term = Term(try reader.take(UInt64.self))
        let vote = NodeID(try reader.take(UInt64.self))
        let commit = LogIndex(try reader.take(UInt64.self))
        hardState = HardState(term: term, vote: vote, commit: commit)
        confState = try ConfState(reading: &reader)
        confIndex = LogIndex(try reader.take(UInt64.self))
        start = try LogPoint(reading: &reader)
        end = try LogPoint(reading: &reader)
        var runs: [TermRun] = []
        for _ in 0..<(try reader.takeCount(bytesMin: 24)) {
            let term = Term(try reader.take(UInt64.self))
            let index = LogIndex(try reader.take(UInt64.self))
            let offset = Offset(try reader.take(Int64.self))
            runs.append(TermRun(term: term, firstIndex: index, firstOffset: offset))
        }
        terms = TermRuns(runs)
        if try reader.take(UInt8.self) == 1 {
            let point = try LogPoint(reading: &reader)
            let conf = try ConfState(reading: &reader)
            snapshot = SnapshotMark(point: point, confState: conf, replacesLog: false)
        }
        for _ in 0..<(try reader.takeCount(bytesMin: 8)) {
            segments.append(LogIndex(try reader.take(UInt64.self)))
        }
        let suspicion = try reader.takeText()
        self.suspicion = suspicion.isEmpty ? nil : suspicion
    }
}
