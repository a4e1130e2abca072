import Glibc

/// A small seeded generator, so that a test's losses can be repeated.
struct MemoryRandom: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(max(1, limit))) }
}

extension MemoryFiles {
    /// A call that shall fail, once.
    struct Fault {
        var operation: DiskError.Operation?
        var path: String
        var code: Int32
        var skip: Int

        func matches(_ operation: DiskError.Operation, _ path: String) -> Bool {
            (self.operation == nil || self.operation == operation)
                && (self.path.isEmpty || path.contains(self.path))
        }
    }

    /// A write that the disk shall lose although it says that it has kept it.
    struct Betrayal {
        var path: String
        var skip: Int
        var strays: MemoryRandom?
        var waits: Bool
    }

    /// What a power loss leaves of the bytes and names that were not synced.
    public enum Loss: Sendable {
        /// Nothing.
        case everythingUnsynced
        /// Each sector with one chance in two, and any prefix of the changes of names.
        case random(seed: UInt64)
        /// Every byte, while all changes of names stay.
        case unsyncedBytes
        /// Every change of names, while all bytes stay.
        case unsyncedNames
        /// All of it, as when a process is killed and the kernel lives.
        case nothing
    }

    /// How many changing calls there were; reads are not counted.
    public var changeCount: Int { peek { $0.changes } }

    /// The changing calls so far, one line each; empty unless logging was asked for.
    public var operations: [String] { peek { $0.log ?? [] } }

    /// Lets a changing call fail once: the first one that matches after `skip` others.
    ///
    /// A failed write has written a random part of its bytes; a failed sync leaves the pages
    /// clean and the disk without them.
    public func fail(
        _ operation: DiskError.Operation? = nil,
        path: String = "",
        skip: Int = 0,
        code: Int32 = EIO
    ) {
        change {
            $0.faults.append(Fault(operation: operation, path: path, code: code, skip: skip))
        }
    }

    /// Lets a read fail once: the first one whose path contains `path`, after `skip` others.
    public func failRead(path: String = "", skip: Int = 0, code: Int32 = EIO) {
        change { $0.faults.append(Fault(operation: .read, path: path, code: code, skip: skip)) }
    }

    /// Makes the sector at a place of a file unreadable until it is written to as a whole.
    @discardableResult
    public func breakSector(of path: String, at position: Int) -> Bool {
        change { state in
            guard case .file(let inode) = state.names[path] else { return false }
            let start = position / MemoryInode.sectorBytes * MemoryInode.sectorBytes
            state.inodes[inode]?.unreadable = start..<start + MemoryInode.sectorBytes
            return true
        }
    }

    /// Lets the disk lose a write although the sync after it succeeds.
    ///
    /// It is the first one whose path contains `path`, after `skip` others. The place keeps, and
    /// shows, what it held before.
    ///
    /// - Parameter straysTo: a seed that draws where on the disk the bytes land instead: in this
    ///   file before the right place, or in another one outside of directories named `wal`.
    /// - Parameter waits: whether nothing is lost before something later in the same file is
    ///   durable. A disk that loses the last thing that was written to it cannot be told from one
    ///   that was never given it.
    public func loseWrite(
        path: String = "",
        skip: Int = 0,
        straysTo seed: UInt64? = nil,
        waits: Bool = true
    ) {
        let strays = seed.map(MemoryRandom.init(state:))
        change {
            $0.betrayal = Betrayal(path: path, skip: skip, strays: strays, waits: waits)
        }
    }

    /// Lets the disk keep everything that it has not lost yet.
    public func loseNoWrite() {
        change { state in
            state.betrayal = nil
            for inode in state.inodes.keys.sorted() { state.inodes[inode]?.keepLost() }
        }
    }

    /// The writes that the disk has lost in this way so far, one line each.
    public var lostWrites: [String] { peek { $0.lostWrites } }

    /// Cuts the power in the `count`th changing call from the beginning of the file system.
    ///
    /// That call and all later ones fail until ``restart(after:)``.
    public func cut(at count: Int) { change { $0.cutAt = count } }

    /// Whether the power was cut.
    public var isCut: Bool { peek { $0.isDead } }

