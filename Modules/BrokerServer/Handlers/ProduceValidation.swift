import KafkaProtocol
import NIOCore
import RaftLog
import RecordBatch

/// What a producer's batch must be before it enters the log.
///
/// - Source: kafka.md (b), "Broker validation": header and checksum always, records never; the
///   broker does not decompress.
enum ProduceValidation {
    enum Result {
        case valid(RecordBatchHeader, BatchPayload)
        case invalid(KafkaError, String)
    }

    private static let zstandard = 4
    /// The first version of Produce whose clients all understand zstd.
    private static let zstandardVersion: Int16 = 7

    static func check(_ records: ByteBuffer, bytesMax: Int, version: Int16) -> Result {
        guard records.readableBytes <= bytesMax else {
            return .invalid(
                .messageTooLarge,
                "\(records.readableBytes) bytes are more than the topic's limit of \(bytesMax)")
        }
        switch records.withUnsafeReadableBytes({ RecordBatchHeader.validate($0) }) {
        case .failure(let error): return .invalid(error.kafkaError, "\(error)")
        case .success(let header):
            guard !header.attributes.contains(.transactional) else {
                return .invalid(.invalidTransactionState, "transactions are not served")
            }
            guard header.attributes.codec != zstandard || version >= zstandardVersion else {
                return .invalid(.unsupportedCompressionType, "zstd needs Produce 7 or newer")
            }
            guard let payload = BatchPayload(batch: records) else {
                return .invalid(.corruptMessage, "not one record batch")
            }
            return .valid(header, payload)
        }
    }
}

extension RecordBatchError {
    /// Kafka's error for a batch that is refused.
    var kafkaError: KafkaError {
        switch self {
        case .badSize, .badChecksum: .corruptMessage
        case .badMagic: .unsupportedForMessageFormat
        case .badCount, .badAttributes: .invalidRecord
        case .unknownCodec: .unsupportedCompressionType
        }
    }
}
