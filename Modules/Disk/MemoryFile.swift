import Glibc

/// An open file of a file system in memory.
final class MemoryFile: OpenFile {
    let path: String
    private let files: MemoryFiles
    private let inode: Int
    private let life: Int

    init(files: MemoryFiles, path: String, inode: Int, life: Int) {
        self.files = files
        self.path = path
        self.inode = inode
        self.life = life
    }

    func size() throws(DiskError) -> UInt64 {
        try access(.size) { (inode, _) throws(DiskError) in UInt64(inode.current.count) }
    }

    func read(
        into buffer: UnsafeMutableRawBufferPointer,
        at position: UInt64
    ) throws(DiskError) -> Int {
        try access(.read) { (inode, state) throws(DiskError) in
            try state.checkRead(path)
            let start = Int(clamping: position)
            if let place = inode.unreadable, place.overlaps(start..<start + buffer.count) {
                throw DiskError(.read, path, EIO)
            }
            return inode.read(into: buffer, at: start)
        }
    }

    func write(_ parts: [UnsafeRawBufferPointer], at position: UInt64) throws(DiskError) {
        let count = parts.reduce(0) { $0 + $1.count }
        let torn = { (inode: inout MemoryInode, random: inout MemoryRandom) in
            // The call that dies may have written any part of what it was given.
            inode.write(Self.prefix(parts, random.below(count + 1)), at: Int(position))
        }
        try change(.write, "write \(path) \(position)+\(count)", wounded: torn) {
            if let betrayal = $1.takeBetrayal(path) {
                let range = Int(position)..<Int(position) + count
                let bytes = parts.reduce(into: [UInt8]()) { $0 += Array($1) }
                $0.lose(range, bytes, strays: betrayal.strays, waits: betrayal.waits)
            }
            $0.write(parts, at: Int(position))
        }
    }

    func allocate(from start: UInt64, to end: UInt64) throws(DiskError) {
        try change(.allocate, "allocate \(path) \(start)..<\(end)") { bytes, _ in
            bytes.allocate(to: Int(end))
        }
    }

    func sync() throws(DiskError) {
        let dropped = { (inode: inout MemoryInode, _: inout MemoryRandom) in inode.forgetDirty() }
        try change(.sync, "sync \(path)", wounded: dropped) {
            if let lost = $0.sync() { $1.lose(lost, of: path, &$0) }
        }
    }

    func truncate(to size: UInt64) throws(DiskError) {
        try change(.truncate, "truncate \(path) \(size)") { bytes, _ in
            bytes.truncate(to: Int(size))
        }
    }

    private func access<Value>(
        _ operation: DiskError.Operation,
        _ body: (inout MemoryInode, inout MemoryFiles.State) throws(DiskError) -> Value
    ) throws(DiskError) -> Value {
        try files.withState { state throws(DiskError) in
            try state.check(operation, path)
            guard state.life == life, var bytes = state.inodes[inode] else {
                throw DiskError(operation, path, EBADF)
            }
            // Taken out and put back, so that the arrays inside are never copied.
            state.inodes[inode] = MemoryInode()
            defer { state.inodes[inode] = bytes }
            return try body(&bytes, &state)
        }
    }

    private func change(
        _ operation: DiskError.Operation,
        _ line: @autoclosure () -> String,
        wounded: ((inout MemoryInode, inout MemoryRandom) -> Void)? = nil,
        _ body: (inout MemoryInode, inout MemoryFiles.State) -> Void
    ) throws(DiskError) {
        try files.pause(operation, path)
        try access(operation) { (bytes, state) throws(DiskError) in
            do throws(DiskError) { try state.change(operation, path, line()) } catch {
                // A failed sync drops dirty pages; when the machine dies, the loss decides.
                if operation != .sync || !state.isDead { wounded?(&bytes, &state.random) }
                throw error
            }
            body(&bytes, &state)
        }
    }

    private static func prefix(
        _ parts: [UnsafeRawBufferPointer],
        _ count: Int
    ) -> [UnsafeRawBufferPointer] {
        var left = count
        var result: [UnsafeRawBufferPointer] = []
        for part in parts where left > 0 {
            result.append(UnsafeRawBufferPointer(rebasing: part.prefix(left)))
            left -= min(left, part.count)
        }
        return result
    }
}
