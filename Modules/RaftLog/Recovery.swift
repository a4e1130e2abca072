import Disk
import Model
import NIOCore
import Raft

/// What the writer starts from.
struct RecoveredState {
    var stores: [RaftGroupID: GroupStore] = [:]
    var walFiles: [WALFile] = []
    var checkpointSequence: UInt64
    var nextFile: UInt64
    var nextFrame: UInt64
    /// A sentence when the write-ahead log itself is damaged.
    var damage: String?
    /// Whether the last write was cut short by a crash.
    var hasTornEnd = false
}

/// Brings a data directory into the state that was acknowledged.
///
/// The write-ahead log is folded over the last checkpoint; segments are believed only up to the
/// checkpoint and not past the first entry that was cut since, and everything later is written to
/// them again, even where it reads back equal. Then a new checkpoint frees the old log's files.
///
/// - Thread: the one that opens the directory; nothing else runs yet.
struct Recovery {
    let root: String
    let directory: DataDirectory
    let files: any FileStore
    let options: RaftLogOptions
    let progress: RecoveryProgress
    private let writer: SegmentWriter

    init(
        root: String,
        directory: DataDirectory,
        files: any FileStore,
        options: RaftLogOptions,
        progress: @escaping (String) -> Void
    ) {
        self.root = root
        self.directory = directory
        self.files = files
        self.options = options
        self.progress = RecoveryProgress(say: progress)
        writer = SegmentWriter(
            root: root,
            cluster: directory.cluster ?? ClusterID(.zero),
            files: files,
            options: options
        )
    }

    func run() throws(RaftLogError) -> RecoveredState {
        try reading { () throws(DiskError) in
            // A process that was killed may have left names that only the kernel knows.
            for path in [root, "\(root)/wal", "\(root)/partitions"] {
                try files.syncDirectory(path)
            }
        }
        let newest = try Checkpoint.newest(in: root, directory.id, files, syncs: true)
        guard let (checkpoint, checkpointName) = newest else {
            throw .missingHardState(path: "\(root)/\(Checkpoint.names[0])")
        }
        let wal = try WALScanner.open("\(root)/wal", directory.id, files, syncs: true) { count in
            progress.note("opened \(count) files of the write-ahead log")
        }
        var scanner = WALScanner(files: wal, id: directory.id, from: checkpoint.replayFrom)
        var fold = LogFold(checkpoint)
        // The most that may have to be read; files before the checkpoint's are not.
        let most = wal.reduce(0) { sum, file in
            sum + (file.sequence >= checkpoint.replayFrom.file ? file.bytes : 0)
        }
        while let frame = try scanner.next() {
            try fold.take(frame, path: scanner.files[frame.file].file.path)
            progress.read(frame.header.bytes, of: most)
        }
        guard let end = scanner.end else { preconditionFailure("the scan has not ended") }
        try fold.finish(end)
        let place: WALPosition
        var damage: String?
        switch end {
        case .tail(let tail): place = tail
        case .hole(let hole):
            place = hole
            damage =
                "bad frame at file \(hole.file), byte \(hole.position), with a valid one after it"
        }
        let lastFile = max(place.file, scanner.files.last?.sequence ?? 0)
        var recovered = RecoveredState(
            checkpointSequence: checkpoint.sequence + 1,
            // The next number may stand in a name or in a frame whose file's header was lost.
            nextFile: lastFile + 2,
            nextFrame: place.frame,
            damage: damage,
            hasTornEnd: scanner.hasTornEnd
        )
        progress.begin()
        let payloads = fold.groups.values.reduce(0) { sum, folded in
            folded.entries.reduce(sum) { $0 + UInt64($1.row.length) }
        }
        for group in fold.groups.keys.sorted() {
            guard let folded = fold.groups[group] else { continue }
            recovered.stores[group] = try restore(folded, scanner.files, of: payloads)
            if recovered.stores.count % 100 == 0 {
                progress.note("recovered \(recovered.stores.count) of \(fold.groups.count) groups")
            }
        }
        recovered.walFiles = wal.map {
            WALFile(file: $0.file, sequence: $0.sequence, bytes: $0.bytes)
        }
        try complete(&recovered, fold.tombstones, checkpointName)
        return recovered
    }

