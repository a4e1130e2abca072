import Disk
import Model
import NIOCore
import Raft
import Synchronization
import Telemetry

/// A data directory: the write-ahead log and the segments of all groups of one daemon.
///
/// - Thread: any. Writes are carried out by the writer's executor, reads by the reader's;
///   completions are called there, and hop to where they belong themselves.
/// - Invariant: what a completion reports as written survives a loss of power.
public final class LogDirectory: Sendable {
    /// The directory's identity, drawn when it was empty.
    public let directoryID: DirectoryID
    /// The cluster that the directory belonged to when it was opened; nil while it had none.
    public let cluster: ClusterID?
    /// What was wrong with the write-ahead log at the start; nil when it was sound.
    ///
    /// When it was not, every group that was found is suspect.
    public let damage: String?
    /// Whether a crash had cut the last write short; it was never acknowledged.
    public let hasTornEnd: Bool
    let writer: LogWriter
    private let lock: any DirectoryLock
    private let files: any FileStore
    private let reader: any DiskExecutor
    private let options: RaftLogOptions
    private let path: String
    private let tails: TailCache

    private init(
        _ directory: DataDirectory,
        path: String,
        lock: any DirectoryLock,
        writer: LogWriter,
        reader: any DiskExecutor,
        damage: String?,
        hasTornEnd: Bool
    ) {
        directoryID = directory.id
        cluster = directory.cluster
        self.path = path
        self.lock = lock
        self.writer = writer
        self.reader = reader
        self.damage = damage
        self.hasTornEnd = hasTornEnd
        files = writer.files
        options = writer.options
        tails = TailCache(
            bytesMax: writer.options.tailCacheBytes,
            gauge: writer.options.metrics.tailCacheBytes
        )
    }

    /// Opens a data directory, or makes an empty one into one, and recovers its groups.
    ///
    /// Blocks until everything is recovered. The path must exist.
    ///
    /// - Parameter cluster: the cluster that the daemon belongs to, if it knows.
    /// - Parameter progress: called with a sentence now and then while recovery runs.
    /// - Parameter onFailure: called once, on the writer's or the reader's thread, when a write or
    ///   sync has failed; the daemon is expected to exit.
    /// - Throws: what makes starting unsafe; nothing is acknowledged and nothing was changed that
    ///   a later try would miss.
    public static func open(
        path: String,
        files: any FileStore,
        writer: any DiskExecutor,
        reader: any DiskExecutor,
        options: RaftLogOptions = RaftLogOptions(),
        cluster: ClusterID?,
        random: inout some RandomNumberGenerator,
        progress: @escaping (String) -> Void = { _ in },
        onFailure: @escaping @Sendable (RaftLogError) -> Void = { _ in }
    ) throws(RaftLogError) -> (LogDirectory, [GroupLog]) {
        let lock: any DirectoryLock
        do throws(DiskError) { lock = try files.lock(path) } catch {
            throw error.isHeldByAnother ? .locked(path: path) : .disk(error)
        }
        var directory: DataDirectory
        if let found = try DataDirectory.read(path, files) {
            directory = found
        } else {
            let id = DirectoryID(using: &random)
            directory = try DataDirectory.create(path, id, cluster, files)
        }
        if let cluster, let known = directory.cluster, known != cluster {
            throw .foreignCluster(found: known, expected: cluster)
        }
        if let cluster, directory.cluster == nil {
            directory.cluster = cluster
            let adopted = directory
            try reading { () throws(DiskError) in try adopted.write(path, files) }
        }
        let recovery = Recovery(
            root: path,
            directory: directory,
            files: files,
            options: options,
            progress: progress
        )
        let recovered = try recovery.run()
        let (damage, hasTornEnd) = (recovered.damage, recovered.hasTornEnd)
        let log = LogWriter(
            root: path,
            id: directory.id,
            cluster: directory.cluster ?? ClusterID(.zero),
            files: files,
            executor: writer,
            background: reader,
            options: options,
            recovered: recovered,
            onFailure: onFailure
        )
        if recovered.walFiles.isEmpty {
            try reading { () throws(DiskError) in try log.wal.makeFirst() }
        }
        let opened = LogDirectory(
            directory,
            path: path,
            lock: lock,
            writer: log,
            reader: reader,
            damage: damage,
            hasTornEnd: hasTornEnd
        )
        var groups: [GroupLog] = []
        for store in recovered.stores.values.sorted(by: { $0.directory < $1.directory }) {
            groups.append(try opened.groupLog(store))
        }
        return (opened, groups.sorted { $0.identity.group < $1.identity.group })
    }

    /// Says which cluster the directory belongs to, once that is known; blocks.
    public func adopt(_ cluster: ClusterID) throws(RaftLogError) {
        let known = try DataDirectory.read(path, files)
        if let known = known?.cluster, known != cluster {
            throw .foreignCluster(found: known, expected: cluster)
        }
        let adopted = DataDirectory(id: directoryID, cluster: cluster)
        let (path, files) = (path, files)
        try reading { () throws(DiskError) in try adopted.write(path, files) }
        writer.step { $0.segments.cluster = cluster }
    }

