import Glibc
import Synchronization

/// An open file of the kernel's file system.
final class RealFile: OpenFile {
    let path: String
    private let descriptor: Int32
    private let direct = DirectWriter()

    init(descriptor: Int32, path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    func size() throws(DiskError) -> UInt64 {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw DiskError(.size, path, errno) }
        return UInt64(status.st_size)
    }

    func read(
        into buffer: UnsafeMutableRawBufferPointer,
        at position: UInt64
    ) throws(DiskError) -> Int {
        guard let base = buffer.baseAddress else { return 0 }
        var done = 0
        while done < buffer.count {
            let count = pread(
                descriptor,
                base + done,
                buffer.count - done,
                off_t(position) + off_t(done)
            )
            if count < 0 {
                if errno == EINTR { continue }
                throw DiskError(.read, path, errno)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    func write(_ parts: [UnsafeRawBufferPointer], at position: UInt64) throws(DiskError) {
        var next = 0
        var position = position
        while next < parts.count {
            // One call takes at most IOV_MAX parts.
            let end = min(next + 1024, parts.count)
            position += try write(parts[next..<end], at: position)
            next = end
        }
    }

    private func write(
        _ parts: ArraySlice<UnsafeRawBufferPointer>,
        at position: UInt64
    ) throws(DiskError) -> UInt64 {
        let descriptor = descriptor
        let result = withUnsafeTemporaryAllocation(of: iovec.self, capacity: parts.count) {
            vectors -> Result<UInt64, DiskError> in
            var total = 0
            for (slot, part) in parts.enumerated() {
                vectors[slot] = iovec(
                    iov_base: UnsafeMutableRawPointer(mutating: part.baseAddress),
                    iov_len: part.count
                )
                total += part.count
            }
            var first = 0
            var done = 0
            while done < total {
                let count = pwritev(
                    descriptor,
                    vectors.baseAddress.map { $0 + first },
                    Int32(vectors.count - first),
                    off_t(position) + off_t(done)
                )
                if count < 0 {
                    if errno == EINTR { continue }
                    return .failure(DiskError(.write, path, errno))
                }
                // A regular file that takes nothing and says no error would make us turn for ever.
                if count == 0 { return .failure(DiskError(.write, path, EIO)) }
                done += count
                Self.skip(count, vectors, &first)
            }
            return .success(UInt64(total))
        }
        return try result.get()
    }

    /// Takes the written bytes off the vectors, so that the next call goes on behind them.
    private static func skip(
        _ count: Int,
        _ vectors: UnsafeMutableBufferPointer<iovec>,
        _ first: inout Int
    ) {
        var left = count
        while first < vectors.count, left >= vectors[first].iov_len {
            left -= vectors[first].iov_len
            first += 1
        }
        if left > 0 {
            vectors[first].iov_base += left
            vectors[first].iov_len -= left
        }
    }

    func writeBulk(
        _ parts: [UnsafeRawBufferPointer],
        at position: UInt64
    ) throws(DiskError) {
        let total = parts.reduce(0) { $0 + $1.count }
        guard DirectWriter.isBulk(total), let target = direct.descriptor(of: descriptor) else {
            return try write(parts, at: position)
        }
        let block = UInt64(DirectWriter.blockBytes)
        let start = (position + block - 1) / block * block
        let end = (position + UInt64(total)) / block * block
        var cursor = PartCursor(parts)
        try write(cursor.take(Int(start - position)), at: position)
        var rest = cursor
        let count = Int(end - start)
        let (done, code) = DirectWriter.write(&cursor, count: count, to: target, at: start)
        // Some file systems take the flag at open and refuse the write.
        if code == EINVAL {
            direct.giveUp()
        } else if code != 0 {
            throw DiskError(.write, path, code)
        }
        _ = rest.take(done)
        let left = total - Int(start - position) - done
        try write(rest.take(left), at: start + UInt64(done))
    }

    func allocate(from start: UInt64, to end: UInt64) throws(DiskError) {
        guard start < end else { return }
        let code = posix_fallocate(descriptor, off_t(start), off_t(end - start))
        guard code == 0 else { throw DiskError(.allocate, path, code) }
    }

    func sync() throws(DiskError) {
        guard fdatasync(descriptor) == 0 else { throw DiskError(.sync, path, errno) }
    }

    func truncate(to size: UInt64) throws(DiskError) {
        guard ftruncate(descriptor, off_t(size)) == 0 else {
            throw DiskError(.truncate, path, errno)
        }
    }
}

/// A directory's lock; the kernel drops it when the process ends.
final class RealLock: DirectoryLock {
    private let descriptor: Mutex<Int32>

    init(descriptor: Int32) { self.descriptor = Mutex(descriptor) }

    deinit { release() }

    func release() {
        descriptor.withLock { held in
            if held >= 0 { close(held) }
            held = -1
        }
    }
}
