import NIOCore
import Raft

/// Raw memory that grows; appending is a copy and nothing else.
final class Scratch {
    private(set) var base: UnsafeMutableRawPointer
    private(set) var count = 0
    private var capacity: Int

    init(capacity: Int = 4096) {
        self.capacity = capacity
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    deinit { base.deallocate() }

    /// Forgets the bytes; memory above `keepBytesMax` is given back.
    func reset(keepBytesMax: Int = 1 << 20) {
        count = 0
        guard capacity > keepBytesMax else { return }
        base.deallocate()
        capacity = 4096
        base = .allocate(byteCount: capacity, alignment: 16)
    }

    /// Room for `bytes` more; the caller fills all of it at once.
    func extend(by bytes: Int) -> UnsafeMutableRawPointer {
        if count + bytes > capacity {
            capacity = max(capacity * 2, count + bytes)
            let larger = UnsafeMutableRawPointer.allocate(byteCount: capacity, alignment: 16)
            larger.copyMemory(from: base, byteCount: count)
            base.deallocate()
            base = larger
        }
        defer { count += bytes }
        return base + count
    }

    func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, bytes.count > 0 else { return }
        extend(by: bytes.count).copyMemory(from: source, byteCount: bytes.count)
    }
}

/// Lays payloads end to end for one `pwritev`: large ones by reference, small ones by copy.
///
/// - Thread: the writer's only.
/// - Invariant: whoever adds a payload keeps it alive until the parts were written; a batch's body
///   is immutable, so that its bytes stay where they are for as long as it lives.
final class PartsBuilder {
    private struct Piece {
        /// The bytes, or nil for bytes of `copies`.
        var base: UnsafeRawPointer?
        /// Where they begin in `copies`.
        var place: Int
        var count: Int
    }

    private let copies = Scratch()
    private var pieces: [Piece] = []
    private let copiedBytesMax: Int
    /// How many bytes were laid out.
    private(set) var byteCount = 0

    init(copiedBytesMax: Int) { self.copiedBytesMax = copiedBytesMax }

    func reset() {
        copies.reset()
        pieces.removeAll(keepingCapacity: true)
        byteCount = 0
    }

    func add(_ payload: Payload) {
        guard let storage = payload.storage else { return }
        guard let batch = storage as? BatchPayload else {
            storage.withUnsafeParts { copy($0) }
            return
        }
        withUnsafeBytes(of: batch.head) { copy($0) }
        batch.body.withUnsafeReadableBytesWithStorageManagement { bytes, _ in
            if bytes.count <= copiedBytesMax { copy(bytes) } else { refer(to: bytes) }
        }
    }

    func copy(_ bytes: UnsafeRawBufferPointer) {
        let place = copies.count
        copies.append(bytes)
        byteCount += bytes.count
        if let last = pieces.indices.last, pieces[last].base == nil {
            pieces[last].count += bytes.count
        } else {
            pieces.append(Piece(base: nil, place: place, count: bytes.count))
        }
    }

    private func refer(to bytes: UnsafeRawBufferPointer) {
        pieces.append(Piece(base: bytes.baseAddress, place: 0, count: bytes.count))
        byteCount += bytes.count
    }

    /// Appends the parts in order; valid until the next change.
    func collect(into parts: inout [UnsafeRawBufferPointer]) {
        for piece in pieces {
            let start = piece.base ?? UnsafeRawPointer(copies.base + piece.place)
            parts.append(UnsafeRawBufferPointer(start: start, count: piece.count))
        }
    }
}
