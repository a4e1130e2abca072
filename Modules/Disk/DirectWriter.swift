import Glibc
import Synchronization

/// Writes bulk past the page cache, where file system and device allow it.
///
/// What goes through the page cache costs memory that the kernel must find first, and a copy that
/// somebody has to write out later, in the way of the next sync. Whole blocks go straight to the
/// device instead; what is left at both ends goes through the page cache as usual. The kernel keeps
/// the two in step: it writes cached pages out before a direct write and drops them after it.
/// - Thread: any; one bulk write at a time in the process.
/// - Source: open(2), NOTES on O_DIRECT.
final class DirectWriter: Sendable {
    /// Positions and lengths are multiples of this, as is the buffer's address.
    static let blockBytes = 4096
    /// Writes below this go through the page cache: a device call each would cost more.
    static let bulkBytesMin = 128 << 10

    /// `O_DIRECT`, which glibc's headers hide behind a feature macro; it differs by architecture.
    #if arch(arm64)
        private static let directFlag: Int32 = 0o200000
    #else
        private static let directFlag: Int32 = 0o40000
    #endif

    private enum State {
        case untried
        case open(Int32)
        case unavailable
    }

    /// Aligned memory that all files share: a writer has one thread.
    private static let buffer = Mutex(AlignedBuffer(bytes: 1 << 20))

    private let state = Mutex(State.untried)

    deinit {
        state.withLock { state in
            if case .open(let descriptor) = state { close(descriptor) }
        }
    }

    /// Whether a write of so many bytes is worth a call to the device.
    static func isBulk(_ bytes: Int) -> Bool { bytes >= bulkBytesMin }

    /// A descriptor of the same file that goes past the page cache; nil if there cannot be one.
    func descriptor(of file: Int32) -> Int32? {
        state.withLock { state in
            switch state {
            case .open(let descriptor): return descriptor
            case .unavailable: return nil
            case .untried:
                // By the open file and not by its name, which may be another's by now.
                let made = Glibc.open(
                    "/proc/self/fd/\(file)",
                    O_WRONLY | Self.directFlag | O_CLOEXEC
                )
                state = made >= 0 ? .open(made) : .unavailable
                return made >= 0 ? made : nil
            }
        }
    }

    /// Never tries again: the file system refuses direct writes.
    func giveUp() {
        state.withLock { state in
            if case .open(let descriptor) = state { close(descriptor) }
            state = .unavailable
        }
    }

    /// Writes whole blocks; returns how many bytes were written before an error, and the error.
    ///
    /// - Parameter count: a multiple of `blockBytes`, as is `position`.
    static func write(
        _ source: inout PartCursor,
        count: Int,
        to descriptor: Int32,
        at position: UInt64
    ) -> (done: Int, error: Int32) {
        buffer.withLock { buffer in
            var done = 0
            while done < count {
                let piece = min(count - done, buffer.bytes)
                source.copy(piece, to: buffer.base)
                var written = 0
                while written < piece {
                    let result = pwrite(
                        descriptor,
                        buffer.base + written,
                        piece - written,
                        off_t(position) + off_t(done + written)
                    )
                    if result < 0, errno == EINTR { continue }
                    if result < 0 { return (done, errno) }
                    // A short write that ends within a block cannot go on from there.
                    if result == 0 || result % blockBytes != 0 { return (done, EINVAL) }
                    written += result
                }
                done += piece
            }
            return (done, 0)
        }
    }
}

/// Memory whose address is a multiple of a block.
private struct AlignedBuffer: ~Copyable, @unchecked Sendable {
    let base: UnsafeMutableRawPointer
    let bytes: Int

    init(bytes: Int) {
        self.bytes = bytes
        base = .allocate(byteCount: bytes, alignment: DirectWriter.blockBytes)
    }

    deinit { base.deallocate() }
}

/// A place in a list of parts.
struct PartCursor {
    private let parts: [UnsafeRawBufferPointer]
    private var part = 0
    private var offset = 0

    init(_ parts: [UnsafeRawBufferPointer]) { self.parts = parts }

    /// Copies the next `count` bytes, which must be there, and moves on.
    mutating func copy(_ count: Int, to target: UnsafeMutableRawPointer) {
        var done = 0
        for piece in take(count) {
            guard let base = piece.baseAddress else { continue }
            (target + done).copyMemory(from: base, byteCount: piece.count)
            done += piece.count
        }
    }

    /// The next `count` bytes, which must be there, as parts.
    mutating func take(_ count: Int) -> [UnsafeRawBufferPointer] {
        var taken: [UnsafeRawBufferPointer] = []
        var left = count
        while left > 0 {
            let rest = parts[part].count - offset
            let size = min(rest, left)
            if size > 0 {
                taken.append(
                    UnsafeRawBufferPointer(rebasing: parts[part][offset..<offset + size])
                )
            }
            left -= size
            offset += size
            if offset == parts[part].count {
                part += 1
                offset = 0
            }
        }
        return taken
    }
}
