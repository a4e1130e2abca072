/// Sizes and limits of one data directory.
public struct RaftLogOptions: Sendable {
    /// The size of a WAL file in bytes, a multiple of 4096; default 64 MiB.
    public var walFileBytes = 64 << 20
    /// How many WAL files there may be; default 16, at least 2.
    public var walFilesMax = 16
    /// The size at which a segment is sealed, in bytes; default 1 GiB.
    public var segmentBytesMax = 1 << 30
    /// The first reservation of a segment, in bytes; doubles up to ``segmentStepBytesMax``.
    public var segmentStepBytesMin = 64 << 10
    /// The largest reservation of a segment at once, in bytes.
    public var segmentStepBytesMax = 32 << 20
    /// How many bytes of recent payloads are kept in memory for reading; default 64 MiB.
    public var tailCacheBytes = 64 << 20
    /// The largest frame in bytes: what one `pwritev` takes; default 8 MiB.
    public var frameBytesMax = 8 << 20
    /// How many durable bytes may wait for being written to segments; default 4 MiB.
    public var segmentBacklogBytesMax = 4 << 20
    /// How many files may be open for reading; default 256.
    public var openFilesMax = 256
    /// How many unsynced segment files bring a checkpoint about; default 4096.
    public var dirtyFilesMax = 4096
    /// Payloads up to this size are copied into the frame instead of being a part of their own.
    public var copiedPayloadBytesMax = 1024
    /// Called on the writer's thread when syncs took a second or more: the longest, and how many
    /// there were since the last call; once in ten seconds at most.
    public var onSlowSync: @Sendable (Duration, Int) -> Void = { _, _ in }
    /// What is counted where; default in the process's own registry.
    public var metrics = RaftLogMetrics()

    /// The defaults of a broker.
    public init() {}

    /// The defaults of a controller: 8 MiB × 2.
    public static var controller: RaftLogOptions {
        var options = RaftLogOptions()
        options.walFileBytes = 8 << 20
        options.walFilesMax = 2
        return options
    }

    /// The longest payload that one entry may have, in bytes.
    public var entryBytesMax: Int { walFileBytes - WALFormat.blockBytes * 4 }
}
