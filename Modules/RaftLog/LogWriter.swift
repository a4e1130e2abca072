import Disk
import Model
import Raft
import Synchronization
import Telemetry

typealias Completion = @Sendable (Result<Void, RaftLogError>) -> Void

/// What waits for the writer: changes that belong together, and who wants to know.
struct WriteItem: Sendable {
    /// What is changed.
    enum Change: Sendable {
        case writes([GroupWrite])
        case create(GroupStore, join: Bool)
        case delete(RaftGroupID)
        case snapshotSaved(GroupStore, SnapshotMark, Snapshot)
        case close
    }

    var change: Change
    var completion: Completion
}

/// The one writer of a data directory: group commit into the write-ahead log, then segments.
///
/// Everything that was queued while the last frame was written goes into the next one: one
/// `pwritev`, one `fdatasync`, then the completions, then the same bytes into segments.
///
/// `@unchecked Sendable`: ``queue`` and ``registry`` are locked; everything else is touched only
/// by jobs of the writer's executor, which runs one at a time.
final class LogWriter: @unchecked Sendable {
    /// What other threads hand over.
    struct Queue {
        var items: [WriteItem] = []
        var isScheduled = false
        var failure: RaftLogError?
        /// Whether a step in the background failed, which the writer learns in its turn.
        var hasBackgroundFailed = false
    }

    /// A stretch of a write that is in the frame.
    struct FramedPart {
        var store: GroupStore
        var records: [WALRecord]
        var entries: ArraySlice<LoggedEntry>
        var before: LogPoint?
    }

    /// Where the building of frames stands in the backlog.
    struct Cursor {
        var item = 0
        var write = 0
        /// -1 before a write's records, then the next entry.
        var entry = -1
    }

    let queue = Mutex(Queue())
    /// The groups that exist, for other threads to look up.
    let registry: Mutex<[RaftGroupID: GroupStore]>
    let root: String
    let id: DirectoryID
    let files: any FileStore
    let executor: any DiskExecutor
    let background: any DiskExecutor
    let options: RaftLogOptions
    let cache: FileCache
    let onFailure: @Sendable (RaftLogError) -> Void

    // The writer's own.
    let wal: WALFiles
    let segments: SegmentWriter
    let frame: FrameBuilder
    var current: WALFile?
    var position: UInt64 = 0
    var nextFile: UInt64
    var nextFrame: UInt64
    /// Whether an empty frame says that everything before it was durable.
    var hasSeal = false
    var backlog: [WriteItem] = []
    var cursor = Cursor()
    /// What the frame that is being built consists of, and who waits for it.
    var framed: [FramedPart] = []
    /// Groups with changes that need no sync of their own: commit indexes.
    var lazy: [GroupStore] = []
    var finished: [Completion] = []
    /// Groups with entries that are not in segments yet, and about how many bytes these are.
    var waiting: [GroupStore] = []
    var waitingBytes = 0
    /// Deleted groups whose tombstone is not durable yet.
    var dying: [RaftGroupID: GroupStore] = [:]
    /// Deleted groups whose directory is not gone yet.
    var tombstones: [GroupIdentity] = []
    var checkpointSequence: UInt64
    var isCheckpointing = false
    var closing: Completion?
    var slowSyncs = SlowSyncs()

    init(
        root: String,
        id: DirectoryID,
        cluster: ClusterID,
        files: any FileStore,
        executor: any DiskExecutor,
        background: any DiskExecutor,
        options: RaftLogOptions,
        recovered: consuming RecoveredState,
        onFailure: @escaping @Sendable (RaftLogError) -> Void
    ) {
        self.root = root
        self.id = id
        self.files = files
        self.executor = executor
        self.background = background
        self.options = options
        self.onFailure = onFailure
        cache = FileCache(files: files, countMax: options.openFilesMax)
        wal = WALFiles(root: root, id: id, files: files, options: options)
        wal.adopt(recovered.walFiles)
        segments = SegmentWriter(root: root, cluster: cluster, files: files, options: options)
        registry = Mutex(recovered.stores)
        checkpointSequence = recovered.checkpointSequence
        nextFile = recovered.nextFile
        nextFrame = recovered.nextFrame
        frame = FrameBuilder(copiedPayloadBytesMax: options.copiedPayloadBytesMax)
        frame.reset()
    }

