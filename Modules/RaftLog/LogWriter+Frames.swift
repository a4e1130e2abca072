import Disk
import Model
import Raft
import Synchronization
import Telemetry

extension LogWriter {
    /// What must be left of a file for a frame to begin in it.
    private var frameRoomMin: UInt64 {
        UInt64(min(16 * WALFormat.blockBytes, options.walFileBytes / 4))
    }

    /// Writes one frame of what is queued; false when there is no file to write to.
    func writeFrame() throws(DiskError) -> Bool {
        guard let file = try openFile() else { return false }
        // The last block stays free for the seal.
        try fillFrame(left: Int(file.bytes - position) - WALFormat.blockBytes)
        if frame.isEmpty, cursor.item < backlog.count {
            // The next entry does not fit into what is left of this file.
            precondition(position > UInt64(WALFormat.blockBytes), "an entry longer than a file")
            retireFile()
            return true
        }
        if !frame.isEmpty {
            addLazy(left: Int(file.bytes - position) - WALFormat.blockBytes)
            let parts = frame.finish(
                file: file.sequence,
                frame: nextFrame,
                position: position,
                directory: id
            )
            try file.file.write(parts, at: position)
            try sync(file)
            options.metrics.walFrames.add()
            options.metrics.walBytes.add(frame.bytes)
            options.metrics.walFrameBytes.observe(frame.bytes)
            position += UInt64(frame.bytes)
            nextFrame += 1
            hasSeal = false
        }
        applyFrame()
        frame.reset()
        if waitingBytes >= options.segmentBacklogBytesMax { try flushSegments() }
        if segments.dirtyFileCount > options.dirtyFilesMax { try beginCheckpoint() }
        return true
    }

    private func sync(_ file: WALFile) throws(DiskError) {
        let start = ContinuousClock.now
        try file.file.sync()
        let end = ContinuousClock.now
        options.metrics.walSyncDuration.observe(start.duration(to: end))
        if let report = slowSyncs.note(start.duration(to: end), at: end) {
            options.onSlowSync(report.longest, report.count)
        }
    }

    /// Says in the idle moment that the last frame was durable: an empty frame behind it, unsynced.
    ///
    /// Without it, damage to the last frame would look like a write that was torn by a crash.
    func seal() throws(DiskError) {
        guard !hasSeal, let file = current, nextFrame > 0 else { return }
        let parts = frame.finish(
            file: file.sequence,
            frame: nextFrame,
            position: position,
            directory: id
        )
        try file.file.write(parts, at: position)
        frame.reset()
        hasSeal = true
    }

    // MARK: Files

    /// The file to write to, with room for a frame.
    private func openFile() throws(DiskError) -> WALFile? {
        if let file = current, file.bytes - position >= frameRoomMin { return file }
        retireFile()
        guard let file = try wal.take(sequence: nextFile) else {
            if !isCheckpointing, !wal.full.isEmpty { try beginCheckpoint() }
            makeSpare()
            return nil
        }
        nextFile += 1
        current = file
        position = UInt64(WALFormat.blockBytes)
        hasSeal = false
        if !wal.full.isEmpty { try beginCheckpoint() }
        makeSpare()
        return file
    }

    private func retireFile() {
        if let file = current { wal.retire(file) }
        current = nil
    }

    /// Makes one more file in the background, if there may be more and none is free.
    func makeSpare() {
        guard wal.wantsSpare(current: current != nil) else { return }
        let path = wal.beginSpare()
        let (id, files, bytes) = (id, files, UInt64(options.walFileBytes))
        let directory = wal.directory
        backgroundStep { () throws(DiskError) in
            let file = try WALFiles.fill(path, bytes: bytes, id, files)
            try files.syncDirectory(directory)
            self.step { writer throws(DiskError) in
                writer.wal.endSpare(file)
                writer.resume()
            }
        }
    }

    // MARK: Content

    /// Puts as much of the backlog into the frame as fits.
    private func fillFrame(left: Int) throws(DiskError) {
        while cursor.item < backlog.count {
            if cursor.write == 0, cursor.entry < 0 { admit(&backlog[cursor.item]) }
            guard case .writes(let writes) = backlog[cursor.item].change else {
                preconditionFailure("what is admitted is writes")
            }
            while cursor.write < writes.count {
                guard try fill(writes[cursor.write], left) else { return }
                cursor.write += 1
                cursor.entry = -1
            }
            finished.append(backlog[cursor.item].completion)
            cursor = Cursor(item: cursor.item + 1)
        }
    }

