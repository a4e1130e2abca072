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
