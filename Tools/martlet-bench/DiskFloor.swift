import Glibc
import NIOCore
import ToolSupport

/// What the disk can do by itself: no cluster can be faster.
struct DiskFloor: Sendable {
    /// The median of an fdatasync after 4 KiB were overwritten.
    var syncP50: UInt64 = 0
    /// Its 99th percentile.
    var syncP99: UInt64 = 0
    /// Bytes per second that are overwritten and synced, 1 MiB at a time.
    var bytesPerSecond = 0.0
    /// Bytes per second that go into a file that grows, through the page cache and unsynced.
    ///
    /// Where the kernel must first find memory this is slower than the disk; every replica's
    /// segments pay it.
    var newBytesPerSecond = 0.0

    /// Measures for about two seconds, in a file that is deleted again.
    static func measure(folder: String) throws -> DiskFloor {
        let path = "\(folder)/martlet-bench-\(getpid())"
        let file = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            let reason = String(cString: strerror(errno))
            throw ToolFailure(
                .usage,
                "cannot create \(path): \(reason)",
                advice: "--disk needs a folder on the brokers' disk that you may write to."
            )
        }
        defer {
            close(file)
            unlink(path)
        }
        let size = 256 << 20
        let piece = [UInt8](repeating: 0x5a, count: 1 << 20)
        // Written once beforehand: syncing a file that grows would measure its growth.
        var floor = DiskFloor()
        let began = NIODeadline.now()
        for position in stride(from: 0, to: size, by: piece.count) {
            guard pwrite(file, piece, piece.count, position) == piece.count else {
                throw ToolFailure(
                    .refused,
                    "cannot write \(path): \(String(cString: strerror(errno)))"
                )
            }
        }
        floor.newBytesPerSecond =
            Double(size) * 1e9 / Double((NIODeadline.now() - began).nanoseconds)
        fdatasync(file)
        var latency = LatencyHistogram()
        var position = 0
        repeatFor(.seconds(1)) {
            let start = NIODeadline.now()
            pwrite(file, piece, 4096, position)
            fdatasync(file)
            latency.add(nanoseconds: UInt64((NIODeadline.now() - start).nanoseconds))
            position = (position + 4096) % size
        }
        floor.syncP50 = latency.percentile(0.5)
        floor.syncP99 = latency.percentile(0.99)
        var written = 0
        let start = NIODeadline.now()
        repeatFor(.seconds(1)) {
            pwrite(file, piece, piece.count, written % size)
            fdatasync(file)
            written += piece.count
        }
        let seconds = Double((NIODeadline.now() - start).nanoseconds) / 1e9
        floor.bytesPerSecond = Double(written) / seconds
        return floor
    }

    private static func repeatFor(_ time: TimeAmount, _ body: () -> Void) {
        let end = NIODeadline.now() + time
        while NIODeadline.now() < end { body() }
    }
}
