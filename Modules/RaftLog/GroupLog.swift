import Model
import Raft

/// One group's log as its event loop sees it: answers from memory, never blocks.
///
/// What is prepared counts at once here, durable or not; consensus knows which is which. Rows and
/// payloads of the newest entries are kept; older ones are read by the directory.
///
/// - Thread: the group's event loop only.
/// - Invariant: entries above the applied index are in memory, rows and payloads both.
public final class GroupLog {
    /// Which replica of which group this is.
    public let identity: GroupIdentity
    /// The newest term, vote and commit index that were prepared.
    public private(set) var hardState: HardState
    /// The newest configuration that was stored.
    public private(set) var confState: ConfState
    /// The last entry whose effect on the members ``confState`` includes.
    public private(set) var confIndex: LogIndex
    /// Why the log cannot be trusted, in a sentence; nil for a sound one.
    public private(set) var suspicion: String?
    /// Whether the log cannot be trusted: the replica must not vote, campaign or acknowledge.
    public var isSuspect: Bool { suspicion != nil }

    /// The place before the first entry.
    private(set) var start: LogPoint
    /// The place after the last entry.
    private(set) var end: LogPoint
    private(set) var terms: TermRuns
    /// The newest entries, without gaps up to the last one.
    private(set) var tail: TailEntries
    /// The last snapshot, its data in the shape of ``SnapshotState``.
    private(set) var latestSnapshot: Snapshot?
    private var applied: LogIndex
    var fetched: [FetchedRange] = []
    /// Ranges to be read, and those that are being read.
    var wanted: [FetchedRange.Request] = []
    var reading: [FetchedRange.Request] = []
    private let store: GroupStore
    private let tails: TailCache
    private let link = TailLink()
    private let entryBytesMax: Int

    init(store: GroupStore, tails: TailCache, entryBytesMax: Int) {
        let state = store.state
        self.store = store
        self.tails = tails
        self.entryBytesMax = entryBytesMax
        identity = state.identity
        (confState, confIndex) = state.newestConfiguration
        suspicion = state.suspicion
        start = state.start
        end = state.end
        terms = state.terms
        hardState = state.hardState
        // What a snapshot or the members include is committed, whether or not that was stored.
        let included = state.snapshot?.point.index ?? state.start.index
        hardState.commit = max(hardState.commit, included, confIndex)
        // What a damaged log has lost is not there to be committed.
        if suspicion != nil {
            hardState.commit = min(hardState.commit, max(start.index, end.index))
        }
        applied = hardState.commit
        tail = TailEntries(after: state.end.index)
        link.owner = self
    }

    deinit {
        tails.remove(tail.payloadBytes)
        link.unlink()
    }

    /// Reads the snapshot and the entries that are not known as committed; blocks.
    ///
    /// Damage makes the log suspect; only a disk that fails is an error.
    func load(_ reader: SegmentReader) throws(RaftLogError) {
        guard !isSuspect else { return }
        do throws(RaftLogError) { try loadTail(reader) } catch {
            guard case .damaged(let path, let reason) = error else { throw error }
            suspicion = "\(path): \(reason)"
        }
    }

    private func loadTail(_ reader: SegmentReader) throws(RaftLogError) {
        if let mark = store.state.snapshot {
            latestSnapshot = try SnapshotFile.read(
                mark,
                identity,
                in: store.directory,
                reader.files.store
            )
        }
        // The last committed entry's row says where the next one's records begin.
        var index = max(hardState.commit, start.index + 1)
        var kept: [LoggedEntry] = []
        while index <= end.index {
            guard let span = reader.view.span(holding: index) else {
                throw .damaged(path: store.directory, reason: "entry \(index) is in no segment")
            }
            for row in try reader.rows(from: index, count: 512, in: span) {
                let isOpen = row.index > hardState.commit
                let payload = isOpen ? try reader.payload(of: row, in: span) : .empty
                kept.append(LoggedEntry(row: row, payload: payload))
                index = row.index + 1
            }
        }
        tail = TailEntries(after: end.index, loaded: kept, payloadsFrom: hardState.commit + 1)
        tails.add(tail.payloadBytes, link)
    }

    // MARK: Where the log stands

    /// The offset that the next record takes.
    public var nextOffset: Offset { end.nextOffset }
    /// The first offset that can be read.
    public var logStartOffset: Offset { start.nextOffset }
    /// The terms of the log with their first entries, in order: Kafka's leader epochs.
    public var epochs: [TermRun] { terms.runs }

