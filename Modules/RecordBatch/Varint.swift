/// Kafka's variable-length integers: zigzag, seven bits a byte, low bits first.
public enum Varint {
    /// Appends a value.
    public static func append(_ value: Int64, to bytes: inout [UInt8]) {
        var rest = UInt64(bitPattern: value << 1 ^ value >> 63)
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }

    /// How many bytes a value takes.
    public static func size(_ value: Int64) -> Int {
        let zigzag = UInt64(bitPattern: value << 1 ^ value >> 63)
        return (64 - (zigzag | 1).leadingZeroBitCount + 6) / 7
    }

    /// Reads a value and moves the position behind it; nil when it is cut off or too long.
    public static func read(_ bytes: UnsafeRawBufferPointer, at position: inout Int) -> Int64? {
        var result: UInt64 = 0
        var shift: UInt64 = 0
        while shift < 70 {
            guard position >= 0, position < bytes.count else { return nil }
            let byte = bytes[position]
            position += 1
            result |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return Int64(bitPattern: result >> 1) ^ -Int64(result & 1) }
            shift += 7
        }
        return nil
    }
}
