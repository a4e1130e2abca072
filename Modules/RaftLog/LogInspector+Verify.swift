import Disk
import Model
import Raft
import RecordBatch

/// What a look at every byte of a group's log has shown.
public struct VerifiedGroup: Sendable {
    /// The group, as it was when it was verified.
    public let group: InspectedGroup
    /// How many entries were looked at.
    public let entryCount: Int
    /// How many bytes of payloads they have.
    public let payloadBytes: UInt64
    /// What is wrong; empty for a sound log.
    public let problems: [LogProblem]
}

extension LogInspector {
    /// Verifies every row, payload and batch of a group and the running hash over them.
    ///
    /// What looks wrong while a daemon writes to the directory is looked at again; segments are
    /// verified as far as the checkpoint vouches for them, the rest is what the WAL has.
    ///
    /// - Parameter problemsMax: after so many the search is given up.
    public func verify(_ group: InspectedGroup, problemsMax: Int = 20) -> VerifiedGroup {
        var (inspector, group) = (self, group)
        for attempt in 1... {
            var verifier = GroupVerifier(inspector, group, problemsMax: max(1, problemsMax))
            let found = verifier.run()
            guard !found.problems.isEmpty, attempt < 3, let now = inspector.later(),
                let same = now.group(group.identity.group)
            else { return found }
            (inspector, group) = (now, same)
        }
        preconditionFailure("the loop has no end of its own")
    }
}

/// Walks once over a group's log.
private struct GroupVerifier {
    private static let rowsAtOnce = 512

    let inspector: LogInspector
    let group: InspectedGroup
    let problemsMax: Int
    private var problems: [LogProblem] = []
    /// The place before the next entry; nil after one that could not be read.
    private var before: LogPoint?
    /// Where the next batch begins in its segment; nil when that is not known.
    private var logEnd: UInt64?
    private var entryCount = 0
    private var payloadBytes: UInt64 = 0

    init(_ inspector: LogInspector, _ group: InspectedGroup, problemsMax: Int) {
        self.inspector = inspector
        self.group = group
        self.problemsMax = problemsMax
        before = group.start
    }

    mutating func run() -> VerifiedGroup {
        if let suspicion = group.suspicion { report(nil, suspicion) }
        if group.hardState.term < group.end.term {
            report(nil, "stored term \(group.hardState.term), last entry of term \(group.end.term)")
        }
        if group.hardState.commit > group.end.index {
            report(nil, "commit \(group.hardState.commit) after the last entry \(group.end.index)")
        }
        checkSnapshot()
        var index = group.firstIndex
        while index <= group.lastIndex, problems.count < problemsMax {
            guard let rows = rows(from: index) else {
                (before, logEnd) = (nil, nil)
                index = index + 1
                continue
            }
            for row in rows where problems.count < problemsMax { check(row) }
            index = index + UInt64(rows.count)
        }
        if problems.count >= problemsMax {
            report(nil, "given up after \(problemsMax) problems")
        } else if let before, before != group.end {
            report(group.lastIndex, "the log does not end as the checkpoint and the WAL say")
        }
        return VerifiedGroup(
            group: group,
            entryCount: entryCount,
            payloadBytes: payloadBytes,
            problems: problems
        )
    }

    private mutating func report(_ index: LogIndex?, _ text: String) {
        problems.append(LogProblem(group: group.identity.group, index: index, text))
    }

    private mutating func report(_ index: LogIndex?, _ error: RaftLogError) {
        problems.append(LogProblem(group: group.identity.group, index: index, error))
    }

    /// The next rows; nil when the first of them cannot be read, which is reported.
    private mutating func rows(from index: LogIndex) -> [EntryRow]? {
        if let rows = try? inspector.rows(of: group, from: index, count: Self.rowsAtOnce) {
            return rows
        }
        // One of them is wrong: one by one, to say which.
        do throws(RaftLogError) {
            return try inspector.rows(of: group, from: index, count: 1)
        } catch {
            report(index, error)
            return nil
        }
    }

