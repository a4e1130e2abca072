import NIOCore

/// One encoded answer: a first part with size and header, and perhaps parts behind it.
///
/// - Shape: the parts end to end are the bytes on the wire. Parts behind the head are slices of
///   the log, which are sent without being copied.
struct KafkaResponse {
    var head: ByteBuffer
    var tail: [ByteBuffer] = []

    var count: Int { tail.reduce(head.readableBytes) { $0 + $1.readableBytes } }
}