    /// Makes the recovered state independent of the old write-ahead log, and clears away.
    private func complete(
        _ recovered: inout RecoveredState,
        _ tombstones: [GroupIdentity],
        _ checkpointName: String
    ) throws(RaftLogError) {
        let stores = recovered.stores.values.sorted {
            $0.state.identity.group < $1.state.identity.group
        }
        for store in stores { store.beginCheckpoint() }
        try removeDeleted(tombstones, stores, isDamaged: recovered.damage != nil)
        let checkpoint = Checkpoint(
            sequence: recovered.checkpointSequence,
            replayFrom: WALPosition(
                file: recovered.nextFile,
                position: UInt64(WALFormat.blockBytes),
                frame: recovered.nextFrame
            ),
            groups: stores.map(\.state),
            tombstones: []
        )
        let walFiles = recovered.walFiles
        recovered.walFiles = try reading { () throws(DiskError) in
            let dirty = writer.takeDirty()
            for file in dirty.files {
                try file.sync()
                progress.synced(of: dirty.files.count)
            }
            for path in dirty.directories { try files.syncDirectory(path) }
            try checkpoint.write(to: root, directory.id, files, last: checkpointName)
            for store in stores where store.state.suspicion == nil {
                try store.endCheckpoint(files)
                try removeStrangers(store)
            }
            return try complete(walFiles)
        }
    }

    /// Files of another size than the settings' are kept; ones that were never filled are filled.
    private func complete(_ found: [WALFile]) throws(DiskError) -> [WALFile] {
        var whole: [WALFile] = []
        for file in found {
            var file = file
            let bytes = UInt64(options.walFileBytes)
            if file.bytes < bytes {
                file.file = try WALFiles.fill(file.file.path, bytes: bytes, directory.id, files)
                file.bytes = bytes
            }
            whole.append(file)
        }
        return whole
    }

    /// Removes deleted groups' directories; a directory that no group owns is a refusal.
    private func removeDeleted(
        _ tombstones: [GroupIdentity],
        _ stores: [GroupStore],
        isDamaged: Bool
    ) throws(RaftLogError) {
        let partitions = "\(root)/partitions"
        let living = Set(stores.map(\.state.identity.directoryName))
        let deleted = Set(tombstones.map(\.directoryName))
        let names = try reading { () throws(DiskError) in try files.list(partitions) }
        for name in names where !living.contains(name) && !name.hasPrefix("lost-") {
            let path = "\(partitions)/\(name)"
            if deleted.contains(name) || name.hasPrefix("deleted-") {
                try reading { () throws(DiskError) in try Self.removeTree(path, files) }
            } else if isDamaged {
                // Its record may lie behind the hole: out of the way, but kept.
                try reading { () throws(DiskError) in
                    try files.rename(path, to: "\(partitions)/lost-\(name)")
                }
            } else {
                throw .missingHardState(path: path)
            }
        }
        try reading { () throws(DiskError) in try files.syncDirectory(partitions) }
    }

    /// Removes what recovery did not take over from a group's directory.
    private func removeStrangers(_ store: GroupStore) throws(DiskError) {
        guard store.hasDirectory else { return }
        let known = Set(store.state.segments)
        let snapshot = store.state.snapshot.map { SnapshotFile.name($0.point.index) }
        for name in try files.list(store.directory) {
            let isStranger =
                SegmentPath.first(in: name).map { !known.contains($0) }
                ?? (name.hasSuffix(".tmp") || (name.hasSuffix(".snapshot") && name != snapshot))
            if isStranger { try files.remove("\(store.directory)/\(name)") }
        }
    }

    /// Removes a directory of files.
    static func removeTree(_ path: String, _ files: any FileStore) throws(DiskError) {
        guard files.kind(of: path) == .directory else { return }
        for name in try files.list(path) { try files.remove("\(path)/\(name)") }
        try files.removeDirectory(path)
    }

    // MARK: Groups

    /// Builds a group's store: the believed part of its segments, and the rest written again.
    private func restore(
        _ folded: FoldedGroup,
        _ wal: [WALScanner.File],
        of payloadBytes: UInt64
    ) throws(RaftLogError) -> GroupStore {
        let path = "\(root)/partitions/\(folded.state.identity.directoryName)"
        do {
            let store = try believed(folded, path)
            try rewrite(folded, into: store, wal, of: payloadBytes)
            return store
        } catch {
            switch error {
            case .damaged(let path, let reason):
                var state = folded.state
                state.suspicion = state.suspicion ?? "\(path): \(reason)"
                progress.note("group \(state.identity.group) is damaged: \(path): \(reason)")
                return GroupStore(
                    suspect: state,
                    trusted: folded.trusted,
                    directory: path,
                    hasDirectory: files.kind(of: path) == .directory
                )
            default: throw error
            }
        }
    }