    /// Ends this life of the machine or the process: open files and locks are gone.
    public func restart(after loss: Loss) {
        change { state in
            state.life += 1
            state.locks.removeAll()
            state.faults.removeAll()
            state.cutAt = nil
            state.isDead = false
            switch loss {
            case .nothing: break
            case .everythingUnsynced:
                state.losePower {
                    false
                } prefix: { _ in
                    0
                }
            case .unsyncedBytes:
                state.losePower {
                    false
                } prefix: { count in
                    count
                }
            case .unsyncedNames:
                state.losePower {
                    true
                } prefix: { _ in
                    0
                }
            case .random(let seed):
                var random = MemoryRandom(state: seed)
                let names = random.below(state.pending.count + 1)
                state.losePower {
                    random.next() & 1 == 0
                } prefix: { _ in
                    names
                }
            }
        }
    }

    /// A file's bytes as a reader sees them; nil when there is no such file.
    public func contents(of path: String) -> [UInt8]? {
        peek { state in
            guard case .file(let inode) = state.names[path] else { return nil }
            return state.inodes[inode]?.current
        }
    }

    /// Replaces a file's bytes durably and behind everybody's back; false when it is missing.
    @discardableResult
    public func replaceContents(of path: String, with bytes: [UInt8]) -> Bool {
        change { state in
            guard case .file(let inode) = state.names[path] else { return false }
            state.inodes[inode]?.replace(with: bytes)
            return true
        }
    }

    /// Flips one bit of a file, durably.
    @discardableResult
    public func flipBit(of path: String, at bit: Int) -> Bool {
        guard var bytes = contents(of: path), bit / 8 < bytes.count else { return false }
        bytes[bit / 8] ^= 1 << UInt8(bit % 8)
        return replaceContents(of: path, with: bytes)
    }

    /// All files, sorted by path.
    public var paths: [String] {
        peek { state in
            state.names.nodes.compactMap { $1 == .directory ? nil : $0 }.sorted()
        }
    }

    func unlock(_ directory: String, life: Int) {
        change { if $0.life == life { $0.locks.remove(directory) } }
    }

    private func peek<Value>(_ body: (State) -> Value) -> Value {
        change { body($0) }
    }

    @discardableResult
    private func change<Value>(_ body: (inout State) -> Value) -> Value {
        do throws(DiskError) {
            return try withState { state throws(DiskError) in body(&state) }
        } catch {
            preconditionFailure("a body that cannot throw threw \(error)")
        }
    }
}

extension MemoryFiles.State {
    fileprivate mutating func losePower(
        keeping keeps: () -> Bool,
        prefix: (Int) -> Int
    ) {
        for slot in 0..<prefix(pending.count) { pending[slot].isSynced = true }
        _ = durableNames.apply(synced: pending)
        pending.removeAll()
        durableNames.dropOrphans()
        names = durableNames
        // In the order of their numbers, so that one seed gives one result.
        for inode in inodes.keys.sorted() { inodes[inode]?.losePower(keeping: keeps) }
    }
}

extension MemoryFiles.State {
    /// Fails when a fault says so.
    mutating func checkRead(_ path: String) throws(DiskError) {
        for slot in faults.indices
        where faults[slot].operation == .read && faults[slot].matches(.read, path) {
            faults[slot].skip -= 1
            guard faults[slot].skip < 0 else { continue }
            throw DiskError(.read, path, faults.remove(at: slot).code)
        }
    }

    /// Whether this write is to be lost.
    mutating func takeBetrayal(_ path: String) -> MemoryFiles.Betrayal? {
        guard let next = betrayal, path.contains(next.path) else { return nil }
        betrayal?.skip -= 1
        guard next.skip <= 0 else { return nil }
        betrayal = nil
        return next
    }

    /// A write is lost: its bytes go elsewhere, or nowhere.
    mutating func lose(_ lost: MemoryInode.LostWrite, of path: String, _ own: inout MemoryInode) {
        lostWrites.append("\(path) \(lost.range.lowerBound)+\(lost.range.count)")
        guard var random = lost.strays else { return }
        let others = names.nodes.compactMap { name, node in
            if case .file(let inode) = node, name != path, !name.contains("/wal/") {
                (name: name, inode: inode)
            } else {
                nil
            }
        }.sorted { $0.name < $1.name }
        let sector = MemoryInode.sectorBytes
        let room = lost.range.lowerBound - lost.new.count
        var target = (path: path, position: 0)
        if room >= 0, others.isEmpty || random.below(2) == 0 {
            target.position = random.below(room + 1) / sector * sector
            own.place(lost.new, at: target.position)
        } else if !others.isEmpty {
            let (name, inode) = others[random.below(others.count)]
            let count = inodes[inode]?.current.count ?? 0
            target = (name, random.below(count) / sector * sector)
            inodes[inode]?.place(lost.new, at: target.position)
        }
        lostWrites[lostWrites.count - 1] += ", found at \(target.path) \(target.position)"
    }
}
