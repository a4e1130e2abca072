import Disk
import Model
import NIOCore
import Raft

/// Reads a group's entries from its segments and verifies every byte that it hands out.
///
/// - Thread: any; the calls block on the disk.
struct SegmentReader {
    let view: GroupView
    let files: FileCache

    /// How many rows are read at once.
    private static let rowsAtOnce = 512

    /// One file of a segment.
    private struct Source {
        var path: String
        var key: FileCache.Key
        var files: FileCache

        func open() throws(DiskError) -> any OpenFile { try files.file(path, key) }
    }

    private func source(_ span: GroupView.Span, _ ending: String) -> Source {
        Source(
            path: SegmentPath.of(view.directory, span.first, ending),
            key: FileCache.Key(segment: span.id, ending: ending),
            files: files
        )
    }

    private func damaged(_ path: String, _ reason: String) -> RaftLogError {
        .damaged(path: path, reason: reason)
    }

    /// Verified rows from `index` on, at most `count` and not beyond the segment.
    func rows(
        from index: LogIndex,
        count: Int,
        in span: GroupView.Span
    ) throws(RaftLogError) -> [EntryRow] {
        guard index >= span.first, index <= span.last else { return [] }
        let count = min(count, Int(clamping: span.last - index + 1))
        let source = source(span, "entries")
        let path = source.path
        let bytes = try readingGroup { () throws(DiskError) in
            try source.open().read(
                count * EntryRow.diskBytes,
                at: SegmentPath.rowPosition(index, first: span.first)
            )
        }
        guard bytes.count == count * EntryRow.diskBytes else {
            throw damaged(path, "ends before entry \(index + UInt64(count - 1))")
        }
        var rows: [EntryRow] = []
        rows.reserveCapacity(count)
        for number in 0..<count {
            let entry = index + UInt64(number)
            let slice = bytes[(number * EntryRow.diskBytes)...].prefix(EntryRow.diskBytes)
            let row = slice.withUnsafeBytes {
                EntryRow(verifying: $0, group: view.identity.group, index: entry)
            }
            guard let row else { throw damaged(path, "the row of entry \(entry) is wrong") }
            rows.append(row)
        }
        return rows
    }

    /// The row of one entry.
    func row(at index: LogIndex) throws(RaftLogError) -> EntryRow {
        guard let span = view.span(holding: index) else {
            throw index <= view.start.index ? .compacted : .outOfRange
        }
        return try rows(from: index, count: 1, in: span)[0]
    }

    /// The payload of an entry, verified.
    func payload(
        of row: EntryRow,
        in span: GroupView.Span
    ) throws(RaftLogError) -> Payload {
        guard row.length > 0 else { return .empty }
        let source = source(span, row.flags.contains(.side) ? "side" : "log")
        let path = source.path
        var buffer = ByteBufferAllocator().buffer(capacity: Int(row.length))
        try read(source, row.length, at: row.position, into: &buffer)
        let crc = buffer.withUnsafeReadableBytes { Checksum.crc($0) }
        guard crc == row.payloadCRC else {
            throw damaged(path, "the payload of entry \(row.index) is wrong")
        }
        return try Self.payload(of: row, buffer, path)
    }

    static func payload(
        of row: EntryRow,
        _ buffer: ByteBuffer,
        _ path: String
    ) throws(RaftLogError) -> Payload {
        if row.flags.contains(.side) { return Payload(Array(buffer.readableBytesView)) }
        guard let batch = BatchPayload(batch: buffer) else {
            throw .damaged(path: path, reason: "entry \(row.index) is no record batch")
        }
        return Payload(batch)
    }