    private mutating func checkSnapshot() {
        guard let mark = group.reader.view.snapshot else { return }
        do throws(RaftLogError) {
            let directory = group.reader.view.directory
            _ = try SnapshotFile.read(mark, group.identity, in: directory, inspector.files)
        } catch { report(nil, error) }
    }

    // MARK: One entry

    private mutating func check(_ row: EntryRow) {
        entryCount += 1
        payloadBytes += UInt64(row.length)
        checkPlace(row)
        if row.index <= group.trusted { checkSegment(row) }
        if !EntryFlags.side.isSuperset(of: row.flags) {
            report(row.index, "unknown flags \(row.flags.rawValue)")
        }
        before = LogPoint(after: row)
        do throws(RaftLogError) {
            let bytes = try inspector.payload(of: row, in: group)
            if let reason = Self.flaw(of: bytes, row) { report(row.index, reason) }
        } catch { report(row.index, error) }
    }

    /// Whether a row goes on where the one before it ended.
    private mutating func checkPlace(_ row: EntryRow) {
        guard let before else { return }
        if row.term < before.term {
            report(row.index, "term \(row.term) after term \(before.term)")
        }
        if row.baseOffset != before.nextOffset {
            report(row.index, "offset \(row.baseOffset) instead of \(before.nextOffset)")
        }
        let chain = Chain.next(
            after: before.chain,
            term: row.term,
            index: row.index,
            type: row.typeCode,
            payloadCRC: row.payloadCRC
        )
        if chain != row.chain { report(row.index, "the running hash breaks") }
    }

    /// Whether a row stands in the right segment and its batch where the one before it ended.
    private mutating func checkSegment(_ row: EntryRow) {
        if let span = group.reader.view.span(holding: row.index), span.first == row.index {
            logEnd = 0
            checkHeader(span)
        }
        guard !row.flags.contains(.side) else { return }
        if let logEnd, row.position != logEnd {
            report(row.index, "its batch begins at byte \(row.position) instead of \(logEnd)")
        }
        logEnd = row.logEnd
    }

    private mutating func checkHeader(_ span: GroupView.Span) {
        let path = SegmentPath.of(group.reader.view.directory, span.first, "entries")
        let files = inspector.files
        do throws(RaftLogError) {
            let bytes = try reading { () throws(DiskError) in
                try files.open(path, .read).read(SegmentHeader.bytes, at: 0)
            }
            let header = try SegmentHeader(reading: bytes, SegmentHeader.rowsMagic, path: path)
            let identity = group.identity
            guard header.group == identity.group, header.topic == identity.topicID,
                header.partition == identity.partition, before == nil || header.before == before
            else { return report(span.first, "\(path): the header is another segment's") }
        } catch { report(span.first, error) }
    }

    /// What is wrong with a payload whose checksum is right; nil when nothing is.
    ///
    /// The batch's own checksum does not cover the bytes that the leader stamps: these are held
    /// against the row. Markers are as welcome as records.
    private static func flaw(of bytes: [UInt8], _ row: EntryRow) -> String? {
        guard bytes.count == row.length else { return "\(bytes.count) bytes, not \(row.length)" }
        guard row.isBatch else {
            let isPlain = row.length == 0 || row.flags.contains(.side)
            return isPlain ? nil : "a batch without records"
        }
        guard let header = RecordBatchHeader(bytes) else { return "too short for a batch" }
        guard header.magic == 2, header.batchSize == row.length else {
            return "no batch of its size"
        }
        guard crc32c(Array(bytes[21...])) == header.crc else { return "the batch's CRC is wrong" }
        guard header.baseOffset == row.baseOffset else {
            return "stamped with offset \(header.baseOffset) instead of \(row.baseOffset)"
        }
        guard header.leaderEpoch == row.term.leaderEpoch else {
            return "stamped with epoch \(header.leaderEpoch) in term \(row.term)"
        }
        guard header.offsetCount == row.offsetCount, header.recordCount == row.offsetCount else {
            return "\(header.recordCount) records on \(row.offsetCount) offsets"
        }
        guard header.maxTimestamp == row.maxTimestamp else { return "another largest timestamp" }
        guard header.attributes.codec <= 4 else { return "unknown codec" }
        return nil
    }
}
