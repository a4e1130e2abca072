public import Compression
public import NIOCore

/// When a record counts as written; the raw value stands in the request.
public enum Acks: Int16, Sendable, CaseIterable {
    /// As soon as it is sent: nobody says whether it arrived.
    case none = 0
    /// When its leader has it on stable storage.
    case leader = 1
    /// When a majority has it on stable storage.
    case all = -1
}

/// How a producer sends.
public struct ProducerOptions: Sendable {
    /// When a record counts as written.
    public var acks = Acks.all
    /// Whether retries are recognised by the broker, so that no record is written twice.
    ///
    /// Counts with `acks` of `.all` only.
    public var isIdempotent = true
    /// How batches are compressed.
    public var codec = CompressionCodec.none
    /// The size at which a batch is sent, 64 KiB; 1 sends every record alone.
    public var batchBytesMax = 64 << 10
    /// How long a batch that is not full waits for more records; 0 waits for the turn's end.
    public var linger = TimeAmount.zero
    /// Batches of a partition that are sent and not yet answered; 5.
    ///
    /// A broker remembers five batches per producer and partition: with idempotence no more are
    /// in flight, whatever this says.
    public var inFlightPerPartitionMax = 5
    /// Bytes of records that are accepted and not yet reported; 32 MiB.
    public var bufferedBytesMax = 32 << 20
    /// How long a record may take from `append` to its report; 30 s.
    public var deliveryTimeout = TimeAmount.seconds(30)

    /// The defaults.
    public init() {}

    var numbersBatches: Bool { isIdempotent && acks == .all }
    var window: Int { numbersBatches ? min(inFlightPerPartitionMax, 5) : inFlightPerPartitionMax }
}
