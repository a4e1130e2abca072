/// Bytes that somebody else owns: a record batch, for instance, in the memory it arrived in.
///
/// - Invariant: neither the count nor the bytes ever change.
public protocol PayloadStorage: AnyObject, Sendable {
    /// The total number of bytes.
    var count: Int { get }

    /// Calls `body` with each contiguous part, in order; together they are `count` bytes.
    func withUnsafeParts(_ body: (UnsafeRawBufferPointer) -> Void)
}

/// An entry's or a snapshot's bytes, opaque to consensus, shared and never copied by it.
public struct Payload: Sendable {
    /// The number of bytes.
    public let count: Int
    /// Who owns the bytes; nil exactly when the payload was made empty.
    public let storage: (any PayloadStorage)?

    /// No bytes.
    public static let empty = Payload([])

    /// Keeps the array as the payload.
    public init(_ bytes: [UInt8]) {
        self.count = bytes.count
        self.storage = bytes.isEmpty ? nil : ArrayPayload(bytes)
    }

    /// Shares somebody else's bytes.
    public init(_ storage: any PayloadStorage) {
        self.count = storage.count
        self.storage = storage
    }

    /// The bytes, copied into an array.
    public func copyBytes() -> [UInt8] {
        guard let storage else { return [] }
        if let array = storage as? ArrayPayload { return array.bytes }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        storage.withUnsafeParts { bytes.append(contentsOf: $0) }
        return bytes
    }
}

extension Payload: Equatable {
    /// Compares the bytes, after a look at whether they are the very same ones.
    public static func == (lhs: Payload, rhs: Payload) -> Bool {
        if lhs.storage === rhs.storage { return true }
        return lhs.count == rhs.count && lhs.copyBytes() == rhs.copyBytes()
    }
}

/// A payload in an array of its own.
private final class ArrayPayload: PayloadStorage {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var count: Int { bytes.count }

    func withUnsafeParts(_ body: (UnsafeRawBufferPointer) -> Void) { bytes.withUnsafeBytes(body) }
}