    /// The running hash up to and with an entry; nil when its row is not in memory.
    public func chain(at index: LogIndex) -> UInt64? {
        if index == end.index { return end.chain }
        if index == start.index { return start.chain }
        return tail.row(at: index)?.chain
    }

    /// An entry's row; nil when it is not in memory.
    public func row(at index: LogIndex) -> EntryRow? { tail.row(at: index) }

    /// The offset after an entry's records; for an entry that is the last one, the first of the
    /// log, or not yet applied.
    ///
    /// - Invariant: exact for rows in memory, and those at and above the applied index always are;
    ///   a lower bound for others.
    public func offset(after index: LogIndex) -> Offset {
        if index == end.index { return end.nextOffset }
        if index == start.index { return start.nextOffset }
        if let row = tail.row(at: index) { return row.nextOffset }
        // Not in memory: a lower bound, which never shows anybody what is not committed.
        return terms.runs.last { $0.firstIndex <= index }?.firstOffset ?? start.nextOffset
    }

    func place(after index: LogIndex) -> LogPoint? {
        if index == end.index { return end }
        if index == start.index { return start }
        return tail.row(at: index).map { LogPoint(after: $0) }
    }

    // MARK: Writing

    /// Takes what consensus wants stored, computes rows and chain, and returns what to submit.
    ///
    /// Entries may overlap the log's end; then the old ones from the first on are cut. A snapshot
    /// replaces the whole log. Everything counts here at once.
    ///
    /// - Throws: `malformedEntry` or `entryTooLarge`, and then nothing is changed: a payload that
    ///   is no record batch, or is stamped for another place. Only a faulty leader sends such.
    public func prepare(
        entries: EntryList,
        hardState: HardState?,
        snapshot: Snapshot?
    ) throws(RaftLogError) -> GroupWrite {
        precondition(!isSuspect, "group \(identity.group) is suspect and writes nothing")
        adoptSavedSnapshot()
        let install = try snapshot.map { snapshot throws(RaftLogError) in try mark(snapshot) }
        var before = install?.mark.point ?? end
        if let first = entries.first {
            guard let place = install == nil ? place(after: first.index - 1) : before,
                place.index + 1 == first.index
            else { throw malformed(first.index, "it does not follow the log") }
            before = place
        }
        let logged = try rows(for: entries, after: before)
        precondition(
            (logged.last?.row.term ?? 0) <= max(self.hardState.term, hardState?.term ?? 0),
            "group \(identity.group): entries of a term that was not stored"
        )
        if let install { replaceLog(install) }
        if let hardState {
            precondition(hardState.term >= self.hardState.term, "the stored term went back")
            self.hardState = hardState
        }
        append(logged)
        return GroupWrite(
            group: identity.group,
            hardState: hardState,
            controls: install.map { [.snapshot($0.mark)] } ?? [],
            entries: logged,
            before: logged.isEmpty ? nil : before,
            install: install
        )
    }

    /// Stores a configuration that was applied, with the next write.
    ///
    /// - Parameter index: the entry of the change.
    public func prepare(configuration: ConfState, at index: LogIndex) -> GroupWrite {
        confState = configuration
        confIndex = index
        let record = WALRecord.configuration(configuration, at: index)
        return GroupWrite(group: identity.group, controls: [record])
    }

    private func append(_ logged: [LoggedEntry]) {
        guard let first = logged.first?.row, let last = logged.last?.row else { return }
        if first.index <= end.index {
            precondition(
                first.index > hardState.commit || first.index > applied,
                "a cut below commit"
            )
            terms.cut(from: first.index)
            tails.remove(tail.cut(from: first.index))
            fetched.removeAll()
            wanted.removeAll()
        }
        for entry in logged { terms.append(entry.row) }
        tails.add(tail.append(logged), link)
        end = LogPoint(after: last)
    }

    private func rows(
        for entries: EntryList,
        after before: LogPoint
    ) throws(RaftLogError) -> [LoggedEntry] {
        var logged: [LoggedEntry] = []
        logged.reserveCapacity(entries.count)
        var place = before
        for entry in entries {
            guard entry.index == place.index + 1, entry.term >= place.term else {
                throw malformed(entry.index, "index or term does not follow \(place.index)")
            }
            guard entry.payload.count <= entryBytesMax else {
                throw .entryTooLarge(bytes: entry.payload.count, bytesMax: entryBytesMax)
            }
            let one = try loggedEntry(entry, after: place)
            place = LogPoint(after: one.row)
            logged.append(one)
        }
        return logged
    }

