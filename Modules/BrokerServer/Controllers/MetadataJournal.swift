public import Disk
public import Logging
import Metadata
import Model
public import NIOCore

/// The metadata as this broker knew it last, on disk: a broker that starts while no controller
/// answers knows its cluster all the same.
///
/// Every change is appended as soon as it is known, so that a process that is killed has lost
/// none; what a loss of power takes, the controllers have.
/// - Shape: `metadata.journal` in the data directory: a snapshot as controllers write it, then
///   commands, each a `MetadataFrame`; replaced as a whole by every new snapshot. A file that
///   cannot be read counts as missing, and so does everything from its first bad frame on.
/// - Thread: the broker's event loop; encoding and writing run on the disk executor.
public final class MetadataJournal {
    static let name = "metadata.journal"
    /// How long a write may wait for its sync, and a failed one for the next attempt.
    private static let pause = TimeAmount.seconds(1)
    /// A file that is larger, and several times as large as its snapshot, begins anew.
    static let bytesMax: UInt64 = 4 << 20
    private static let snapshotsMax: UInt64 = 4

    private let directory: String
    private let files: any FileStore
    private let executor: any DiskExecutor
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var source: () -> ClusterMetadata? = { nil }
    /// Nil while there is no file that could go on.
    private var ending: Ending?
    private var waiting: [MetadataFrame] = []
    private var isWriting = false
    private var isPausing = false
    /// Whether the last write failed: the file lacks something that waits no more.
    private var isFailing = false
    private var flushes: [() -> Void] = []

    /// Where the journal goes on.
    private struct Ending: Sendable {
        let file: any OpenFile
        var position: UInt64
        let snapshotEnd: UInt64
        var isSynced: Bool

        var isOverfull: Bool { position > max(bytesMax, snapshotEnd * snapshotsMax) }
    }

    private typealias Job = @Sendable () throws(DiskError) -> Ending

    /// Describes the journal; nothing is read or written yet.
    public init(
        directory: String,
        files: any FileStore,
        executor: any DiskExecutor,
        eventLoop: any EventLoop,
        logger: Logger
    ) {
        self.directory = directory
        self.files = files
        self.executor = executor
        self.eventLoop = eventLoop
        self.logger = logger
    }

    private var path: String { "\(directory)/\(Self.name)" }

    /// Reads the file, to go on where it ends; nil if there is none, or none of this cluster.
    ///
    /// - Thread: the event loop, which it blocks: before the broker serves.
    func read(of cluster: ClusterID?) -> ClusterMetadata? {
        guard let cluster, files.kind(of: path) == .file else { return nil }
        do {
            let file = try files.open(path, .write)
            let content = try MetadataJournalContent(of: file)
            guard content.metadata.clusterID == cluster else { return nil }
            if let damage = content.damage {
                LogLines.metadataCopyCut(path, content.metadata.version, damage, logger)
                // What stands there must not be taken for a part of what is appended.
                try file.truncate(to: content.end)
            }
            ending = Ending(
                file: file,
                position: content.end,
                snapshotEnd: content.snapshotEnd,
                isSynced: true
            )
            return content.metadata
        } catch {
            LogLines.metadataCopyUnreadable(path, "\(error)", logger)
            return nil
        }
    }

    /// Takes what gives all metadata, with everything that was appended; nil before any is known.
    func use(_ source: @escaping () -> ClusterMetadata?) { self.source = source }

    /// Writes what has changed, in the order in which it did.
    func append(_ frames: [MetadataFrame]) {
        waiting += frames
        work()
    }

    /// Calls back when all changes so far are durable, or cannot be.
    func flush(_ completion: @escaping () -> Void) {
        flushes.append(completion)
        work()
    }

    private func work() {
        guard !isWriting else { return }
        guard let job = nextJob() else { return endFlushes() }
        isWriting = true
        let eventLoop = eventLoop
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        executor.run {
            let result: Result<Ending, DiskError>
            do throws(DiskError) { result = .success(try job()) } catch { result = .failure(error) }
            eventLoop.execute { bound.value.written(result) }
        }
    }

    private func nextJob() -> Job? {
        let isUrgent = !isPausing || !flushes.isEmpty
        if isFailing, !isUrgent { return nil }
        if let ending, waiting.isEmpty {
            return ending.isSynced || !isUrgent ? nil : sync(ending)
        }
        guard !waiting.isEmpty || isFailing else { return nil }
        let frames = waiting
        waiting = []
        if let last = frames.lastIndex(where: { $0.kind == .snapshot }) {
            return begin(with: { frames[last] }, then: frames[(last + 1)...])
        }
        if let ending, !ending.isOverfull { return append(frames[...], to: ending) }
        guard let metadata = source() else { return nil }
        return begin(with: { .snapshot(metadata.json, at: metadata.version) }, then: [])
    }

    private func written(_ result: Result<Ending, DiskError>) {
        isWriting = false
        switch result {
        case .success(let ending):
            self.ending = ending
            isFailing = false
        case .failure(let error):
            if !isFailing { LogLines.metadataCopyNotWritten("\(error)", logger) }
            // Nobody knows what the file holds now: a new one takes its place.
            ending = nil
            isFailing = true
            endFlushes()
        }
        if ending?.isSynced != true { startPause() }
        work()
    }

    private func startPause() {
        guard !isPausing else { return }
        isPausing = true
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        eventLoop.scheduleTask(in: Self.pause) {
            bound.value.isPausing = false
            bound.value.work()
        }
    }

    private func endFlushes() {
        let ended = flushes
        flushes = []
        for completion in ended { completion() }
    }
}

// MARK: On the disk executor

extension MetadataJournal {
    /// Replaces the file by one that begins with a snapshot.
    private func begin(
        with snapshot: @escaping @Sendable () -> MetadataFrame,
        then frames: ArraySlice<MetadataFrame>
    ) -> Job {
        let (files, directory, path) = (files, directory, path)
        return { () throws(DiskError) in
            var bytes = MetadataJournalContent.beginning(with: snapshot())
            let snapshotEnd = UInt64(bytes.count)
            for frame in frames { frame.write(to: &bytes) }
            try files.replace(Self.name, in: directory, with: bytes)
            return Ending(
                file: try files.open(path, .write),
                position: UInt64(bytes.count),
                snapshotEnd: snapshotEnd,
                isSynced: true
            )
        }
    }

    private func append(_ frames: ArraySlice<MetadataFrame>, to ending: Ending) -> Job {
        { () throws(DiskError) in
            var bytes: [UInt8] = []
            for frame in frames { frame.write(to: &bytes) }
            try ending.file.write(bytes, at: ending.position)
            var longer = ending
            longer.position += UInt64(bytes.count)
            longer.isSynced = false
            return longer
        }
    }

    private func sync(_ ending: Ending) -> Job {
        { () throws(DiskError) in
            try ending.file.sync()
            var synced = ending
            synced.isSynced = true
            return synced
        }
    }
}
