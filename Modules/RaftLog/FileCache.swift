import Disk
import Synchronization

/// Files that are open for reading, the least recently used ones closed first.
///
/// - Thread: any.
final class FileCache: Sendable {
    /// A segment and the ending of one of its files.
    struct Key: Hashable {
        var segment: UInt64
        var ending: String
    }

    private struct State {
        var files: [Key: (file: any OpenFile, use: UInt64)] = [:]
        var uses: UInt64 = 0
    }

    private let state = Mutex(State())
    /// Where the files are.
    let store: any FileStore
    private let countMax: Int

    init(files: any FileStore, countMax: Int) {
        store = files
        self.countMax = max(1, countMax)
    }

    /// The open file of a segment.
    ///
    /// The key is the segment and not the path: a file that was removed and made again under its
    /// name is another one.
    func file(_ path: String, _ key: Key) throws(DiskError) -> any OpenFile {
        let known = state.withLock { state -> (any OpenFile)? in
            state.uses += 1
            state.files[key]?.use = state.uses
            return state.files[key]?.file
        }
        if let known { return known }
        let file = try store.open(path, .read)
        state.withLock { state in
            state.files[key] = (file, state.uses)
            guard state.files.count > countMax else { return }
            // A quarter at once, so that finding the oldest is paid for by many opens.
            let oldest = state.files.sorted { $0.value.use < $1.value.use }
            for (old, _) in oldest.prefix(max(1, countMax / 4)) { state.files[old] = nil }
        }
        return file
    }
}
