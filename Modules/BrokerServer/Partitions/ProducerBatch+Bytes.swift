import Raft
import RecordBatch

extension ProducerBatch {
    /// The producer's part of a batch header; nil if no idempotent producer sent the batch.
    ///
    /// A control batch ends a transaction and carries no sequence number.
    init?(_ header: RecordBatchHeader) {
        guard header.hasProducer, header.recordCount > 0, !header.attributes.contains(.control)
        else { return nil }
        self.init(
            producerID: header.producerID,
            epoch: header.producerEpoch,
            firstSequence: header.baseSequence,
            recordCount: header.recordCount)
    }

    /// The producer's part of a payload that is one record batch.
    init?(_ payload: Payload) {
        let size = RecordBatchHeader.size
        guard payload.count >= size else { return nil }
        let header = withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { bytes in
            var filled = 0
            payload.storage?.withUnsafeParts { part in
                let count = min(part.count, bytes.count - filled)
                guard count > 0 else { return }
                UnsafeMutableRawBufferPointer(rebasing: bytes[filled..<filled + count])
                    .copyMemory(from: UnsafeRawBufferPointer(rebasing: part[..<count]))
                filled += count
            }
            return filled == size ? RecordBatchHeader(UnsafeRawBufferPointer(bytes)) : nil
        }
        guard let header else { return nil }
        self.init(header)
    }
}
