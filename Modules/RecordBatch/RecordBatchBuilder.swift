/// Puts records together into one batch.
///
/// - Shape: uncompressed unless `build` is given compressed records; base offset 0 and epoch -1
///   until a leader stamps them.
public struct RecordBatchBuilder {
    /// Room for the header, then the records, so that building an uncompressed batch moves nothing.
    private var bytes: [UInt8]
    private var count: Int32 = 0
    private var baseTimestamp: Int64?
    private var maxTimestamp: Int64 = -1

    /// The idempotent producer's id, epoch and first sequence number.
    public var producer: (id: Int64, epoch: Int16, baseSequence: Int32)?
    /// Flags to set; the codec's bits are set by `build`.
    public var attributes: RecordBatchHeader.Attributes = []

    /// An empty batch, with memory for `capacity` bytes.
    public init(capacity: Int = 256) {
        bytes = []
        bytes.reserveCapacity(max(capacity, RecordBatchHeader.size))
        bytes.append(contentsOf: repeatElement(0, count: RecordBatchHeader.size))
    }

    /// How many records were added.
    public var recordCount: Int { Int(count) }
    /// The size of the batch if it was built now, uncompressed.
    public var size: Int { bytes.count }

    /// Adds a record with a timestamp in milliseconds since 1970.
    public mutating func append(
        key: [UInt8]?,
        value: [UInt8]?,
        headers: [Record.Header] = [],
        timestamp: Int64
    ) {
        let base = baseTimestamp ?? timestamp
        baseTimestamp = base
        maxTimestamp = max(maxTimestamp, timestamp)
        let delta = timestamp &- base
        var size = 1 + Varint.size(delta) + Varint.size(Int64(count))
        size += Self.size(key) + Self.size(value) + Varint.size(Int64(headers.count))
        for header in headers { size += Self.size(header.key) + Self.size(header.value) }
        Varint.append(Int64(size), to: &bytes)
        let start = bytes.count
        bytes.append(0)
        Varint.append(delta, to: &bytes)
        Varint.append(Int64(count), to: &bytes)
        append(key)
        append(value)
        Varint.append(Int64(headers.count), to: &bytes)
        for header in headers {
            append(header.key)
            append(header.value)
        }
        precondition(bytes.count - start == size, "a record of \(bytes.count - start), not \(size)")
        count += 1
    }

    private static func size(_ content: [UInt8]?) -> Int {
        guard let content else { return 1 }
        return Varint.size(Int64(content.count)) + content.count
    }

    private mutating func append(_ content: [UInt8]?) {
        guard let content else { return Varint.append(-1, to: &bytes) }
        Varint.append(Int64(content.count), to: &bytes)
        bytes.append(contentsOf: content)
    }

    /// The batch's bytes, uncompressed.
    ///
    /// - Invariant: at least one record was added.
    public func build() -> [UInt8] { sealed(bytes, codec: 0) }

    /// The batch's bytes; `compress` turns the records into the codec's bytes.
    ///
    /// - Invariant: at least one record was added.
    public func build<Failure: Error>(
        codec: Int,
        compress: ([UInt8]) throws(Failure) -> [UInt8]
    ) throws(Failure) -> [UInt8] {
        let records = try compress(Array(bytes[RecordBatchHeader.size...]))
        return sealed(Array(bytes[..<RecordBatchHeader.size]) + records, codec: codec)
    }

    private func sealed(_ bytes: [UInt8], codec: Int) -> [UInt8] {
        precondition(count > 0, "a batch without records")
        var batch = bytes
        batch.store(Int32(batch.count - RecordBatchHeader.lengthPrefix), at: 8)
        batch.store(Int32(-1), at: 12)
        batch.store(Int8(2), at: 16)
        batch.store(attributes.rawValue & ~7 | Int16(codec), at: 21)
        batch.store(count - 1, at: 23)
        batch.store(baseTimestamp ?? -1, at: 27)
        batch.store(maxTimestamp, at: 35)
        batch.store(producer?.id ?? -1, at: 43)
        batch.store(producer?.epoch ?? -1, at: 51)
        batch.store(producer?.baseSequence ?? -1, at: 53)
        batch.store(count, at: 57)
        batch.storeChecksum()
        return batch
    }

    /// A batch of one record without a producer.
    public static func single(key: [UInt8]?, value: [UInt8]?, timestamp: Int64) -> [UInt8] {
        var builder = RecordBatchBuilder()
        builder.append(key: key, value: value, timestamp: timestamp)
        return builder.build()
    }
}

extension RecordBatchHeader {
    /// Gives a whole batch another producer and sequence, and the checksum that goes with them.
    ///
    /// - Invariant: `batch` was built by `RecordBatchBuilder`.
    public static func restamp(
        _ batch: inout [UInt8],
        producer: (id: Int64, epoch: Int16, baseSequence: Int32)
    ) {
        precondition(batch.count > size, "a batch of \(batch.count) bytes")
        batch.store(producer.id, at: 43)
        batch.store(producer.epoch, at: 51)
        batch.store(producer.baseSequence, at: 53)
        batch.storeChecksum()
    }
}

extension [UInt8] {
    /// Computes the checksum of a whole batch and stores it.
    fileprivate mutating func storeChecksum() {
        let checksum = withUnsafeBytes { crc32c(UnsafeRawBufferPointer(rebasing: $0[21...])) }
        store(checksum, at: 17)
    }

    /// Overwrites bytes by a big-endian integer.
    fileprivate mutating func store<T: FixedWidthInteger>(_ value: T, at position: Int) {
        withUnsafeMutableBytes {
            $0.storeBytes(of: value.bigEndian, toByteOffset: position, as: T.self)
        }
    }
}
