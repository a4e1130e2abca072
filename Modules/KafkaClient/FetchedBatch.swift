import Compression
import Model
public import NIOCore
public import RecordBatch

/// A record as it was read from a partition.
public struct FetchedRecord: Equatable, Sendable {
    /// Its offset.
    public let offset: Int64
    /// Milliseconds since 1970, by the producer's clock or the broker's.
    public let timestamp: Int64
    /// Its key, or nil.
    public let key: [UInt8]?
    /// Its value; nil is a tombstone.
    public let value: [UInt8]?
    /// Its headers.
    public let headers: [Record.Header]
}

/// A batch as it was fetched: nothing behind the header is looked at until asked for.
public struct FetchedBatch: Sendable {
    /// Where it comes from.
    public let partition: PartitionName
    /// Its header.
    public let header: RecordBatchHeader
    /// The whole batch.
    public let bytes: ByteBuffer
    /// Records before this offset were not asked for.
    public let start: Int64
    /// Where the partition ended for consumers when this was fetched.
    public let highWatermark: Int64

    /// Records of a batch take at most this much memory when decompressed; 256 MiB.
    public static let recordsBytesMax = 256 << 20

    /// The records that were asked for; none for a batch that holds a marker.
    ///
    /// - Throws: ``KafkaClientError/badRecords(_:)`` when checksum, codec or records are damaged.
    public func records() throws(KafkaClientError) -> [FetchedRecord] {
        guard !header.attributes.contains(.control) else { return [] }
        guard let codec = CompressionCodec(rawValue: header.attributes.codec) else {
            throw bad("codec \(header.attributes.codec) is unknown")
        }
        let checksum = bytes.withUnsafeReadableBytes {
            crc32c(UnsafeRawBufferPointer(rebasing: $0[RecordBatchHeader.size - 40..<$0.count]))
        }
        guard checksum == header.crc else { throw bad("its checksum is wrong") }
        let packed = bytes.withUnsafeReadableBytes { Array($0[RecordBatchHeader.size...]) }
        let plain: [UInt8]
        do {
            plain = try codec.decompress(packed, limit: Self.recordsBytesMax)
        } catch {
            throw bad("\(error)")
        }
        var iterator = RecordIterator(plain, count: header.recordCount)
        var records: [FetchedRecord] = []
        while let record = iterator.next() {
            let offset = header.baseOffset.rawValue &+ Int64(record.offsetDelta)
            guard offset >= start else { continue }
            let isBrokersTime = header.attributes.contains(.logAppendTime)
            records.append(
                FetchedRecord(
                    offset: offset,
                    timestamp: isBrokersTime
                        ? header.maxTimestamp : header.baseTimestamp &+ record.timestampDelta,
                    key: record.key,
                    value: record.value,
                    headers: record.headers
                )
            )
        }
        guard !iterator.isDamaged else { throw bad("its records end early") }
        return records
    }

    private func bad(_ reason: String) -> KafkaClientError {
        .badRecords("\(partition) at offset \(header.baseOffset): \(reason)")
    }

    /// Cuts a fetch answer's records into batches; a batch that is cut off at the end is left out.
    static func split(
        _ records: ByteBuffer,
        partition: PartitionName,
        start: Int64,
        highWatermark: Int64
    ) throws(KafkaClientError) -> [FetchedBatch] {
        var batches: [FetchedBatch] = []
        var rest = records
        while rest.readableBytes >= RecordBatchHeader.size {
            guard let header = rest.withUnsafeReadableBytes({ RecordBatchHeader($0) }),
                header.length >= Int32(RecordBatchHeader.size - RecordBatchHeader.lengthPrefix),
                header.magic == 2, header.lastOffsetDelta >= 0, header.recordCount >= 0
            else { throw .badRecords("\(partition): no batch of format 2") }
            guard let bytes = rest.readSlice(length: header.batchSize) else { break }
            guard header.lastOffset.rawValue >= start else { continue }
            batches.append(
                FetchedBatch(
                    partition: partition,
                    header: header,
                    bytes: bytes,
                    start: start,
                    highWatermark: highWatermark
                )
            )
        }
        return batches
    }
}
