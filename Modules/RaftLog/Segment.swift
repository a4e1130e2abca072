import Disk
import Model
import Raft
import Synchronization
import Telemetry

/// A segment while it is written to: its open files and how far they are filled and reserved.
///
/// - Thread: the writer's only.
final class Segment {
    /// The place before the first entry.
    let before: LogPoint
    /// The last entry; `first - 1` when there is none.
    private(set) var last: LogIndex
    /// Distinguishes this segment from an earlier one of the same name.
    let id: UInt64
    /// Whether there may be files whose names no sync of the directory has made durable: at first
    /// always, for a process that was killed may have made them.
    var hasNewFiles = true
    /// Whether entries were cut off its end: then it never grows again.
    private(set) var isCut = false
    /// Whether it holds bytes that no sync has made durable.
    var isDirty = false
    private let directory: String
    private(set) var logBytes: UInt64
    private var sideBytes: UInt64
    private var log: Reserved?
    private var rows: Reserved?
    private var side: Reserved?

    private static let ids = Atomic<UInt64>(0)

    /// A file and how much of it is reserved.
    private struct Reserved {
        let file: any OpenFile
        var bytes: UInt64
    }

    /// Continues a segment whose files are filled up to the given places.
    init(
        before: LogPoint,
        last: LogIndex,
        directory: String,
        logBytes: UInt64,
        sideBytes: UInt64
    ) {
        id = Self.ids.add(1, ordering: .relaxed).newValue
        self.before = before
        self.last = last
        self.directory = directory
        self.logBytes = logBytes
        self.sideBytes = sideBytes
    }

    /// Creates a segment after `header.before`; files of that name are dead and are emptied.
    static func create(
        _ header: SegmentHeader,
        in directory: String,
        _ files: any FileStore
    ) throws(DiskError) -> Segment {
        let first = header.before.index + 1
        let segment = Segment(
            before: header.before,
            last: header.before.index,
            directory: directory,
            logBytes: 0,
            sideBytes: 0
        )
        for ending in SegmentPath.endings {
            let path = SegmentPath.of(directory, first, ending)
            guard files.kind(of: path) == .file else { continue }
            try files.open(path, .write).truncate(to: 0)
        }
        let path = SegmentPath.of(directory, first, "entries")
        let file = try files.open(path, .create)
        try file.write(header.encoded(SegmentHeader.rowsMagic), at: 0)
        segment.rows = Reserved(file: file, bytes: 0)
        return segment
    }

    /// The first entry.
    var first: LogIndex { before.index + 1 }

    /// What readers need to know of it.
    var span: GroupView.Span {
        GroupView.Span(first: first, last: last, firstOffset: before.nextOffset, id: id)
    }

    /// The files that were written to and not given up since.
    var openFiles: [any OpenFile] { [log?.file, rows?.file, side?.file].compactMap { $0 } }

    /// Forgets the entries from `index` on.
    func cut(from index: LogIndex) {
        precondition(index > first && index <= last, "a cut at \(index) of \(first)...\(last)")
        last = index - 1
        isCut = true
    }

    /// Lets go of the open files; the next write opens them again.
    func closeFiles() {
        log = nil
        rows = nil
        side = nil
    }

    /// Writes consecutive entries after the last one and sets their rows' positions.
    func append(_ entries: inout ArraySlice<LoggedEntry>, _ context: SegmentContext)
        throws(DiskError)
    {
        precondition(entries.first?.row.index == last + 1, "a gap in segment \(first)")
        context.batches.reset()
        let start = logBytes
        for place in entries.indices {
            if entries[place].row.flags.contains(.side) {
                entries[place].row.position = try writeSide(entries[place], context)
            } else {
                // An entry without payload remembers where the batches end.
                entries[place].row.position = start + UInt64(context.batches.byteCount)
                context.batches.add(entries[place].payload)
            }
        }
        if context.batches.byteCount > 0 {
            let end = start + UInt64(context.batches.byteCount)
            let file = try open(&log, "log", upTo: end, context, stepMin: context.stepBytesMin)
            context.parts.removeAll(keepingCapacity: true)
            context.batches.collect(into: &context.parts)
            try file.writeBulk(context.parts, at: start)
            context.segmentBytes.add(context.batches.byteCount)
            logBytes = end
        }
        try writeRows(entries, context)
        last = last + UInt64(entries.count)
    }