    // MARK: Groups

    /// Records a new group durably.
    ///
    /// - Parameter join: the replica waits to be added by the group's leader and knows no members;
    ///   otherwise the identity's members are its first configuration.
    public func create(
        _ identity: GroupIdentity,
        join: Bool = false,
        completion: @escaping @Sendable (Result<Void, RaftLogError>) -> Void
    ) {
        var state = GroupState(identity: identity)
        if join { state.confState = ConfState() }
        let store = GroupStore(
            state: state,
            directory: "\(path)/partitions/\(identity.directoryName)",
            isCreated: false,
            hasDirectory: false
        )
        writer.put(WriteItem(change: .create(store, join: join), completion: completion))
    }

    /// The log of a group that ``create(_:join:completion:)`` has just recorded.
    ///
    /// - Thread: the event loop that the group will belong to.
    /// - Throws: `unknownGroup` when it was not created or is deleted.
    public func newGroupLog(_ group: RaftGroupID) throws(RaftLogError) -> GroupLog {
        guard let store = writer.store(of: group) else { throw .unknownGroup(group) }
        return try groupLog(store)
    }

    /// Whether a group is recorded here and not being deleted.
    public func holds(_ group: RaftGroupID) -> Bool { writer.store(of: group) != nil }

    /// Which replica of a group is recorded here and not being deleted; nil if none.
    public func identity(of group: RaftGroupID) -> GroupIdentity? {
        writer.store(of: group)?.view.withLock { $0.identity }
    }

    /// Deletes a group: durably recorded first, then its files go in the background.
    public func delete(
        _ group: RaftGroupID,
        completion: @escaping @Sendable (Result<Void, RaftLogError>) -> Void
    ) {
        writer.put(WriteItem(change: .delete(group), completion: completion))
    }

    private func groupLog(_ store: GroupStore) throws(RaftLogError) -> GroupLog {
        let log = GroupLog(store: store, tails: tails, entryBytesMax: options.entryBytesMax)
        try log.load(segments(store))
        return log
    }

    // MARK: Writing

    /// Writes what groups prepared: everything that is queued goes into one frame and one sync.
    ///
    /// - Parameter completion: called on the writer's thread once all of it is durable, in the
    ///   order of the submissions.
    public func submit(
        _ writes: [GroupWrite],
        completion: @escaping @Sendable (Result<Void, RaftLogError>) -> Void
    ) {
        writer.put(WriteItem(change: .writes(writes), completion: completion))
    }

    /// Writes what is queued, makes the segments durable and gives the directory back.
    ///
    /// - Parameter completion: called on the writer's thread; afterwards the directory can be
    ///   opened again. Everything submitted later fails with `closed`.
    public func close(
        completion: @escaping @Sendable (Result<Void, RaftLogError>) -> Void = { _ in }
    ) {
        let lock = lock
        let item = WriteItem(change: .close) { result in
            lock.release()
            completion(result)
        }
        writer.put(item)
    }

    /// Forgets all writes that wait; whoever asked for them hears nothing.
    ///
    /// What waits for an answer would hold whatever the answer would reach, and be held by it.
    /// - Thread: one on which nothing of this directory runs any more; its process has died.
    package func abandon() { writer.abandon() }
}

// MARK: Reading

extension LogDirectory {
    func segments(_ store: GroupStore) -> SegmentReader {
        SegmentReader(view: store.view.withLock { $0 }, files: writer.cache)
    }

    /// Reads whole batches from disk, from the one that holds `from` on and all before `below`.
    ///
    /// - Parameter maxBytes: not exceeded, but for the first batch, which is always whole.
    /// - Parameter completion: called on the reader's thread.
    public func readBatches(
        _ group: RaftGroupID,
        from: Offset,
        below: Offset,
        maxBytes: Int,
        completion: @escaping @Sendable (Result<ByteBuffer, RaftLogError>) -> Void
    ) {
        let isEnough = { @Sendable (view: GroupView) in view.written.nextOffset > from }
        let body = { @Sendable (reader: SegmentReader) throws(RaftLogError) in
            try reader.batches(from: from, below: below, maxBytes: maxBytes)
        }
        read(group, until: isEnough, body, completion: completion)
    }

    /// Reads entries from disk, from `from` on and below `to`, at least one.
    ///
    /// - Parameter completion: called on the reader's thread.
    public func readEntries(
        _ group: RaftGroupID,
        from: LogIndex,
        to: LogIndex,
        maxBytes: Int,
        completion: @escaping @Sendable (Result<[Entry], RaftLogError>) -> Void
    ) {
        let isEnough = { @Sendable (view: GroupView) in view.written.index >= from }
        let body = { @Sendable (reader: SegmentReader) throws(RaftLogError) -> [Entry] in
            let end = min(to, reader.view.written.index + 1)
            guard from < end else { throw .outOfRange }
            return try reader.entries(from: from, to: end, maxBytes: maxBytes)
        }
        read(group, until: isEnough, body, completion: completion)
    }

