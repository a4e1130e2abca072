import Disk
import Model
import NIOCore
import Raft

/// Something in a data directory that is not as it was written.
public struct LogProblem: Equatable, Sendable, CustomStringConvertible {
    /// The group that it concerns; nil when it concerns the whole directory.
    public let group: RaftGroupID?
    /// The entry that it concerns, if it is one.
    public let index: LogIndex?
    /// What was found.
    public let text: String

    init(group: RaftGroupID? = nil, index: LogIndex? = nil, _ text: String) {
        self.group = group
        self.index = index
        self.text = text
    }

    init(group: RaftGroupID? = nil, index: LogIndex? = nil, _ error: RaftLogError) {
        let text =
            switch error {
            case .damaged(let path, let reason): "\(path): \(reason)"
            case .disk(let error): "\(error)"
            default: "\(error)"
            }
        self.init(group: group, index: index, text)
    }

    /// `entry 7: what was found`.
    public var description: String { index.map { "entry \($0): \(text)" } ?? text }
}

/// One group as its data directory describes it.
public struct InspectedGroup: Sendable {
    /// Which group, and which of its replicas.
    public let identity: GroupIdentity
    /// Term, vote and commit index.
    public let hardState: HardState
    /// The members.
    public let confState: ConfState
    /// The place before the first entry.
    public let start: LogPoint
    /// The place after the last entry.
    public let end: LogPoint
    /// Why the daemon would not trust the log; nil for a sound one.
    public let suspicion: String?

    /// The first entry's index, whether there is one or not.
    public var firstIndex: LogIndex { start.index + 1 }
    /// The last entry's index.
    public var lastIndex: LogIndex { end.index }
    /// The offset that the next record takes.
    public var nextOffset: Offset { end.nextOffset }
    /// The last entry that is both committed and here.
    public var lastCommitted: LogIndex { min(hardState.commit, end.index) }

    /// Up to here entries are read from segments, after that from the write-ahead log.
    let trusted: LogIndex
    let entries: [WALEntry]
    let reader: SegmentReader

    init(_ folded: FoldedGroup, directory: String, files: any FileStore) {
        let state = folded.state
        identity = state.identity
        hardState = state.hardState
        confState = state.confState
        start = state.start
        end = state.end
        suspicion = state.suspicion
        trusted = max(folded.trusted, state.start.index)
        entries = folded.entries
        var spans: [GroupView.Span] = []
        let firsts = state.segments.filter { $0 <= folded.trusted }
        for (number, first) in firsts.enumerated() {
            let last = number + 1 < firsts.count ? firsts[number + 1] - 1 : folded.trusted
            guard last > state.start.index else { continue }
            spans.append(
                GroupView.Span(first: first, last: last, firstOffset: 0, id: UInt64(number))
            )
        }
        reader = SegmentReader(
            view: GroupView(
                identity: state.identity,
                directory: directory,
                start: state.start,
                spans: spans,
                written: state.end,
                snapshot: state.snapshot
            ),
            files: FileCache(files: files, countMax: 8)
        )
    }
}

/// Reads a data directory and writes nothing: no lock is taken, nothing is recovered.
///
/// It sees what a daemon would recover: the write-ahead log folded over the last checkpoint, and
/// the segments as far as the checkpoint vouches for them. A running daemon may go on meanwhile;
/// then this is the state of a moment, and what the daemon overwrites since reads as damaged:
/// ``verify(_:problemsMax:)`` looks again before it says so.
///
/// - Thread: any; the calls block on the disk.
public struct LogInspector: Sendable {
    /// The directory.
    public let path: String
    /// Its identity.
    public let directoryID: DirectoryID
    /// The cluster that it belongs to; nil before it belongs to one.
    public let cluster: ClusterID?
    /// Its groups in order.
    public let groups: [InspectedGroup]
    /// What is wrong with the directory as a whole.
    public let problems: [LogProblem]

    let files: any FileStore
    private let wal: [WALScanner.File]
    private let moment: Moment

    /// What a daemon that goes on changes.
    private struct Moment: Equatable {
        var checkpoint: UInt64
        var end: WALPosition
    }

    /// How often a directory that changes while it is read is read again.
    private static let attemptsMax = 5

    /// Reads what is known about all groups; payloads and old rows are read when asked for.
    ///
    /// - Throws: what makes the whole directory unreadable.
    public static func open(
        _ path: String,
        files: any FileStore
    ) throws(RaftLogError) -> LogInspector {
        for _ in 1..<attemptsMax {
            do throws(RaftLogError) {
                let inspector = try LogInspector(path, files)
                // With the checkpoint still the newest, no WAL file was used again meanwhile.
                let now = try Checkpoint.read(from: path, inspector.directoryID, files)
                if now?.sequence == inspector.moment.checkpoint { return inspector }
            } catch {
                if case .notADataDirectory = error { throw error }
            }
        }
        return try LogInspector(path, files)
    }

