import Model

/// Bytes that do not have the shape which their format demands.
struct FormatError: Error, Equatable {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}

/// Builds bytes, little endian.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    mutating func put<Value: FixedWidthInteger>(_ value: Value) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func put(_ id: UniqueID) {
        withUnsafeBytes(of: (id.high.bigEndian, id.low.bigEndian)) { bytes.append(contentsOf: $0) }
    }

    /// A text of at most 65,535 bytes, after its length.
    mutating func put(_ text: String) {
        let utf8 = Array(text.utf8)
        precondition(utf8.count <= Int(UInt16.max), "a text of \(utf8.count) bytes")
        put(UInt16(utf8.count))
        bytes.append(contentsOf: utf8)
    }

    mutating func put(raw: [UInt8]) { bytes.append(contentsOf: raw) }

    /// Zeros up to a multiple of `unit`.
    mutating func pad(to unit: Int) {
        let rest = bytes.count % unit
        if rest > 0 { bytes.append(contentsOf: repeatElement(0, count: unit - rest)) }
    }

    /// Ends with the CRC-32C of everything before it.
    mutating func putCRC() { put(Checksum.crc(bytes)) }
}

/// Takes bytes apart, little endian; runs out of bytes with an error instead of a trap.
struct ByteReader {
    private let bytes: ArraySlice<UInt8>
    private(set) var position: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        position = bytes.startIndex
    }

    init(_ bytes: [UInt8]) { self.init(bytes[...]) }

    var left: Int { bytes.endIndex - position }

    mutating func take<Value: FixedWidthInteger>(
        _: Value.Type = Value.self
    ) throws(FormatError) -> Value {
        let count = MemoryLayout<Value>.size
        guard left >= count else { throw FormatError("ends early") }
        var value: Value = 0
        withUnsafeMutableBytes(of: &value) { target in
            for place in 0..<count { target[place] = bytes[position + place] }
        }
        position += count
        return Value(littleEndian: value)
    }

    mutating func takeID() throws(FormatError) -> UniqueID {
        let high = try take(UInt64.self)
        let low = try take(UInt64.self)
        return UniqueID(high: high.byteSwapped, low: low.byteSwapped)
    }

    mutating func takeText() throws(FormatError) -> String {
        let count = Int(try take(UInt16.self))
        let raw = try takeRaw(count)
        guard let text = String(validating: raw, as: UTF8.self) else {
            throw FormatError("a text is not UTF-8")
        }
        return text
    }

    mutating func takeRaw(_ count: Int) throws(FormatError) -> ArraySlice<UInt8> {
        guard count >= 0, left >= count else { throw FormatError("ends early") }
        defer { position += count }
        return bytes[position..<position + count]
    }

    /// A count of things that take at least `bytesMin` bytes each.
    mutating func takeCount(bytesMin: Int) throws(FormatError) -> Int {
        let count = Int(try take(UInt32.self))
        guard count <= left / max(1, bytesMin) else { throw FormatError("counts too many") }
        return count
    }
}