    private func loggedEntry(
        _ entry: Entry,
        after place: LogPoint
    ) throws(RaftLogError) -> LoggedEntry {
        var payload = entry.payload
        var (count, timestamp): (Int32, Int64) = (0, -1)
        var flags: EntryFlags = []
        if payload.count > 0 {
            if entry.type == .normal {
                let batch = try batch(in: entry, at: place.nextOffset)
                payload = Payload(batch)
                (count, timestamp) = (batch.offsetCount, batch.maxTimestamp)
            } else {
                flags = .side
            }
        }
        var crc: UInt32 = 0
        payload.storage?.withUnsafeParts { crc = Checksum.crc($0, seed: crc) }
        let chain = Chain.next(
            after: place.chain,
            term: entry.term,
            index: entry.index,
            type: entry.type.rawValue,
            payloadCRC: crc
        )
        let row = EntryRow(
            index: entry.index,
            term: entry.term,
            type: entry.type,
            flags: flags,
            baseOffset: place.nextOffset,
            offsetCount: count,
            maxTimestamp: timestamp,
            length: payload.count,
            payloadCRC: crc,
            chain: chain
        )
        return LoggedEntry(row: row, payload: payload)
    }

    private func batch(in entry: Entry, at offset: Offset) throws(RaftLogError) -> BatchPayload {
        let batch: BatchPayload
        if let known = entry.payload.storage as? BatchPayload {
            batch = known
        } else if let parsed = BatchPayload(bytes: entry.payload.copyBytes()) {
            batch = parsed
        } else {
            throw malformed(entry.index, "the payload is no record batch")
        }
        guard batch.baseOffset == offset else {
            throw malformed(entry.index, "base offset \(batch.baseOffset) instead of \(offset)")
        }
        guard batch.leaderEpoch == entry.term.leaderEpoch else {
            throw malformed(entry.index, "epoch \(batch.leaderEpoch) in term \(entry.term)")
        }
        guard batch.offsetCount > 0, offset.rawValue <= Int64.max >> 1 else {
            throw malformed(entry.index, "\(batch.offsetCount) offsets")
        }
        return batch
    }

    private func malformed(_ index: LogIndex, _ reason: String) -> RaftLogError {
        .malformedEntry(group: identity.group, index: index, reason: reason)
    }

    // MARK: Snapshots

    private func mark(_ snapshot: Snapshot) throws(RaftLogError) -> SnapshotInstall {
        let metadata = snapshot.metadata
        guard let state = SnapshotState(snapshot.data) else {
            throw malformed(metadata.index, "the snapshot's data have no place in the log")
        }
        let point = LogPoint(
            index: metadata.index,
            term: metadata.term,
            chain: state.chain,
            nextOffset: state.nextOffset
        )
        let mark = SnapshotMark(point: point, confState: metadata.confState, replacesLog: true)
        return SnapshotInstall(mark: mark, snapshot: snapshot)
    }

    private func replaceLog(_ install: SnapshotInstall) {
        let point = install.mark.point
        latestSnapshot = install.snapshot
        confState = install.mark.confState
        confIndex = install.mark.point.index
        start = point
        end = point
        applied = point.index
        terms = TermRuns()
        tails.remove(tail.payloadBytes)
        tail = TailEntries(after: point.index)
        fetched.removeAll()
        wanted.removeAll()
    }

    /// Hears of a snapshot that was saved, and of what the log no longer holds since then.
    func adoptSavedSnapshot() {
        guard let saved = store.takeSavedSnapshot() else { return }
        guard saved.snapshot.metadata.index > latestSnapshot?.metadata.index ?? 0 else { return }
        latestSnapshot = saved.snapshot
        guard saved.start.index > start.index else { return }
        start = saved.start
        terms.drop(through: start)
        tails.remove(tail.dropRows(through: start.index))
        fetched.removeAll { $0.first <= start.index }
    }

    // MARK: Memory

    /// Learns that entries up to `applied` are applied: their payloads may be dropped.
    public func releaseTail(upTo applied: LogIndex) {
        precondition(applied <= end.index, "entry \(applied) applied, the log ends at \(end.index)")
        adoptSavedSnapshot()
        self.applied = max(self.applied, applied)
        fetched.removeAll { $0.last < self.applied }
        tails.evict()
    }

    func dropPayloads(atLeast bytes: Int) {
        tails.remove(tail.drop(below: applied, atLeast: bytes))
    }
}