    private func read(
        _ source: Source,
        _ count: Int,
        at position: UInt64,
        into buffer: inout ByteBuffer
    ) throws(RaftLogError) {
        var failure: DiskError?
        var filled = 0
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
            do throws(DiskError) {
                let part = UnsafeMutableRawBufferPointer(rebasing: target[..<count])
                filled = try source.open().read(into: part, at: position)
            } catch { failure = error }
            return filled
        }
        if let failure { try readingGroup { () throws(DiskError) in throw failure } }
        guard filled == count else { throw damaged(source.path, "ends early") }
    }

    /// Entries from `from` on, below `to`, as many as fit into `maxBytes`, at least one.
    func entries(
        from: LogIndex,
        to: LogIndex,
        maxBytes: Int
    ) throws(RaftLogError) -> [Entry] {
        var entries: [Entry] = []
        var bytes = 0
        var index = from
        while index < to {
            guard let span = view.span(holding: index) else {
                if !entries.isEmpty { return entries }
                throw index <= view.start.index ? .compacted : .outOfRange
            }
            let count = min(Self.rowsAtOnce, Int(clamping: to - index))
            for row in try rows(from: index, count: count, in: span) {
                bytes += Int(row.length) + Entry.overheadBytes
                if bytes > maxBytes, !entries.isEmpty { return entries }
                let payload = try payload(of: row, in: span)
                entries.append(
                    Entry(term: row.term, index: row.index, type: row.type, payload: payload)
                )
                index = row.index + 1
            }
        }
        return entries
    }

    /// The first entry whose records end after `offset`.
    func row(holding offset: Offset) throws(RaftLogError) -> (EntryRow, GroupView.Span) {
        guard let span = view.span(holding: offset) else { throw .outOfRange }
        // Rows rise in offsets: halve the segment until the first row that ends after it.
        var (low, high) = (span.first, span.last)
        while low < high {
            let middle = low + (high - low) / 2
            let row = try rows(from: middle, count: 1, in: span)
            if row[0].nextOffset > offset { high = middle } else { low = middle + 1 }
        }
        let row = try rows(from: low, count: 1, in: span)[0]
        guard row.nextOffset > offset else { throw .outOfRange }
        return (row, span)
    }

    /// Whole batches that begin with the one holding `from`, all of them before `below`, at most
    /// `maxBytes` but for the first one, of one segment.
    func batches(
        from: Offset,
        below: Offset,
        maxBytes: Int
    ) throws(RaftLogError) -> ByteBuffer {
        guard from < below else { return ByteBuffer() }
        let (first, span) = try row(holding: from)
        var chosen: [EntryRow] = []
        var end = first.position
        var index = first.index
        search: while index <= span.last {
            for row in try rows(from: index, count: Self.rowsAtOnce, in: span) {
                index = row.index + 1
                guard row.isBatch else { continue }
                let size = row.logEnd - first.position
                guard row.nextOffset <= below, chosen.isEmpty || size <= UInt64(maxBytes) else {
                    break search
                }
                chosen.append(row)
                end = row.logEnd
            }
        }
        guard !chosen.isEmpty else { return ByteBuffer() }
        var buffer = ByteBufferAllocator().buffer(capacity: Int(end - first.position))
        let source = source(span, "log")
        try read(source, Int(end - first.position), at: first.position, into: &buffer)
        try verify(buffer, chosen, from: first.position, source.path)
        return buffer
    }

    private func verify(
        _ buffer: ByteBuffer,
        _ rows: [EntryRow],
        from position: UInt64,
        _ path: String
    ) throws(RaftLogError) {
        let wrong = buffer.withUnsafeReadableBytes { bytes -> LogIndex? in
            for row in rows {
                let start = Int(row.position - position)
                let part = UnsafeRawBufferPointer(rebasing: bytes[start..<start + Int(row.length)])
                if Checksum.crc(part) != row.payloadCRC { return row.index }
            }
            return nil
        }
        if let wrong { throw damaged(path, "the batch of entry \(wrong) is wrong") }
    }

    /// Calls `body` with each entry of `from ... to` in order.
    ///
    /// - Parameter headersOnly: hand out at most a batch header (61 bytes), which is only held
    ///   against its row, instead of the whole verified payload.
    func scan(
        from: LogIndex,
        through to: LogIndex,
        headersOnly: Bool,
        _ body: (EntryRow, [UInt8]) -> Void
    ) throws(RaftLogError) {
        var index = from
        while index <= to {
            guard let span = view.span(holding: index) else {
                throw index <= view.start.index ? .compacted : .outOfRange
            }
            let count = min(Self.rowsAtOnce, Int(clamping: to - index + 1))
            let rows = try rows(from: index, count: count, in: span)
            var window = ReadWindow(source: source(span, "log"))
            for row in rows {
                if row.isBatch, headersOnly {
                    let bytes = try window.read(
                        BatchPayload.bytesMin,
                        at: row.position,
                        ahead: row.length < ReadWindow.bytesMax / 16
                    )
                    guard row.agrees(with: bytes) else {
                        throw damaged(
                            window.source.path,
                            "the batch of entry \(row.index) is wrong"
                        )
                    }
                    body(row, bytes)
                } else {
                    body(row, try payload(of: row, in: span).copyBytes())
                }
            }
            index += UInt64(rows.count)
        }
    }

    /// The first row from the beginning on whose largest timestamp is at least `timestamp`.
    func row(at timestamp: Int64) throws(RaftLogError) -> (EntryRow, GroupView.Span)? {
        for span in view.spans {
            var index = max(span.first, view.start.index + 1)
            while index <= span.last {
                let rows = try rows(from: index, count: 4096, in: span)
                if let row = rows.first(where: { $0.isBatch && $0.maxTimestamp >= timestamp }) {
                    return (row, span)
                }
                index += UInt64(rows.count)
            }
        }
        return nil
    }

    /// A stretch of a file that was read ahead, so that small reads in order cost few calls.
    private struct ReadWindow {
        static let bytesMax = 1 << 18
        let source: Source
        private var bytes: [UInt8] = []
        private var start: UInt64 = 0

        init(source: Source) { self.source = source }

        mutating func read(
            _ count: Int,
            at position: UInt64,
            ahead: Bool
        ) throws(RaftLogError) -> [UInt8] {
            let isInside =
                position >= start && position - start + UInt64(count) <= UInt64(bytes.count)
            if !isInside {
                let source = source
                let wanted = ahead ? Self.bytesMax : count
                bytes = try readingGroup { () throws(DiskError) in
                    try source.open().read(wanted, at: position)
                }
                start = position
                guard bytes.count >= count else {
                    throw .damaged(path: source.path, reason: "ends early")
                }
            }
            let place = Int(position - start)
            return Array(bytes[place..<place + count])
        }
    }
}
