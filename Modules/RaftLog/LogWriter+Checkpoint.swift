import Disk
import Model
import Synchronization

extension LogWriter {
    /// Makes everything up to now independent of the write-ahead log, in the background.
    ///
    /// What the segments hold is synced file by file; then the checkpoint is written, twice; only
    /// then are WAL files free again and worthless segments removed.
    func beginCheckpoint() throws(DiskError) {
        guard !isCheckpointing else { return }
        isCheckpointing = true
        try flushSegments()
        checkpointSequence += 1
        let stores = registry.withLock { Array($0.values) } + Array(dying.values)
        let living = stores.filter(\.isCreated).sorted {
            $0.state.identity.group < $1.state.identity.group
        }
        let checkpoint = Checkpoint(
            sequence: checkpointSequence,
            replayFrom: WALPosition(
                file: current?.sequence ?? nextFile,
                position: current == nil ? UInt64(WALFormat.blockBytes) : position,
                frame: nextFrame
            ),
            groups: living.map(\.state),
            tombstones: tombstones
        )
        for store in living { store.beginCheckpoint() }
        let dirty = segments.takeDirty()
        // Job by job, so that reads come in between.
        for file in dirty.files { backgroundStep { () throws(DiskError) in try file.sync() } }
        let (root, id, files) = (root, id, files)
        for directory in dirty.directories {
            backgroundStep { () throws(DiskError) in
                do throws(DiskError) { try files.syncDirectory(directory) } catch {
                    // A group that was deleted meanwhile has none.
                    if !error.isMissing { throw error }
                }
            }
        }
        let isLast = closing != nil && queue.withLock { $0.items.isEmpty }
        backgroundStep { () throws(DiskError) in
            try checkpoint.write(to: root, id, files)
            self.step { writer throws(DiskError) in
                try writer.endCheckpoint(checkpoint, living, isLast: isLast)
            }
        }
    }

    /// Runs a step on the background thread; its failure is the writer's.
    func backgroundStep(_ body: @escaping @Sendable () throws(DiskError) -> Void) {
        background.run {
            guard !self.hasFailed else { return }
            do throws(DiskError) { try body() } catch { self.failInBackground(error) }
        }
    }

    /// Whether a write failed anywhere; any thread.
    var hasFailed: Bool { queue.withLock { $0.failure != nil || $0.hasBackgroundFailed } }

    /// Gives up after a failure in the background.
    func failInBackground(_ error: DiskError) {
        // At once: nothing may be synced again, and no checkpoint be written, before the writer
        // hears of it.
        queue.withLock { $0.hasBackgroundFailed = true }
        step { _ throws(DiskError) in throw error }
    }

    private func endCheckpoint(
        _ checkpoint: Checkpoint,
        _ stores: [GroupStore],
        isLast: Bool
    ) throws(DiskError) {
        isCheckpointing = false
        wal.release(before: checkpoint.replayFrom.file)
        for store in stores where registry.withLock({ $0[store.state.identity.group] === store }) {
            try store.endCheckpoint(files)
        }
        if isLast, backlog.isEmpty { return close() }
        resume()
    }

    /// Ends the writer's work after the last checkpoint.
    private func close() {
        let completion = closing
        closing = nil
        let left = queue.withLock { queue -> [WriteItem] in
            queue.failure = .closed
            defer { queue.items.removeAll() }
            return queue.items
        }
        for item in left { item.completion(.failure(.closed)) }
        completion?(.success(()))
    }
}
