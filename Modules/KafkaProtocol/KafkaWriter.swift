public import Model
public import NIOCore

/// Writes Kafka's types one after the other.
///
/// - Invariant: text beyond 32,767 bytes is cut in versions whose lengths have 16 bits; nothing
///   else that is written can be too long.
public struct KafkaWriter {
    /// What was written.
    public private(set) var buffer: ByteBuffer

    /// Starts with an empty buffer.
    public init(capacity: Int = 256) {
        buffer = ByteBufferAllocator().buffer(capacity: capacity)
    }

    /// Goes on behind what a buffer holds.
    public init(appendingTo buffer: ByteBuffer) { self.buffer = buffer }

    /// How many bytes were written.
    public var count: Int { buffer.readableBytes }

    // MARK: Fixed sizes

    /// Writes a big-endian integer.
    public mutating func writeInteger<T: FixedWidthInteger>(_ value: T) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: MemoryLayout<T>.size) { bytes in
            bytes.storeBytes(of: value.bigEndian, as: T.self)
            return MemoryLayout<T>.size
        }
    }

    /// Overwrites an integer that was written before.
    public mutating func setInteger<T: FixedWidthInteger>(_ value: T, at position: Int) {
        buffer.setInteger(value, at: buffer.readerIndex + position)
    }

    /// Writes one byte: 1 or 0.
    public mutating func writeBool(_ value: Bool) { writeInteger(UInt8(value ? 1 : 0)) }

    /// Writes an IEEE 754 number of 64 bits.
    public mutating func writeDouble(_ value: Double) { writeInteger(value.bitPattern) }

    /// Writes 16 bytes.
    public mutating func writeUUID(_ value: UniqueID) {
        writeInteger(value.high)
        writeInteger(value.low)
    }

    // MARK: Variable lengths

    /// Writes an unsigned integer of seven bits a byte, low bits first.
    public mutating func writeUnsignedVarint(_ value: UInt32) {
        var rest = value
        while rest >= 0x80 {
            writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        writeInteger(UInt8(rest))
    }

    /// Writes the length of bytes or an array; nil for a null.
    public mutating func writeLength(_ length: Int?, flexible: Bool) {
        if flexible {
            writeUnsignedVarint(length.map { UInt32(clamping: $0 + 1) } ?? 0)
        } else {
            writeInteger(length.map { Int32(clamping: $0) } ?? -1)
        }
    }

    /// Writes text.
    public mutating func writeString(_ value: String, flexible: Bool) {
        if flexible {
            writeUnsignedVarint(UInt32(clamping: value.utf8.count + 1))
            buffer.writeString(value)
        } else {
            let bytes = value.utf8.prefix(Int(Int16.max))
            writeInteger(Int16(bytes.count))
            buffer.writeBytes(bytes)
        }
    }

    /// Writes text that may be null.
    public mutating func writeNullableString(_ value: String?, flexible: Bool) {
        if let value { return writeString(value, flexible: flexible) }
        if flexible { writeUnsignedVarint(0) } else { writeInteger(Int16(-1)) }
    }

    /// Writes bytes.
    public mutating func writeBytes(_ value: ByteBuffer, flexible: Bool) {
        writeLength(value.readableBytes, flexible: flexible)
        writeRawBytes(value)
    }

    /// Writes bytes that may be null.
    public mutating func writeNullableBytes(_ value: ByteBuffer?, flexible: Bool) {
        if let value { return writeBytes(value, flexible: flexible) }
        writeLength(nil, flexible: flexible)
    }

    /// Writes bytes without a length.
    public mutating func writeRawBytes(_ value: ByteBuffer) { buffer.writeImmutableBuffer(value) }

    /// Writes bytes without a length.
    public mutating func writeRawBytes(_ value: UnsafeRawBufferPointer) {
        buffer.writeBytes(value)
    }

    /// Writes an array.
    public mutating func writeArray<Element>(
        _ value: [Element],
        flexible: Bool,
        _ element: (inout KafkaWriter, Element) -> Void
    ) {
        writeLength(value.count, flexible: flexible)
        for item in value { element(&self, item) }
    }

    /// Writes an array that may be null.
    public mutating func writeNullableArray<Element>(
        _ value: [Element]?,
        flexible: Bool,
        _ element: (inout KafkaWriter, Element) -> Void
    ) {
        if let value { return writeArray(value, flexible: flexible, element) }
        writeLength(nil, flexible: flexible)
    }

    /// Writes a tag, the size of its value and the value.
    public mutating func writeTaggedField(_ tag: UInt32, _ body: (inout KafkaWriter) -> Void) {
        var inner = KafkaWriter(capacity: 64)
        body(&inner)
        writeUnsignedVarint(tag)
        writeUnsignedVarint(UInt32(clamping: inner.count))
        writeRawBytes(inner.buffer)
    }
}
