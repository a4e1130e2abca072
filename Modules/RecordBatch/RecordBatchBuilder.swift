/// Puts records together into one batch.
///
/// - Shape: uncompressed unless `build` is given compressed records; base offset 0 and epoch -1
///   until a leader stamps them.
public struct RecordBatchBuilder {
    private var records: [UInt8] = []
    private var count: Int32 = 0
    private var baseTimestamp: Int64?
    private var maxTimestamp: Int64 = -1

    /// The idempotent producer's id, epoch and first sequence number.
    public var producer: (id: Int64, epoch: Int16, baseSequence: Int32)?
    /// Flags to set; the codec's bits are set by `build`.
    public var attributes: RecordBatchHeader.Attributes = []

    /// An empty batch.
    public init() {}

    /// How many records were added.
    public var recordCount: Int { Int(count) }
    /// The size of the batch if it was built now, uncompressed.
    public var size: Int { RecordBatchHeader.size + records.count }

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
        var body: [UInt8] = [0]
        body.reserveCapacity(32 + (key?.count ?? 0) + (value?.count ?? 0))
        Varint.append(timestamp &- base, to: &body)
        Varint.append(Int64(count), to: &body)
        Self.append(key, to: &body)
        Self.append(value, to: &body)
        Varint.append(Int64(headers.count), to: &body)
        for header in headers {
            Self.append(header.key, to: &body)
            Self.append(header.value, to: &body)
        }
        Varint.append(Int64(body.count), to: &records)
        records.append(contentsOf: body)
        count += 1
    }

    private static func append(_ bytes: [UInt8]?, to body: inout [UInt8]) {
        guard let bytes else { return Varint.append(-1, to: &body) }
        Varint.append(Int64(bytes.count), to: &body)
        body.append(contentsOf: bytes)
    }

    /// The batch's bytes; `compress` turns the records into the codec's bytes.
    ///
    /// - Invariant: at least one record was added.
    public func build(
        codec: Int = 0,
        compress: ([UInt8]) -> [UInt8] = { $0 }
    ) -> [UInt8] {
        precondition(count > 0, "a batch without records")
        let body = compress(records)
        let size = RecordBatchHeader.size + body.count
        var batch = [UInt8](repeating: 0, count: RecordBatchHeader.size)
        batch.reserveCapacity(size)
        batch.store(Int32(size - RecordBatchHeader.lengthPrefix), at: 8)
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
        batch.append(contentsOf: body)
        let checksum = batch.withUnsafeBytes {
            crc32c(UnsafeRawBufferPointer(rebasing: $0[21...]))
        }
        batch.store(checksum, at: 17)
        return batch
    }

    /// A batch of one record without a producer.
    public static func single(key: [UInt8]?, value: [UInt8]?, timestamp: Int64) -> [UInt8] {
        var builder = RecordBatchBuilder()
        builder.append(key: key, value: value, timestamp: timestamp)
        return builder.build()
    }
}

extension [UInt8] {
    /// Overwrites bytes by a big-endian integer.
    fileprivate mutating func store<T: FixedWidthInteger>(_ value: T, at position: Int) {
        withUnsafeMutableBytes {
            $0.storeBytes(of: value.bigEndian, toByteOffset: position, as: T.self)
        }
    }
}
