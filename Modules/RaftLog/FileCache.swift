import Disk
import Synchronization

/// Files that are open for reading, the least recently used ones closed first.
///
/// - Thread: any.
final class FileCache: Sendable {
    private struct State {
        var files: [String: (file: any OpenFile, use: UInt64)] = [:]
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

    /// The open file of a path.
    func file(_ path: String) throws(DiskError) -> any OpenFile {
        let known = state.withLock { state -> (any OpenFile)? in
            state.uses += 1
            state.files[path]?.use = state.uses
            return state.files[path]?.file
        }
        if let known { return known }
        let file = try store.open(path, .read)
        state.withLock { state in
            state.files[path] = (file, state.uses)
            guard state.files.count > countMax else { return }
            // A quarter at once, so that finding the oldest is paid for by many opens.
            let oldest = state.files.sorted { $0.value.use < $1.value.use }
            for (path, _) in oldest.prefix(max(1, countMax / 4)) { state.files[path] = nil }
        }
        return file
    }

    /// Forgets the files below a directory.
    func forget(directory: String) {
        state.withLock { state in
            for path in state.files.keys where path.hasPrefix(directory + "/") {
                state.files[path] = nil
            }
        }
    }
}
