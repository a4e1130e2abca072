import Disk
import Model
import Raft
import Synchronization

/// A snapshot in its file, and where the log begins since then.
struct SavedSnapshot: Sendable {
    var snapshot: Snapshot
    var start: LogPoint
}

/// One group on the writer's side: durable state, entries on their way to segments, segments.
///
/// `@unchecked Sendable`: everything but ``view`` is touched on the writer's executor only (or,
/// during recovery and before any executor runs, by the one thread that opens the directory).
final class GroupStore: @unchecked Sendable {
    /// What readers see.
    let view: Mutex<GroupView>
    /// A snapshot that was saved and that the group's log has not heard of yet.
    let savedSnapshot = Mutex<SavedSnapshot?>(nil)
    private let hasSavedSnapshot = Atomic(false)
    let directory: String
    private(set) var state: GroupState
    /// Whether the record that created the group is durable.
    private(set) var isCreated: Bool
    /// Whether the group's directory exists.
    private(set) var hasDirectory: Bool
    private var segments: [Segment]
    private var pending: [LoggedEntry] = []
    /// The place before the first of `pending`.
    private var pendingBefore: LogPoint
    /// A commit index that goes along with the frame that is being built.
    var lazyHardState: HardState?
    /// The newest snapshot that was put into a frame, durable or not.
    private(set) var framedSnapshot: LogIndex
    /// Whether the tombstone was put into a frame: nothing may follow it.
    private(set) var isEnded = false
    /// Whether the writer knows that something is pending.
    var isWaiting = false
    /// What `pending` would take in a frame.
    private(set) var pendingBytes = 0
    /// The place after the last entry in the segments.
    private var written: LogPoint
    /// Segments that are worthless, until the next checkpoint begins.
    private var dead: Set<LogIndex> = []
    /// Segments that no longer grow and hold unused space, until the next checkpoint begins.
    private var untrimmed: Set<LogIndex> = []
    /// Both, as of the checkpoint that is under way.
    private var condemned: (dead: Set<LogIndex>, untrimmed: Set<LogIndex>) = ([], [])
    /// Snapshots that a newer one replaced, until the next checkpoint ends.
    private var staleSnapshots: [LogIndex] = []

    init(
        state: GroupState,
        segments: [Segment] = [],
        written: LogPoint? = nil,
        directory: String,
        isCreated: Bool,
        hasDirectory: Bool,
        isCut: Bool = false
    ) {
        self.state = state
        framedSnapshot = max(state.snapshot?.point.index ?? 0, state.start.index)
        self.segments = segments
        self.written = written ?? state.end
        self.pendingBefore = self.written
        self.directory = directory
        self.isCreated = isCreated
        self.hasDirectory = hasDirectory
        view = Mutex(
            GroupView(
                identity: state.identity,
                directory: directory,
                start: state.start,
                spans: [],
                written: self.written
            )
        )
        if isCut, let last = segments.last { untrimmed.insert(last.first) }
        segmentsChanged()
    }

    /// A store of a damaged group: it keeps what is known, reads what can be read, writes nothing.
    init(suspect state: GroupState, trusted: LogIndex, directory: String, hasDirectory: Bool) {
        self.state = state
        framedSnapshot = max(state.snapshot?.point.index ?? 0, state.start.index)
        self.segments = []
        self.written = state.end
        self.pendingBefore = state.end
        self.directory = directory
        self.isCreated = true
        self.hasDirectory = hasDirectory
        var spans: [GroupView.Span] = []
        for (number, first) in state.segments.enumerated() {
            let isLast = number + 1 == state.segments.count
            let last = isLast ? trusted : state.segments[number + 1] - 1
            spans.append(GroupView.Span(first: first, last: last, firstOffset: 0))
        }
        view = Mutex(
            GroupView(
                identity: state.identity,
                directory: directory,
                start: state.start,
                spans: spans,
                written: state.end,
                snapshot: state.snapshot
            )
        )
    }

    /// Leaves a saved snapshot and the log's new beginning for the group's log to find.
    func publish(_ snapshot: Snapshot, start: LogPoint) {
        savedSnapshot.withLock { $0 = SavedSnapshot(snapshot: snapshot, start: start) }
        hasSavedSnapshot.store(true, ordering: .releasing)
    }

    /// Takes what ``publish(_:start:)`` left; any thread.
    func takeSavedSnapshot() -> SavedSnapshot? {
        guard hasSavedSnapshot.load(ordering: .acquiring) else { return nil }
        return savedSnapshot.withLock { saved in
            defer { saved = nil }
            hasSavedSnapshot.store(false, ordering: .releasing)
            return saved
        }
    }

    /// Learns which records were put into the frame that is being built.
    func framed(_ records: [WALRecord]) {
        for record in records {
            switch record {
            // Term and vote are newer than those that waited with a commit index.
            case .hardState: lazyHardState = nil
            case .snapshot(let mark): framedSnapshot = max(framedSnapshot, mark.point.index)
            case .tombstone: isEnded = true
            default: break
            }
        }
    }

    /// Takes a durable entry; it reaches its segment with the next ``flush(_:)``.
    ///
    /// - Parameter before: the place before it, which must be given when it cuts the log.
    func append(_ entry: LoggedEntry, before: LogPoint?) {
        let index = entry.row.index
        precondition(index <= state.end.index + 1, "a gap before entry \(index)")
        if index <= state.end.index {
            while let last = pending.last, last.row.index >= index {
                pendingBytes -= FrameBuilder.bytes(of: last)
                pending.removeLast()
            }
        }
        if pending.isEmpty {
            guard let place = index == written.index + 1 ? written : before else {
                preconditionFailure("entry \(index) cuts the log without its place")
            }
            pendingBefore = place
        }
        state.append(entry.row)
        pending.append(entry)
        pendingBytes += FrameBuilder.bytes(of: entry)
    }

