public import Disk
public import Logging
import Metadata
import Model
public import NIOCore

/// The metadata as this broker knew it last, on disk: a broker that starts while no controller
/// answers knows its cluster all the same.
///
/// - Shape: `metadata.json` in the data directory; a snapshot as controllers write it, replaced as
///   a whole. A file that cannot be read counts as missing: the controllers have it all.
/// - Thread: the broker's event loop; encoding and writing run on the disk executor.
public final class MetadataFile {
    static let name = "metadata.json"
    /// Between the end of one write and the next: metadata that changes all the time is written
    /// now and then.
    private static let pause = TimeAmount.seconds(1)
    /// A file beyond this is not what this program writes.
    private static let bytesMax = UInt64(1 << 30)

    private let directory: String
    private let files: any FileStore
    private let executor: any DiskExecutor
    private let eventLoop: any EventLoop
    private let logger: Logger
    private var source: () -> ClusterMetadata? = { nil }
    private var isChanged = false
    private var isWriting = false
    private var isPausing = false
    private var isFailing = false
    private var flushes: [() -> Void] = []

    /// Describes the file; nothing is read or written yet.
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

    /// Reads the file; nil if there is none, or none of this cluster.
    ///
    /// - Thread: any that may block, before the broker serves.
    func read(of cluster: ClusterID?) -> ClusterMetadata? {
        let path = "\(directory)/\(Self.name)"
        guard let cluster, files.kind(of: path) == .file else { return nil }
        do {
            let file = try files.open(path, .read)
            let size = try min(file.size(), Self.bytesMax)
            let metadata = try ClusterMetadata(json: file.read(Int(size), at: 0))
            return metadata.clusterID == cluster ? metadata : nil
        } catch {
            LogLines.metadataCopyUnreadable(path, "\(error)", logger)
            return nil
        }
    }

    /// Takes what gives the metadata to be written; nil if there is nothing worth it.
    func use(_ source: @escaping () -> ClusterMetadata?) { self.source = source }

    /// Says that the metadata has changed: it will be written soon.
    func changed() {
        isChanged = true
        writeIfNeeded()
    }

    /// Calls back when all changes so far are on disk, or cannot be.
    func flush(_ completion: @escaping () -> Void) {
        flushes.append(completion)
        writeIfNeeded()
    }

    private func writeIfNeeded() {
        guard !isWriting, !isPausing || !flushes.isEmpty else { return }
        guard isChanged, let metadata = source() else { return endFlushes() }
        isChanged = false
        isWriting = true
        let (files, directory, eventLoop) = (files, directory, eventLoop)
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        executor.run {
            var failure: DiskError?
            do throws(DiskError) {
                try files.replace(Self.name, in: directory, with: metadata.json)
            } catch {
                failure = error
            }
            eventLoop.execute { [failure] in bound.value.written(failure) }
        }
    }

    private func written(_ failure: DiskError?) {
        isWriting = false
        if let failure, !isFailing {
            LogLines.metadataCopyNotWritten("\(failure)", logger)
        }
        isFailing = failure != nil
        if !isPausing {
            isPausing = true
            let bound = NIOLoopBound(self, eventLoop: eventLoop)
            eventLoop.scheduleTask(in: Self.pause) { bound.value.resume() }
        }
        if isChanged, !flushes.isEmpty { writeIfNeeded() } else { endFlushes() }
    }

    private func resume() {
        isPausing = false
        writeIfNeeded()
    }

    private func endFlushes() {
        let ended = flushes
        flushes = []
        for completion in ended { completion() }
    }
}