    /// Finds the first record at or after a time, as ListOffsets asks for it.
    ///
    /// The answer is the offset and timestamp of the first batch whose largest timestamp is not
    /// earlier; its own records are not looked into. nil when there is none.
    public func offset(
        at timestamp: Int64,
        of group: RaftGroupID,
        completion:
            @escaping @Sendable (Result<(offset: Offset, timestamp: Int64)?, RaftLogError>) -> Void
    ) {
        let body = {
            @Sendable (reader: SegmentReader) throws(RaftLogError) -> (
                offset: Offset, timestamp: Int64
            )? in
            guard let (row, _) = try reader.row(at: timestamp) else { return nil }
            return (offset: row.baseOffset, timestamp: row.maxTimestamp)
        }
        read(group, until: { _ in false }, body, completion: completion)
    }

    /// Calls `body` with every entry of `from ... to`, read from disk; blocks.
    ///
    /// - Thread: meant for the start, before the loops run; everything recovered is in segments.
    /// - Parameter headersOnly: batches are cut to their first 61 bytes, which are only held
    ///   against their rows.
    public func scan(
        _ group: RaftGroupID,
        from: LogIndex,
        to: LogIndex,
        headersOnly: Bool,
        body: (EntryRow, [UInt8]) -> Void
    ) throws(RaftLogError) {
        guard let store = writer.store(of: group) else { throw .unknownGroup(group) }
        try segments(store).scan(from: from, through: to, headersOnly: headersOnly, body)
    }

    /// Reads on the reader's thread, after a flush when the segments do not reach far enough yet.
    private func read<Value>(
        _ group: RaftGroupID,
        until isEnough: @escaping @Sendable (GroupView) -> Bool,
        _ body: @escaping @Sendable (SegmentReader) throws(RaftLogError) -> Value,
        completion: @escaping @Sendable (Result<Value, RaftLogError>) -> Void
    ) {
        writer.options.metrics.coldReads.add()
        guard let store = writer.store(of: group) else {
            return completion(.failure(.unknownGroup(group)))
        }
        let work = { @Sendable [self] in
            do throws(RaftLogError) {
                completion(.success(try body(segments(store))))
            } catch { completion(.failure(error)) }
        }
        if store.view.withLock({ isEnough($0) }) { return reader.run(work) }
        let (reader, writer) = (reader, writer)
        writer.executor.run {
            // What is durable but not in segments yet is written there first.
            do throws(DiskError) { try writer.flushSegments() } catch {
                writer.halt(.disk(error))
            }
            reader.run(work)
        }
    }
}

// MARK: Snapshots

extension LogDirectory {
    /// Saves a state machine's snapshot and lets whole segments before it go.
    ///
    /// The snapshot's data are the state machine's bytes alone. The group's log hears of it by
    /// itself the next time it is used.
    public func saveSnapshot(
        _ group: RaftGroupID,
        _ snapshot: Snapshot,
        completion: @escaping @Sendable (Result<Void, RaftLogError>) -> Void
    ) {
        let index = snapshot.metadata.index
        guard let store = writer.store(of: group) else {
            return completion(.failure(.unknownGroup(group)))
        }
        let (path, files, writer) = (path, files, writer)
        let directory = store.directory
        let body = {
            @Sendable (reader: SegmentReader) throws(RaftLogError) -> (SnapshotMark, Snapshot) in
            guard !writer.hasFailed else { throw .halted }
            let cluster = try DataDirectory.read(path, files)?.cluster ?? ClusterID(.zero)
            let partitions = "\(path)/partitions"
            return try reader.save(snapshot, in: directory, of: partitions, cluster, files)
        }
        let isEnough = { @Sendable (view: GroupView) in view.written.index >= index }
        read(group, until: isEnough, body) { result in
            switch result {
            case .success((let mark, let shipped)):
                let change = WriteItem.Change.snapshotSaved(store, mark, shipped)
                writer.put(WriteItem(change: change, completion: completion))
            case .failure(let error):
                // The files of a group that is deleted meanwhile are out of the way.
                if case .disk(let failure) = error, failure.isOfWriting, !failure.isMissing {
                    writer.failInBackground(failure)
                }
                completion(.failure(error))
            }
        }
    }

    /// The newest snapshot of a group, its data the state machine's bytes alone; blocks.
    public func loadSnapshot(_ group: RaftGroupID) throws(RaftLogError) -> Snapshot? {
        guard let store = writer.store(of: group) else { throw .unknownGroup(group) }
        let view = store.view.withLock { $0 }
        guard let mark = view.snapshot else { return nil }
        var snapshot = try SnapshotFile.read(mark, view.identity, in: store.directory, files)
        guard let state = SnapshotState(snapshot.data) else {
            throw .damaged(path: store.directory, reason: "the snapshot is of another version")
        }
        snapshot.data = Payload(state.state)
        return snapshot
    }
}
