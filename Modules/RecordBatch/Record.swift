/// One record of a batch.
public struct Record: Equatable, Sendable {
    /// A name and a value beside the record's own.
    public struct Header: Equatable, Sendable {
        /// The name.
        public var key: [UInt8]
        /// The value; nil is allowed.
        public var value: [UInt8]?
        /// Joins a name and a value.
        public init(key: [UInt8], value: [UInt8]?) {
            self.key = key
            self.value = value
        }
    }

    /// The offset less the batch's base offset.
    public var offsetDelta: Int32
    /// The timestamp less the batch's base timestamp, in milliseconds.
    public var timestampDelta: Int64
    /// The key, or nil.
    public var key: [UInt8]?
    /// The value, or nil for a tombstone.
    public var value: [UInt8]?
    /// The headers.
    public var headers: [Header]

    /// Makes a record; the builder sets the deltas.
    public init(
        key: [UInt8]?,
        value: [UInt8]?,
        headers: [Header] = [],
        offsetDelta: Int32 = 0,
        timestampDelta: Int64 = 0
    ) {
        self.key = key
        self.value = value
        self.headers = headers
        self.offsetDelta = offsetDelta
        self.timestampDelta = timestampDelta
    }
}

/// Reads the records of an uncompressed batch, one after the other.
///
/// - Invariant: never reads outside its bytes and never traps; it ends at the first flaw, and
///   `isDamaged` then tells.
public struct RecordIterator: IteratorProtocol {
    private let bytes: [UInt8]
    private var position = 0
    private var remaining: Int32
    /// Whether the bytes ended early or were not records.
    public private(set) var isDamaged = false

    /// Reads `count` records from the bytes behind a batch's header.
    public init(_ bytes: [UInt8], count: Int32) {
        self.bytes = bytes
        self.remaining = count
    }

    /// The next record, or nil at the end.
    public mutating func next() -> Record? {
        guard remaining > 0, !isDamaged else { return nil }
        remaining -= 1
        var position = self.position
        let record = bytes.withUnsafeBytes { Self.read($0, at: &position) }
        self.position = position
        if record == nil { isDamaged = true }
        return record
    }

    private static func read(_ bytes: UnsafeRawBufferPointer, at position: inout Int) -> Record? {
        guard let length = Varint.read(bytes, at: &position), length >= 0,
            length <= Int64(bytes.count - position)
        else { return nil }
        let end = position + Int(length)
        let inner = UnsafeRawBufferPointer(rebasing: bytes[..<end])
        guard position < end else { return nil }
        position += 1  // attributes, unused
        guard let timestampDelta = Varint.read(inner, at: &position),
            let offset = Varint.read(inner, at: &position),
            let offsetDelta = Int32(exactly: offset),
            let key = readBytes(inner, at: &position),
            let value = readBytes(inner, at: &position),
            let count = Varint.read(inner, at: &position), count >= 0,
            count <= Int64(end - position)
        else { return nil }
        var headers: [Record.Header] = []
        for _ in 0..<count {
            guard let name = readBytes(inner, at: &position), let name,
                let content = readBytes(inner, at: &position)
            else { return nil }
            headers.append(Record.Header(key: name, value: content))
        }
        guard position == end else { return nil }
        return Record(
            key: key,
            value: value,
            headers: headers,
            offsetDelta: offsetDelta,
            timestampDelta: timestampDelta
        )
    }

    /// A length and as many bytes: nil when damaged, `.some(nil)` for a null.
    private static func readBytes(
        _ bytes: UnsafeRawBufferPointer,
        at position: inout Int
    ) -> [UInt8]?? {
        guard let length = Varint.read(bytes, at: &position) else { return nil }
        if length < 0 { return .some(nil) }
        guard length <= Int64(bytes.count - position) else { return nil }
        let end = position + Int(length)
        defer { position = end }
        return [UInt8](bytes[position..<end])
    }
}
