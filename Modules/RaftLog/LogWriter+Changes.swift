import Disk
import Model
import Raft
import Synchronization

extension LogWriter {
    /// Turns a change into writes, at its turn.
    func admit(_ item: inout WriteItem) {
        switch item.change {
        case .writes: break
        case .create(let store, let join):
            let group = store.state.identity.group
            let isNew = registry.withLock { registry in
                guard registry[group] == nil, dying[group] == nil else { return false }
                registry[group] = store
                return true
            }
            guard isNew else { return refuse(&item, .groupExists(group)) }
            var records: [WALRecord] = [.created(store.state.identity)]
            // A replica that joins knows no members until the leader's entries name them.
            if join { records.append(.configuration(ConfState(), at: 0)) }
            item.change = .writes([GroupWrite(group: group, controls: records)])
        case .delete(let group):
            guard let store = registry.withLock({ $0.removeValue(forKey: group) }) else {
                return refuse(&item, .unknownGroup(group))
            }
            dying[group] = store
            let tombstone = WALRecord.tombstone(store.state.identity.topicID)
            item.change = .writes([GroupWrite(group: group, controls: [tombstone])])
        case .snapshotSaved(let store, let mark, let snapshot):
            let group = store.state.identity.group
            // The group may be deleted by now, and even created again.
            guard self.store(of: group) === store else {
                return refuse(&item, .unknownGroup(group))
            }
            admit(mark, snapshot, of: store, &item)
        case .close:
            closing = item.completion
            item = WriteItem(change: .writes([]), completion: { _ in })
        }
    }

    private func refuse(_ item: inout WriteItem, _ error: RaftLogError) {
        let completion = item.completion
        item = WriteItem(change: .writes([]), completion: { _ in completion(.failure(error)) })
    }

    /// A snapshot's file is durable: says so, and lets whole segments before it go.
    private func admit(
        _ mark: SnapshotMark,
        _ snapshot: Snapshot,
        of store: GroupStore,
        _ item: inout WriteItem
    ) {
        // A newer one may have come meanwhile, perhaps in this very frame.
        guard mark.point.index > store.framedSnapshot else {
            item.change = .writes([])
            return
        }
        var records: [WALRecord] = [.snapshot(mark)]
        let place = store.placeToCut(after: mark.point.index)
        if place.index > store.state.start.index { records.append(.prefixTruncated(place)) }
        let completion = item.completion
        item.change = .writes([GroupWrite(group: store.state.identity.group, controls: records)])
        item.completion = { result in
            if case .success = result { store.publish(snapshot, start: place) }
            completion(result)
        }
    }

    /// Writes a leader's snapshot, so that its record never names a file that is not there.
    func save(_ install: SnapshotInstall, of store: GroupStore) throws(DiskError) {
        try store.makeDirectory(segments)
        try files.syncDirectory("\(root)/partitions")
        let bytes = SnapshotFile.encoded(
            install.snapshot,
            at: install.mark.point,
            store.state.identity,
            segments.cluster
        )
        try SnapshotFile.write(
            bytes,
            index: install.mark.point.index,
            in: store.directory,
            files
        )
    }

    /// The tombstone is durable: takes the directory out of the way and empties it later.
    func bury(_ store: GroupStore) {
        let identity = store.state.identity
        dying[identity.group] = nil
        waiting.removeAll { $0 === store }
        segments.forget(directory: store.directory)
        guard store.hasDirectory else { return }
        tombstones.append(identity)
        let grave = "\(root)/partitions/deleted-\(identity.group)-\(nextFrame)"
        let (files, root) = (files, root)
        do throws(DiskError) {
            try files.rename(store.directory, to: grave)
        } catch {
            return halt(.disk(error))
        }
        backgroundStep { () throws(DiskError) in
            try Recovery.removeTree(grave, files)
            try files.syncDirectory("\(root)/partitions")
            self.step { writer throws(DiskError) in
                writer.tombstones.removeAll { $0.group == identity.group }
            }
        }
    }
}
