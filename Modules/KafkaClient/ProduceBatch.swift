import KafkaProtocol
import NIOCore
import RecordBatch

/// The number of a producer, which the brokers gave out.
struct ProducerIdentity: Equatable {
    let id: Int64
    let epoch: Int16
}

/// A whole batch that waits for its answer, or for its turn.
///
/// - Thread: the client's event loop.
final class ProduceBatch {
    let partition: PartitionName
    let tags: [UInt64]
    /// The size of its records before compression, which counts against the buffer's limit.
    let bufferedBytes: Int
    let deadline: NIODeadline
    private(set) var bytes: [UInt8]
    /// The sequence number of its first record, once it has one.
    private(set) var sequence: Int32?
    /// Whether a broker may have written it: it was sent, and no answer said otherwise.
    var mayExist = false
    /// What the last try ended with.
    var lastError: KafkaClientError?

    init(
        partition: PartitionName,
        bytes: [UInt8],
        tags: [UInt64],
        bufferedBytes: Int,
        deadline: NIODeadline,
        sequence: Int32?
    ) {
        self.partition = partition
        self.bytes = bytes
        self.tags = tags
        self.bufferedBytes = bufferedBytes
        self.deadline = deadline
        self.sequence = sequence
    }

    var recordCount: Int { tags.count }

    /// Numbers the batch; the checksum changes with it.
    func number(_ identity: ProducerIdentity, sequence: Int32) {
        self.sequence = sequence
        RecordBatchHeader.restamp(
            &bytes,
            producer: (identity.id, identity.epoch, sequence)
        )
    }

    /// Takes the number away, before another producer's is given.
    func forgetNumber() { sequence = nil }

    /// Writes the body of a produce request that holds just this batch.
    ///
    /// By hand and not by the generated code, which would want the bytes copied once more; the
    /// tests read it with the generated code.
    func writeRequest(
        to writer: inout KafkaWriter,
        version: Int16,
        acks: Acks,
        timeoutMilliseconds: Int32
    ) {
        let flexible = version >= 9
        writer.writeNullableString(nil, flexible: flexible)
        writer.writeInteger(acks.rawValue)
        writer.writeInteger(timeoutMilliseconds)
        writer.writeLength(1, flexible: flexible)
        writer.writeString(partition.topic, flexible: flexible)
        writer.writeLength(1, flexible: flexible)
        writer.writeInteger(partition.partition)
        writer.writeLength(bytes.count, flexible: flexible)
        bytes.withUnsafeBytes { writer.writeRawBytes($0) }
        // No tags: of the partition, of the topic, of the request.
        if flexible { for _ in 0..<3 { writer.writeUnsignedVarint(0) } }
    }
}
