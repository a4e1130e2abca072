import KafkaProtocol
import Model
import NIOCore
import RaftLog

/// Encodes fetch answers so that record batches go from the log to the socket uncopied.
///
/// - Shape: FetchResponse, versions 4 to 12 (flexible from 12), written by hand because the
///   generated codec would copy the records into one buffer. A test decodes it with that codec.
struct FetchResponseWriter {
    private var writer: KafkaWriter
    private let version: Int16
    private var parts: [ByteBuffer] = []

    /// Batches below this size are copied: a copy is cheaper than two more pieces to send.
    private static let copyBytesMax = 8 << 10

    static func answer(_ request: KafkaRequest, error: KafkaError, _ items: [PendingFetch.Item]) {
        var response = FetchResponseWriter(
            writer: request.startResponse(), version: request.version)
        response.write(error, items)
        request.answer(response.finish())
    }

    init(writer: KafkaWriter, version: Int16) {
        self.writer = writer
        self.version = version
    }

    private var isFlexible: Bool { version >= 12 }

    /// Writes the whole body.
    mutating func write(_ error: KafkaError, _ items: [PendingFetch.Item]) {
        writer.writeInteger(Int32(0))
        if version >= 7 {
            writer.writeInteger(error.rawValue)
            writer.writeInteger(Int32(0))
        }
        let topics = Self.runs(of: items)
        writeCount(topics.count)
        for topic in topics {
            writer.writeString(items[topic.lowerBound].topic, flexible: isFlexible)
            writeCount(topic.count)
            for place in topic { write(items[place]) }
            writeNoTags()
        }
        writeNoTags()
    }

    /// The parts end to end; the first one is the answer's head.
    mutating func finish() -> KafkaResponse {
        guard let head = parts.first else {
            return KafkaResponse(head: KafkaRequest.withSize(writer, tailBytes: 0))
        }
        if writer.buffer.readableBytes > 0 { parts.append(writer.buffer) }
        let tail = Array(parts.dropFirst())
        let tailBytes = tail.reduce(0) { $0 + $1.readableBytes }
        var first = head
        first.setInteger(Int32(clamping: head.readableBytes - 4 + tailBytes), at: head.readerIndex)
        return KafkaResponse(head: first, tail: tail)
    }

    /// The places of `items` that follow each other with the same topic.
    private static func runs(of items: [PendingFetch.Item]) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for place in items.indices {
            if let last = runs.last, items[last.lowerBound].topic == items[place].topic {
                runs[runs.count - 1] = last.lowerBound..<place + 1
            } else {
                runs.append(place..<place + 1)
            }
        }
        return runs
    }

    private mutating func write(_ item: PendingFetch.Item) {
        let mayTell = item.error == .none || item.error == .offsetOutOfRange
        let watermark = mayTell ? item.partition?.highWatermark.rawValue ?? -1 : -1
        writer.writeInteger(item.partitionID)
        writer.writeInteger(item.error.rawValue)
        writer.writeInteger(watermark)
        writer.writeInteger(watermark)
        if version >= 5 {
            writer.writeInteger(mayTell ? item.partition?.logStartOffset.rawValue ?? -1 : -1)
        }
        // No transactions, so none was aborted.
        writeCount(0)
        if version >= 11 { writer.writeInteger(Int32(-1)) }
        write(records: item)
        writeNoTags()
    }

    private mutating func write(records item: PendingFetch.Item) {
        let bytes = item.bytes
        writer.writeLength(bytes, flexible: isFlexible)
        if let records = item.records { append(records) }
        for batch in item.batches {
            let (first, second) = batch.head
            // In memory order, as the log stamped them.
            writer.writeInteger(UInt64(bigEndian: first))
            writer.writeInteger(UInt64(bigEndian: second))
            append(batch.body)
        }
    }

    private mutating func append(_ bytes: ByteBuffer) {
        guard bytes.readableBytes > Self.copyBytesMax else {
            writer.writeRawBytes(bytes)
            return
        }
        parts.append(writer.buffer)
        parts.append(bytes)
        writer = KafkaWriter()
    }

    private mutating func writeCount(_ count: Int) {
        writer.writeLength(count, flexible: isFlexible)
    }

    private mutating func writeNoTags() {
        if isFlexible { writer.writeUnsignedVarint(0) }
    }
}