    // MARK: Any thread

    /// Queues a change; wakes the writer if it sleeps.
    func put(_ item: WriteItem) {
        let (refused, wakes) = queue.withLock { queue -> (RaftLogError?, Bool) in
            if let failure = queue.failure { return (failure, false) }
            queue.items.append(item)
            defer { queue.isScheduled = true }
            return (nil, !queue.isScheduled)
        }
        if let refused { return item.completion(.failure(refused)) }
        if wakes { executor.run { self.drain() } }
    }

    /// The store of a group that exists.
    func store(of group: RaftGroupID) -> GroupStore? { registry.withLock { $0[group] } }

    // MARK: The writer's thread

    /// Writes until nothing is queued.
    func drain() {
        while true {
            let taken = queue.withLock { queue -> [WriteItem]? in
                // What failed in the background comes as a step of its own.
                guard queue.failure == nil, !queue.hasBackgroundFailed else { return nil }
                defer { queue.items.removeAll(keepingCapacity: true) }
                return queue.items
            }
            guard let taken else { return }
            backlog.append(contentsOf: taken)
            options.metrics.walQueueDepth.set(backlog.count)
            do throws(DiskError) {
                if backlog.isEmpty {
                    if try rest() { return }
                } else if try !writeFrame() {
                    // No file to write to: what makes one free calls this again.
                    return
                }
            } catch {
                return halt(.disk(error))
            }
        }
    }

    /// Uses the time in which nothing is queued; true when the writer may sleep.
    private func rest() throws(DiskError) -> Bool {
        try flushSegments()
        try seal()
        if closing != nil { try beginCheckpoint() }
        return queue.withLock { queue in
            queue.isScheduled = !queue.items.isEmpty
            return queue.items.isEmpty
        }
    }

    /// Goes on after a wait for a free file.
    func resume() {
        if !backlog.isEmpty || closing != nil { drain() }
    }

    /// Runs a step on the writer's thread; its failure is everybody's.
    func step(_ body: @escaping @Sendable (LogWriter) throws(DiskError) -> Void) {
        executor.run {
            guard self.queue.withLock({ $0.failure == nil }) else { return }
            do throws(DiskError) { try body(self) } catch { self.halt(.disk(error)) }
        }
    }

    /// Forgets what waits, as the end of a process does.
    func abandon() {
        queue.withLock { $0.items = [] }
        forget()
    }

    private func forget() {
        finished = []
        framed = []
        lazy = []
        backlog = []
        closing = nil
        cursor = Cursor()
    }

    /// Gives up: reports the failure once, fails everything that waits or will come.
    func halt(_ error: RaftLogError) {
        let waiting = queue.withLock { queue -> [Completion]? in
            guard queue.failure == nil else { return nil }
            queue.failure = .halted
            defer { queue.items.removeAll() }
            return queue.items.map(\.completion)
        }
        guard let waiting else { return }
        var all = finished + backlog.dropFirst(cursor.item).map(\.completion) + waiting
        if let closing { all.append(closing) }
        forget()
        onFailure(error)
        var reported = error
        for completion in all {
            completion(.failure(reported))
            reported = .halted
        }
    }

    /// Writes what is durable into segments, through the page cache.
    func flushSegments() throws(DiskError) {
        guard !waiting.isEmpty else { return }
        for store in waiting {
            store.isWaiting = false
            try store.flush(segments)
        }
        waiting.removeAll(keepingCapacity: true)
        waitingBytes = 0
    }
}
