/// Bytes that a streaming library writes piece by piece, never more than a limit.
///
/// - Invariant: `bytes.count <= limit`. One byte more is room enough to see that a stream is
///   too large, so that it is refused and not cut off.
struct BoundedOutput {
    private(set) var bytes: [UInt8] = []
    private let limit: Int
    private var piece: Int

    /// The first piece has room for `expected` bytes, later ones for twice as much each.
    init(limit: Int, expected: Int) {
        self.limit = limit
        self.piece = min(max(expected, 256), 1 << 20)
    }

    /// Lets `write` fill the next piece and takes what it says it wrote.
    mutating func grow(
        _ write: (UnsafeMutableRawBufferPointer) -> Int
    ) throws(CompressionError) {
        let old = bytes.count
        let room = min(piece, limit - old) + 1
        bytes.append(contentsOf: repeatElement(0, count: room))
        let written = bytes.withUnsafeMutableBytes {
            write(UnsafeMutableRawBufferPointer(rebasing: $0[old..<old + room]))
        }
        precondition(written >= 0 && written <= room, "\(written) bytes in a piece of \(room)")
        bytes.removeLast(room - written)
        guard bytes.count <= limit else { throw .tooLarge(limit: limit) }
        piece = min(piece * 2, 4 << 20)
    }
}
