import Glibc
import Synchronization

/// A file system in memory that forgets, as a real one does, what was not synced.
///
/// Tests count its changing calls, cut the power at any of them, let calls fail, flip bits, and
/// print what was done in which order.
///
/// - Shape: paths are absolute; `/` exists. A power loss keeps synced bytes and synced names,
///   plus a choice of unsynced 512-byte sectors and a prefix of the unsynced changes of names.
/// - Thread: any.
public final class MemoryFiles: FileStore {
    struct State {
        var names = MemoryNames()
        var durableNames = MemoryNames()
        var pending: [MemoryNames.Pending] = []
        var inodes: [Int: MemoryInode] = [:]
        var nextInode = 1
        var locks: Set<String> = []
        /// Counts power losses and kills: a handle of an earlier life is dead.
        var life = 0
        var changes = 0
        var faults: [Fault] = []
        var betrayal: Betrayal?
        var lostWrites: [String] = []
        var cutAt: Int?
        var isDead = false
        var random = MemoryRandom(state: 1)
        var log: [String]?
    }

    private let state: Mutex<State>
    private let gate = Mutex(Gate())

    /// A closure of its own type: a bare one would be wrapped anew at each look into the `Mutex`.
    private struct Gate {
        var opens: (@Sendable () -> Bool)?
    }

    /// An empty file system.
    ///
    /// - Parameter isLogging: whether ``operations`` are recorded.
    public init(isLogging: Bool = false) {
        var start = State()
        start.names.apply(.add("/", .directory))
        start.durableNames.apply(.add("/", .directory))
        start.log = isLogging ? [] : nil
        state = Mutex(start)
    }

    private init(_ copy: State) { state = Mutex(copy) }