    private func believed(
        _ folded: FoldedGroup,
        _ path: String
    ) throws(RaftLogError) -> GroupStore {
        var state = folded.state
        let trusted = folded.trusted
        let firsts = state.segments.filter { $0 <= trusted && trusted > state.start.index }
        var segments: [Segment] = []
        var written = state.start
        for (number, first) in firsts.enumerated() {
            let next = number + 1 < firsts.count ? firsts[number + 1] : trusted + 1
            // What lies wholly before the log's beginning is a stranger now.
            guard next - 1 > state.start.index else { continue }
            let (segment, last) = try segment(first, last: next - 1, state.identity, path)
            segments.append(segment)
            written = LogPoint(after: last)
        }
        guard written.index == max(trusted, state.start.index) else {
            throw .damaged(path: path, reason: "the segments do not reach entry \(trusted)")
        }
        if folded.entries.isEmpty, written != state.end {
            throw .damaged(path: path, reason: "the last entry is not the checkpoint's")
        }
        state.terms.cut(from: written.index + 1)
        state.end = written
        return GroupStore(
            state: state,
            segments: segments,
            written: written,
            directory: path,
            isCreated: true,
            hasDirectory: files.kind(of: path) == .directory,
            isCut: folded.isCut
        )
    }

    /// Reads a segment's header and its last believed row.
    private func segment(
        _ first: LogIndex,
        last: LogIndex,
        _ identity: GroupIdentity,
        _ path: String
    ) throws(RaftLogError) -> (Segment, EntryRow) {
        let rowsPath = SegmentPath.of(path, first, "entries")
        let files = files
        guard files.kind(of: rowsPath) == .file else {
            throw .damaged(path: rowsPath, reason: "the file is missing")
        }
        let bytes = try readingGroup { () throws(DiskError) in
            try files.open(rowsPath, .read).read(SegmentHeader.bytes, at: 0)
        }
        let header = try SegmentHeader(
            reading: bytes,
            SegmentHeader.rowsMagic,
            path: rowsPath
        )
        guard header.group == identity.group, header.topic == identity.topicID,
            header.partition == identity.partition, header.before.index + 1 == first
        else { throw .damaged(path: rowsPath, reason: "the header is another segment's") }
        let span = GroupView.Span(
            first: first,
            last: last,
            firstOffset: header.before.nextOffset
        )
        let reader = SegmentReader(
            view: GroupView(
                identity: identity,
                directory: path,
                start: header.before,
                spans: [span],
                written: header.before
            ),
            files: FileCache(files: files, countMax: 4)
        )
        let row = try reader.row(at: last)
        var (logEnd, index) = (row.logEnd, row.index)
        var probe = row
        // A row of the side file does not say where the batches end: an earlier one does.
        while probe.flags.contains(.side) {
            guard index > first else {
                logEnd = 0
                break
            }
            index = index - 1
            probe = try reader.row(at: index)
            logEnd = probe.logEnd
        }
        let sidePath = SegmentPath.of(path, first, "side")
        let sideBytes = try reading { () throws(DiskError) in
            files.kind(of: sidePath) == .file ? try files.open(sidePath, .read).size() : 0
        }
        let segment = Segment(
            before: header.before,
            last: last,
            directory: path,
            logBytes: logEnd,
            sideBytes: sideBytes
        )
        return (segment, row)
    }

    /// Writes the entries of the write-ahead log to segments again.
    private func rewrite(
        _ folded: FoldedGroup,
        into store: GroupStore,
        _ wal: [WALScanner.File],
        of payloadBytes: UInt64
    ) throws(RaftLogError) {
        var before = store.state.end
        if let first = folded.entries.first?.row {
            let chain = Chain.next(
                after: before.chain,
                term: first.term,
                index: first.index,
                type: first.typeCode,
                payloadCRC: first.payloadCRC
            )
            guard chain == first.chain, first.index == before.index + 1 else {
                throw .damaged(path: store.directory, reason: "the chain breaks at \(first.index)")
            }
        }
        for entry in folded.entries {
            let payload = try Self.payload(of: entry, wal)
            store.append(LoggedEntry(row: entry.row, payload: payload), before: before)
            before = LogPoint(after: entry.row)
            if store.pendingBytes >= options.segmentBacklogBytesMax { try flush(store) }
            progress.wrote(Int(entry.row.length), of: payloadBytes)
        }
        try flush(store)
    }

    private func flush(_ store: GroupStore) throws(RaftLogError) {
        let writer = writer
        try reading { () throws(DiskError) in try store.flush(writer) }
    }

    /// An entry's payload out of the write-ahead log; it was verified when its frame was read.
    static func payload(
        of entry: WALEntry,
        _ wal: [WALScanner.File]
    ) throws(RaftLogError) -> Payload {
        guard entry.row.length > 0 else { return .empty }
        let file = wal[entry.file].file
        let bytes = try reading { () throws(DiskError) in
            try file.read(entry.row.length, at: entry.position)
        }
        guard Checksum.crc(bytes) == entry.row.payloadCRC else {
            throw .damaged(path: file.path, reason: "entry \(entry.row.index) changed while read")
        }
        return try SegmentReader.payload(of: entry.row, ByteBuffer(bytes: bytes), file.path)
    }
}