    private init(_ path: String, _ files: any FileStore) throws(RaftLogError) {
        guard let directory = try DataDirectory.read(path, files) else {
            throw .notADataDirectory(path: path)
        }
        // Before the log is read: whatever has a directory then has a record in the log.
        let names = try reading { () throws(DiskError) in try files.list("\(path)/partitions") }
        guard let checkpoint = try Checkpoint.read(from: path, directory.id, files) else {
            throw .missingHardState(path: "\(path)/\(Checkpoint.names[0])")
        }
        var fold = LogFold(checkpoint)
        var problems: [LogProblem] = []
        let (wal, end) = try Self.scan(path, directory.id, checkpoint.replayFrom, files, &fold)
        switch end {
        case .tail(let place): moment = Moment(checkpoint: checkpoint.sequence, end: place)
        case .hole(let place):
            moment = Moment(checkpoint: checkpoint.sequence, end: place)
            problems.append(
                LogProblem(
                    "the write-ahead log is damaged at file \(place.file), byte \(place.position)"
                )
            )
        }
        do throws(RaftLogError) { try fold.finish(end) } catch { problems.append(.init(error)) }
        let folded = fold.groups.values.sorted { $0.state.identity.group < $1.state.identity.group }
        let dead = Set(fold.tombstones.map(\.directoryName))
        let living = Set(folded.map(\.state.identity.directoryName))
        for name in names where !living.contains(name) && !dead.contains(name) {
            let folder = "\(path)/partitions/\(name)"
            guard !name.hasPrefix("deleted-"), files.kind(of: folder) != nil else { continue }
            problems.append(LogProblem("\(folder) belongs to no group"))
        }
        self.path = path
        self.files = files
        self.wal = wal
        self.problems = problems
        directoryID = directory.id
        cluster = directory.cluster
        groups = folded.map {
            let folder = "\(path)/partitions/\($0.state.identity.directoryName)"
            return InspectedGroup($0, directory: folder, files: files)
        }
    }

    /// Folds the write-ahead log's frames.
    private static func scan(
        _ path: String,
        _ id: DirectoryID,
        _ start: WALPosition,
        _ files: any FileStore,
        _ fold: inout LogFold
    ) throws(RaftLogError) -> ([WALScanner.File], WALEnd) {
        let found = try WALScanner.open("\(path)/wal", id, files, syncs: false)
        var place = start
        while true {
            var scanner = WALScanner(files: found, id: id, from: place)
            while let frame = try scanner.next() {
                try fold.take(frame, path: scanner.files[frame.file].file.path)
            }
            guard let end = scanner.end else { preconditionFailure("the scan has not ended") }
            // What was half written when it was read is no hole: it is whole by now.
            guard case .hole(let hole) = end, hole != place else { return (scanner.files, end) }
            place = hole
        }
    }

    /// A group, if the directory has it.
    public func group(_ id: RaftGroupID) -> InspectedGroup? {
        groups.first { $0.identity.group == id }
    }

    /// Rows of a group from `index` on, at least one and at most `count`.
    public func rows(
        of group: InspectedGroup,
        from index: LogIndex,
        count: Int
    ) throws(RaftLogError) -> [EntryRow] {
        guard index > group.start.index else { throw .compacted }
        guard index <= group.end.index, count > 0 else { throw .outOfRange }
        if index > group.trusted {
            let place = Int(clamping: index - group.trusted - 1)
            guard place < group.entries.count else { throw missing(index, group) }
            return group.entries[place...].prefix(count).map(\.row)
        }
        guard let span = group.reader.view.span(holding: index) else {
            throw missing(index, group)
        }
        return try group.reader.rows(from: index, count: count, in: span)
    }

    /// The payload of an entry as it is stored, its checksum verified.
    public func payload(
        of row: EntryRow,
        in group: InspectedGroup
    ) throws(RaftLogError) -> [UInt8] {
        if row.index > group.trusted {
            let place = Int(clamping: row.index - group.trusted - 1)
            guard place < group.entries.count else { throw missing(row.index, group) }
            return try Recovery.payload(of: group.entries[place], wal).copyBytes()
        }
        guard let span = group.reader.view.span(holding: row.index) else {
            throw missing(row.index, group)
        }
        return try group.reader.payload(of: row, in: span).copyBytes()
    }

    private func missing(_ index: LogIndex, _ group: InspectedGroup) -> RaftLogError {
        .damaged(path: group.reader.view.directory, reason: "no file holds entry \(index)")
    }

    /// The directory as it is now; nil when nothing has changed.
    func later() -> LogInspector? {
        guard let now = try? Self.open(path, files: files), now.moment != moment else { return nil }
        return now
    }
}