    func withState<Value>(
        _ body: (inout State) throws(DiskError) -> Value
    ) throws(DiskError) -> Value {
        // `Mutex` rethrows what it is given; the result carries the typed error out.
        let result = state.withLock { state -> Result<Value, DiskError> in
            do throws(DiskError) { return .success(try body(&state)) } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Calls `gate` before every changing call, on the caller's thread, with no lock held.
    ///
    /// There a simulation lets time go by. When it returns false the call fails and changes
    /// nothing.
    public func setGate(_ gate: (@Sendable () -> Bool)?) {
        self.gate.withLock { $0.opens = gate }
    }

    func pause(_ operation: DiskError.Operation, _ path: String) throws(DiskError) {
        guard let opens = gate.withLock({ $0 }).opens else { return }
        if !opens() { throw DiskError(operation, path, EIO) }
    }

    /// Opens a file.
    public func open(_ path: String, _ mode: OpenMode) throws(DiskError) -> any OpenFile {
        if mode == .create { try pause(.open, path) }
        return try withState { state throws(DiskError) in
            try state.check(.open, path)
            switch state.names[path] {
            case .file(let inode):
                return MemoryFile(files: self, path: path, inode: inode, life: state.life)
            case .directory: throw DiskError(.open, path, EISDIR)
            case nil: break
            }
            guard mode == .create, state.names[MemoryNames.parent(of: path)] == .directory else {
                throw DiskError(.open, path, ENOENT)
            }
            try state.change(.open, path, "create \(path)")
            let inode = state.nextInode
            state.nextInode += 1
            state.inodes[inode] = MemoryInode()
            state.rename(.add(path, .file(inode)))
            return MemoryFile(files: self, path: path, inode: inode, life: state.life)
        }
    }

    /// The names in a directory, sorted.
    public func list(_ directory: String) throws(DiskError) -> [String] {
        try withState { state throws(DiskError) in
            try state.check(.list, directory)
            guard state.names[directory] == .directory else {
                throw DiskError(.list, directory, ENOENT)
            }
            return state.names.children(of: directory)
        }
    }

    /// What lies under a path.
    public func kind(of path: String) -> FileKind? {
        state.withLock { state in
            guard !state.isDead else { return nil }
            switch state.names[path] {
            case .file: return .file
            case .directory: return .directory
            case nil: return nil
            }
        }
    }

    /// Creates a directory.
    public func makeDirectory(_ path: String) throws(DiskError) {
        try pause(.makeDirectory, path)
        try withState { state throws(DiskError) in
            try state.check(.makeDirectory, path)
            switch state.names[path] {
            case .directory: return
            case .file: throw DiskError(.makeDirectory, path, EEXIST)
            case nil: break
            }
            guard state.names[MemoryNames.parent(of: path)] == .directory else {
                throw DiskError(.makeDirectory, path, ENOENT)
            }
            try state.change(.makeDirectory, path, "mkdir \(path)")
            state.rename(.add(path, .directory))
        }
    }

    /// Gives a file or directory another name.
    public func rename(_ path: String, to target: String) throws(DiskError) {
        try pause(.rename, path)
        try withState { state throws(DiskError) in
            try state.check(.rename, path)
            guard state.names[path] != nil else { throw DiskError(.rename, path, ENOENT) }
            try state.change(.rename, path, "rename \(path) to \(target)")
            state.rename(.rename(path, target))
        }
    }

    /// Removes a file.
    public func remove(_ path: String) throws(DiskError) {
        try pause(.remove, path)
        try withState { state throws(DiskError) in
            try state.check(.remove, path)
            guard let node = state.names[path] else { return }
            guard case .file = node else { throw DiskError(.remove, path, EISDIR) }
            try state.change(.remove, path, "remove \(path)")
            state.rename(.remove(path))
        }
    }

    /// Removes an empty directory.
    public func removeDirectory(_ path: String) throws(DiskError) {
        try pause(.remove, path)
        try withState { state throws(DiskError) in
            try state.check(.remove, path)
            guard let node = state.names[path] else { return }
            guard node == .directory else { throw DiskError(.remove, path, ENOTDIR) }
            guard state.names.children(of: path).isEmpty else {
                throw DiskError(.remove, path, ENOTEMPTY)
            }
            try state.change(.remove, path, "rmdir \(path)")
            state.rename(.remove(path))
        }
    }

    /// Makes the names in a directory durable.
    public func syncDirectory(_ path: String) throws(DiskError) {
        try pause(.syncDirectory, path)
        try withState { state throws(DiskError) in
            try state.check(.syncDirectory, path)
            guard state.names[path] == .directory else {
                throw DiskError(.syncDirectory, path, ENOENT)
            }
            try state.change(.syncDirectory, path, "syncdir \(path)")
            state.syncNames(in: path)
        }
    }

    /// Takes the lock of a directory.
    public func lock(_ directory: String) throws(DiskError) -> any DirectoryLock {
        try withState { state throws(DiskError) in
            try state.check(.lock, directory)
            guard state.names[directory] == .directory else {
                throw DiskError(.lock, directory, ENOENT)
            }
            guard state.locks.insert(directory).inserted else {
                throw DiskError(.lock, directory, EWOULDBLOCK)
            }
            return MemoryLock(files: self, directory: directory, life: state.life)
        }
    }

    /// A second file system with the same bytes, names and unsynced changes, without faults.
    public func copy() -> MemoryFiles {
        let copy = state.withLock { state in
            var copy = state
            copy.isDead = false
            copy.cutAt = nil
            copy.faults = []
            copy.locks = []
            copy.life += 1
            return copy
        }
        return MemoryFiles(copy)
    }
}

extension MemoryFiles.State {
    /// Fails when the machine is dead.
    func check(_ operation: DiskError.Operation, _ path: String) throws(DiskError) {
        guard !isDead else { throw DiskError(operation, path, EIO) }
    }

    /// Counts and records a changing call; fails when a fault or the cut says so.
    mutating func change(
        _ operation: DiskError.Operation,
        _ path: String,
        _ line: @autoclosure () -> String
    ) throws(DiskError) {
        changes += 1
        log?.append(line())
        if let cutAt, changes >= cutAt {
            isDead = true
            throw DiskError(operation, path, EIO)
        }
        for slot in faults.indices where faults[slot].matches(operation, path) {
            faults[slot].skip -= 1
            guard faults[slot].skip < 0 else { continue }
            let fault = faults.remove(at: slot)
            if let line = log?.popLast() { log?.append(line + " FAILS") }
            throw DiskError(operation, path, fault.code)
        }
    }

    mutating func rename(_ change: MemoryNames.Change) {
        names.apply(change)
        pending.append(MemoryNames.Pending(change: change))
    }

    mutating func syncNames(in directory: String) {
        for slot in pending.indices where pending[slot].change.concerns(directory) {
            pending[slot].isSynced = true
        }
        pending = durableNames.apply(synced: pending)
    }
}

/// A directory's lock in memory.
private final class MemoryLock: DirectoryLock {
    private let files: MemoryFiles
    private let directory: String
    private let life: Int
    private let isHeld = Mutex(true)

    init(files: MemoryFiles, directory: String, life: Int) {
        self.files = files
        self.directory = directory
        self.life = life
    }

    deinit { release() }

    func release() {
        let wasHeld = isHeld.withLock { held in
            defer { held = false }
            return held
        }
        guard wasHeld else { return }
        files.unlock(directory, life: life)
    }
}