    private func writeRows(
        _ entries: ArraySlice<LoggedEntry>,
        _ context: SegmentContext
    ) throws(DiskError) {
        context.rows.reset()
        for entry in entries {
            let target = context.rows.extend(by: EntryRow.diskBytes)
            entry.row.store(to: target, group: context.header.group)
        }
        let position = SegmentPath.rowPosition(last + 1, first: first)
        let end = position + UInt64(context.rows.count)
        let file = try open(&rows, "entries", upTo: end, context, stepMin: 4096)
        try file.write(
            [UnsafeRawBufferPointer(start: context.rows.base, count: context.rows.count)],
            at: position
        )
    }

    private func writeSide(
        _ entry: LoggedEntry,
        _ context: SegmentContext
    ) throws(DiskError) -> UInt64 {
        if sideBytes == 0 {
            let file = try open(&side, "side", upTo: 0, context, stepMin: 0)
            try file.write(context.header.encoded(SegmentHeader.sideMagic), at: 0)
            sideBytes = UInt64(SegmentHeader.bytes)
        }
        let file = try open(&side, "side", upTo: 0, context, stepMin: 0)
        let position = sideBytes
        try file.write(entry.payload.copyBytes(), at: position)
        sideBytes += UInt64(entry.payload.count)
        return position
    }

    /// Opens a file if need be and reserves space, so that few writes extend it.
    private func open(
        _ slot: inout Reserved?,
        _ ending: String,
        upTo end: UInt64,
        _ context: SegmentContext,
        stepMin: UInt64
    ) throws(DiskError) -> any OpenFile {
        if slot == nil {
            let path = SegmentPath.of(directory, first, ending)
            let file = try context.files.open(path, .create)
            let bytes = try file.size()
            if bytes == 0 { hasNewFiles = true }
            slot = Reserved(file: file, bytes: bytes)
        }
        guard var reserved = slot else { preconditionFailure("just opened") }
        if end > reserved.bytes, stepMin > 0 {
            let step = min(max(reserved.bytes, stepMin), context.stepBytesMax)
            let target = max(end, reserved.bytes + step)
            try reserved.file.allocate(from: reserved.bytes, to: target)
            reserved.bytes = target
        }
        slot = reserved
        return reserved.file
    }

    /// Cuts what lies behind the last entry of a segment that no longer grows.
    static func trim(
        _ span: GroupView.Span,
        in directory: String,
        group: RaftGroupID,
        _ files: any FileStore
    ) throws(DiskError) {
        let path = SegmentPath.of(directory, span.first, "entries")
        guard files.kind(of: path) == .file, span.last >= span.first else { return }
        let rows = try files.open(path, .write)
        let position = SegmentPath.rowPosition(span.last, first: span.first)
        let bytes = try rows.read(EntryRow.diskBytes, at: position)
        let end = position + UInt64(EntryRow.diskBytes)
        if try rows.size() > end { try rows.truncate(to: end) }
        let last = bytes.withUnsafeBytes {
            EntryRow(verifying: $0, group: group, index: span.last)
        }
        let logPath = SegmentPath.of(directory, span.first, "log")
        // A row of the side file does not say where the batches end: then nothing is cut.
        guard let last, !last.flags.contains(.side), files.kind(of: logPath) == .file else {
            return
        }
        let log = try files.open(logPath, .write)
        if try log.size() > last.logEnd { try log.truncate(to: last.logEnd) }
    }
}

/// What the writer lends a segment while it is written to.
final class SegmentContext {
    let files: any FileStore
    let stepBytesMin: UInt64
    let stepBytesMax: UInt64
    var header: SegmentHeader
    let batches: PartsBuilder
    let rows = Scratch()
    var parts: [UnsafeRawBufferPointer] = []
    let segmentBytes: CounterMetric

    init(files: any FileStore, options: RaftLogOptions, header: SegmentHeader) {
        self.files = files
        self.header = header
        stepBytesMin = UInt64(options.segmentStepBytesMin)
        stepBytesMax = UInt64(options.segmentStepBytesMax)
        batches = PartsBuilder(copiedBytesMax: options.copiedPayloadBytesMax)
        segmentBytes = options.metrics.segmentBytes
    }
}