    /// Puts a write into the frame; false when it is full.
    private func fill(_ write: GroupWrite, _ left: Int) throws(DiskError) -> Bool {
        // A write of a group that was deleted meanwhile has nowhere to go and nobody to miss it.
        guard let store = dying[write.group] ?? store(of: write.group), !store.isEnded else {
            return true
        }
        if cursor.entry < 0, isLazy(write, store) {
            if let hardState = write.hardState { postpone(hardState, of: store) }
            return true
        }
        let limit = min(left, WALFormat.padded(options.frameBytesMax))
        var part = FramedPart(store: store, records: [], entries: [], before: write.before)
        if cursor.entry < 0 {
            if let hardState = durable(write.hardState, with: write) {
                part.records.append(.hardState(hardState))
            }
            part.records.append(contentsOf: write.controls)
            let bytes = part.records.reduce(0) { $0 + FrameBuilder.bytes(of: $1) }
            guard bytes == 0 || frame.bytes(adding: bytes) <= limit else { return false }
            if let install = write.install { try save(install, of: store) }
            for record in part.records { frame.add(record, group: write.group) }
            store.framed(part.records)
            cursor.entry = 0
        }
        let start = cursor.entry
        while cursor.entry < write.entries.count {
            let entry = write.entries[cursor.entry]
            let bytes = frame.bytes(adding: FrameBuilder.bytes(of: entry))
            // One entry alone may be longer than a frame usually gets.
            guard bytes <= limit || (frame.isEmpty && bytes <= left) else { break }
            frame.add(entry, group: write.group)
            cursor.entry += 1
        }
        part.entries = write.entries[start..<cursor.entry]
        if !part.records.isEmpty || !part.entries.isEmpty { framed.append(part) }
        guard cursor.entry == write.entries.count else { return false }
        // What they commit counts now that the last of them are here.
        if let hardState = write.hardState, commitsItself(write) { postpone(hardState, of: store) }
        return true
    }

    /// Whether a write commits entries that it brings.
    ///
    /// It may be split over frames: its commit index must not be durable before its entries are.
    private func commitsItself(_ write: GroupWrite) -> Bool {
        guard let hardState = write.hardState, let before = write.before else { return false }
        return hardState.commit > before.index
    }

    /// The term and vote that go before a write's entries, with a commit index below them.
    private func durable(_ hardState: HardState?, with write: GroupWrite) -> HardState? {
        guard var hardState, let before = write.before, commitsItself(write) else {
            return hardState
        }
        hardState.commit = before.index
        return hardState
    }

    /// Lets a commit index go along with this frame, as its group's last record.
    private func postpone(_ hardState: HardState, of store: GroupStore) {
        if store.lazyHardState == nil { lazy.append(store) }
        store.lazyHardState = hardState
    }

    /// Whether a write only moves the commit index, which consensus finds again by itself.
    ///
    /// It costs no sync: it goes along with the next frame, and counts at once.
    private func isLazy(_ write: GroupWrite, _ store: GroupStore) -> Bool {
        guard write.entries.isEmpty, write.controls.isEmpty else { return false }
        guard let next = write.hardState else { return true }
        return next.term == store.state.hardState.term && next.vote == store.state.hardState.vote
    }

    private func addLazy(left: Int) {
        for store in lazy {
            // nil when a newer term or vote was put into the frame since.
            guard let record = store.lazyHardState.map(WALRecord.hardState),
                frame.bytes(adding: FrameBuilder.bytes(of: record)) <= left
            else { continue }
            frame.add(record, group: store.state.identity.group)
        }
    }

    /// The frame is durable: its changes count, and those who wait are told.
    private func applyFrame() {
        for part in framed {
            for record in part.records {
                part.store.apply(record)
                if case .tombstone = record { bury(part.store) }
            }
            guard !part.entries.isEmpty else { continue }
            for entry in part.entries {
                part.store.append(entry, before: part.before)
                waitingBytes += FrameBuilder.bytes(of: entry)
            }
            if !part.store.isWaiting { waiting.append(part.store) }
            part.store.isWaiting = true
        }
        framed.removeAll(keepingCapacity: true)
        for store in lazy {
            if let hardState = store.lazyHardState { store.apply(.hardState(hardState)) }
            store.lazyHardState = nil
        }
        lazy.removeAll(keepingCapacity: true)
        backlog.removeFirst(cursor.item)
        cursor.item = 0
        let done = finished
        finished.removeAll(keepingCapacity: true)
        for completion in done { completion(.success(())) }
    }
}