    /// Takes any other durable change.
    func apply(_ record: WALRecord) {
        if case .snapshot = record, let old = state.snapshot {
            staleSnapshots.append(old.point.index)
        }
        state.apply(record)
        switch record {
        case .created: isCreated = true
        case .snapshot(let mark) where mark.replacesLog:
            pending = []
            pendingBytes = 0
            dead.formUnion(segments.map(\.first))
            segments = []
            written = mark.point
            segmentsChanged()
        case .prefixTruncated(let point):
            while segments.count > 1, segments[0].last <= point.index {
                dead.insert(segments[0].first)
                segments.removeFirst()
            }
            segmentsChanged()
        case .snapshot: segmentsChanged()
        default: break
        }
    }

    /// The place before the oldest segment that holds something that a snapshot at `index` does
    /// not include; everything before it may go.
    func placeToCut(after index: LogIndex) -> LogPoint {
        var place = state.start
        for segment in segments where segment.before.index <= index {
            if segment.before.index > place.index { place = segment.before }
        }
        return place
    }

    /// Writes what waits into segments.
    func flush(_ writer: SegmentWriter) throws(DiskError) {
        guard !pending.isEmpty else { return }
        var entries = pending[...]
        pending = []
        pendingBytes = 0
        var before = pendingBefore
        while let next = entries.first {
            if next.row.index <= written.index { cut(from: next.row.index) }
            let segment = try segment(after: before, writer)
            let count = countFitting(entries, segment, writer)
            var run = entries.prefix(count)
            entries = entries.dropFirst(count)
            writer.context.header = header(writer, before: before)
            try segment.append(&run, writer.context)
            writer.markDirty(segment, in: directory)
            if let row = run.last?.row { before = LogPoint(after: row) }
            written = before
        }
        pendingBefore = written
        viewWritten()
    }

    /// The segment that takes the entry after a place.
    private func segment(
        after before: LogPoint,
        _ writer: SegmentWriter
    ) throws(DiskError) -> Segment {
        if let last = segments.last, last.last == before.index {
            // A segment is sealed only when its last entry is committed, and after a cut the log
            // goes on in a new file.
            let isOpen =
                last.logBytes < writer.segmentBytesMax || last.last > state.hardState.commit
            let isCut = last.isCut || untrimmed.contains(last.first)
            if isOpen, !isCut, !condemned.untrimmed.contains(last.first) { return last }
            untrimmed.insert(last.first)
        }
        try makeDirectory(writer)
        let header = header(writer, before: before)
        let segment = try Segment.create(header, in: directory, writer.context.files)
        dead.remove(segment.first)
        condemned.dead.remove(segment.first)
        untrimmed.remove(segment.first)
        condemned.untrimmed.remove(segment.first)
        segments.append(segment)
        segmentsChanged()
        return segment
    }

    /// Makes the group's directory, if it is not there yet.
    func makeDirectory(_ writer: SegmentWriter) throws(DiskError) {
        guard !hasDirectory else { return }
        try writer.makeGroupDirectory(directory)
        hasDirectory = true
    }

    private func cut(from index: LogIndex) {
        while let segment = segments.last, segment.first >= index {
            dead.insert(segment.first)
            segments.removeLast()
        }
        if let segment = segments.last, segment.last >= index {
            segment.cut(from: index)
            untrimmed.insert(segment.first)
        }
        segmentsChanged()
    }

    /// How many entries go into a segment at once: all, unless it gets full in between.
    private func countFitting(
        _ entries: ArraySlice<LoggedEntry>,
        _ segment: Segment,
        _ writer: SegmentWriter
    ) -> Int {
        var bytes = segment.logBytes
        var count = 0
        for entry in entries {
            if bytes >= writer.segmentBytesMax, count > 0,
                segment.last + UInt64(count) <= state.hardState.commit
            {
                break
            }
            bytes += UInt64(entry.row.length)
            count += 1
        }
        return count
    }

    private func header(_ writer: SegmentWriter, before: LogPoint) -> SegmentHeader {
        SegmentHeader(cluster: writer.cluster, identity: state.identity, before: before)
    }

    private func segmentsChanged() {
        state.segments = segments.map(\.first)
        let spans = segments.map(\.span)
        view.withLock { view in
            view.start = state.start
            view.written = written
            view.spans = spans
            view.snapshot = state.snapshot
        }
    }

    private func viewWritten() {
        view.withLock { view in
            view.written = written
            guard let segment = segments.last, !view.spans.isEmpty else { return }
            view.spans[view.spans.count - 1].last = segment.last
        }
    }

    // MARK: Checkpoints

    /// A checkpoint begins: what is worthless by now may go once it is durable.
    func beginCheckpoint() {
        condemned = (dead, untrimmed)
        dead = []
        untrimmed = []
    }

    /// The checkpoint is durable: removes and cuts what was worthless when it began.
    func endCheckpoint(_ files: any FileStore) throws(DiskError) {
        for first in condemned.dead.sorted() {
            for ending in SegmentPath.endings {
                try files.remove(SegmentPath.of(directory, first, ending))
            }
        }
        for index in staleSnapshots where index != state.snapshot?.point.index {
            try files.remove("\(directory)/\(SnapshotFile.name(index))")
        }
        staleSnapshots = []
        for segment in segments where condemned.untrimmed.contains(segment.first) {
            try Segment.trim(segment.span, in: directory, group: state.identity.group, files)
        }
        condemned = ([], [])
    }
}
