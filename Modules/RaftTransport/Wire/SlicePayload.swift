import NIOCore
import Raft

/// A payload that is no record batch: a piece of the frame in which it arrived.
final class SlicePayload: PayloadStorage {
    let bytes: ByteBuffer

    init(_ bytes: ByteBuffer) {
        self.bytes = bytes
    }

    var count: Int { bytes.readableBytes }

    func withUnsafeParts(_ body: (UnsafeRawBufferPointer) -> Void) {
        bytes.withUnsafeReadableBytes(body)
    }
}
