public import Model
public import NIOCore

/// Reads Kafka's types from a frame, one after the other.
///
/// - Invariant: every length is checked against the bytes that are left before anything is
///   allocated for it; no bytes make it trap.
/// - Source: the Kafka protocol guide, "Protocol Primitive Types"; KIP-482.
public struct KafkaReader {
    private var buffer: ByteBuffer

    /// Reads from the buffer's readable bytes.
    public init(_ buffer: ByteBuffer) { self.buffer = buffer }

    /// How many bytes are left.
    public var bytesLeft: Int { buffer.readableBytes }

    /// The bytes that are left, uncopied.
    public var rest: ByteBuffer { buffer }

    /// Throws if a byte is left.
    public func expectEnd() throws(KafkaCodecError) {
        guard bytesLeft == 0 else { throw .trailingBytes }
    }

    // MARK: Fixed sizes

    /// Reads a big-endian integer.
    @inlinable
    public mutating func readInteger<T: FixedWidthInteger>(
        as type: T.Type = T.self
    ) throws(KafkaCodecError) -> T {
        guard let value: T = takeInteger() else { throw .truncated }
        return value
    }

    @usableFromInline
    mutating func takeInteger<T: FixedWidthInteger>() -> T? { buffer.readInteger() }

    /// Reads a byte that is true unless zero.
    public mutating func readBool() throws(KafkaCodecError) -> Bool {
        try readInteger(as: UInt8.self) != 0
    }

    /// Reads an IEEE 754 number of 64 bits.
    public mutating func readDouble() throws(KafkaCodecError) -> Double {
        Double(bitPattern: try readInteger())
    }

    /// Reads 16 bytes.
    public mutating func readUUID() throws(KafkaCodecError) -> UniqueID {
        UniqueID(high: try readInteger(), low: try readInteger())
    }

    // MARK: Variable lengths

    /// Reads an unsigned integer of seven bits a byte, low bits first, at most 32 bits.
    public mutating func readUnsignedVarint() throws(KafkaCodecError) -> UInt32 {
        var result: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 35, by: 7) {
            let byte = try readInteger(as: UInt8.self)
            result |= UInt64(byte & 0x7f) << shift
            guard byte >= 0x80 else {
                guard let value = UInt32(exactly: result) else { throw .badVarint }
                return value
            }
        }
        throw .badVarint
    }

    /// Reads the length of bytes, text or an array; nil for a null.
    private mutating func readLength(
        flexible: Bool,
        isText: Bool
    ) throws(KafkaCodecError) -> Int? {
        let length: Int
        if flexible {
            length = Int(try readUnsignedVarint()) - 1
        } else if isText {
            length = Int(try readInteger(as: Int16.self))
        } else {
            length = Int(try readInteger(as: Int32.self))
        }
        if length == -1 { return nil }
        guard length >= 0 else { throw .badLength }
        // Whatever is counted takes at least a byte each.
        guard length <= bytesLeft else { throw .truncated }
        return length
    }

    /// Reads text that may be null.
    public mutating func readNullableString(flexible: Bool) throws(KafkaCodecError) -> String? {
        guard let length = try readLength(flexible: flexible, isText: true) else { return nil }
        guard let text = try? buffer.readUTF8ValidatedString(length: length) else {
            throw .badText
        }
        return text
    }

    /// Reads text.
    public mutating func readString(flexible: Bool) throws(KafkaCodecError) -> String {
        guard let text = try readNullableString(flexible: flexible) else { throw .badLength }
        return text
    }

    /// Reads bytes that may be null, as a slice of the frame.
    public mutating func readNullableBytes(flexible: Bool) throws(KafkaCodecError) -> ByteBuffer? {
        guard let length = try readLength(flexible: flexible, isText: false) else { return nil }
        guard let slice = buffer.readSlice(length: length) else { throw .truncated }
        return slice
    }

    /// Reads bytes, as a slice of the frame.
    public mutating func readBytes(flexible: Bool) throws(KafkaCodecError) -> ByteBuffer {
        guard let slice = try readNullableBytes(flexible: flexible) else { throw .badLength }
        return slice
    }

    /// Reads an array that may be null.
    public mutating func readNullableArray<Element>(
        flexible: Bool,
        _ element: (inout KafkaReader) throws(KafkaCodecError) -> Element
    ) throws(KafkaCodecError) -> [Element]? {
        guard let count = try readLength(flexible: flexible, isText: false) else { return nil }
        var result: [Element] = []
        // A count is only a claim; elements in memory are larger than their bytes.
        result.reserveCapacity(min(count, 256))
        for _ in 0..<count { result.append(try element(&self)) }
        return result
    }

    /// Reads an array.
    public mutating func readArray<Element>(
        flexible: Bool,
        _ element: (inout KafkaReader) throws(KafkaCodecError) -> Element
    ) throws(KafkaCodecError) -> [Element] {
        guard let result = try readNullableArray(flexible: flexible, element) else {
            throw .badLength
        }
        return result
    }

    // MARK: Tagged fields

    /// Reads how many tagged fields follow.
    public mutating func readTagCount() throws(KafkaCodecError) -> Int {
        let count = Int(try readUnsignedVarint())
        // Tag and size take at least a byte each.
        guard count <= bytesLeft / 2 else { throw .truncated }
        return count
    }

    /// Reads a tag, and gives a reader of just its value.
    public mutating func readTaggedField() throws(KafkaCodecError) -> (
        tag: UInt32, reader: KafkaReader
    ) {
        let tag = try readUnsignedVarint()
        let size = Int(try readUnsignedVarint())
        guard let slice = buffer.readSlice(length: size) else { throw .truncated }
        return (tag, KafkaReader(slice))
    }

    /// Reads over all tagged fields.
    public mutating func skipTaggedFields() throws(KafkaCodecError) {
        for _ in 0..<(try readTagCount()) { _ = try readTaggedField() }
    }
}
