/// Reads the journal export format, as `journalctl --output=export` writes it, piece by piece.
///
/// What is no such text is passed over, up to the next blank line; nothing from outside traps.
/// - Source: systemd.io, "Journal Export Formats".
public struct JournalExport: Sendable {
    /// The fields that are kept.
    public static let fields: Set<String> = [
        "MESSAGE", "MESSAGE_ID", "SYSLOG_IDENTIFIER", "UNIT", "_BOOT_ID", "_COMM", "_HOSTNAME",
        "_PID", "_SOURCE_REALTIME_TIMESTAMP", "_SYSTEMD_UNIT", "__REALTIME_TIMESTAMP",
        "MARTLET_BROKER", "MARTLET_CONTROLLER", "MARTLET_FORMER_LEADER", "MARTLET_GROUP",
        "MARTLET_PARTITION", "MARTLET_REASON", "MARTLET_SUCCESSOR", "MARTLET_TERM",
        "MARTLET_TOPIC",
    ]

    /// A longer field is no log line of anybody; 1 MiB.
    static let fieldBytesMax = 1 << 20

    private var bytes: [UInt8] = []
    private var position = 0
    private var entry: [String: String] = [:]

    /// Begins without any text.
    public init() {}

    /// Takes the next piece of text.
    public mutating func append(_ piece: some Collection<UInt8>) {
        if position > 0 {
            bytes.removeFirst(position)
            position = 0
        }
        bytes += piece
    }

    /// The next whole entry of what was appended; nil when more text is needed.
    public mutating func next() -> JournalEntry? {
        while let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) {
            let line = bytes[position..<end]
            if line.isEmpty {
                position = end + 1
                if let whole = finish() { return whole }
            } else if let equals = line.firstIndex(of: UInt8(ascii: "=")) {
                keep(line[..<equals], line[(equals + 1)...])
                position = end + 1
            } else {
                guard let after = takeBinary(line, from: end + 1) else { return nil }
                position = after
            }
        }
        return nil
    }

    /// The last entry, which no blank line follows.
    public mutating func end() -> JournalEntry? { finish() }

    private mutating func finish() -> JournalEntry? {
        defer { entry = [:] }
        return JournalEntry(fields: entry)
    }

    /// Takes a value that has its length before it; nil while it is not all there.
    private mutating func takeBinary(_ name: ArraySlice<UInt8>, from start: Int) -> Int? {
        guard bytes.count - start >= 8 else { return nil }
        var length: UInt64 = 0
        for place in 0..<8 { length |= UInt64(bytes[start + place]) << (8 * UInt64(place)) }
        guard length <= UInt64(Self.fieldBytesMax) else {
            // No length at all, then: what follows is read as lines again.
            return start
        }
        let end = start + 8 + Int(length)
        guard bytes.count > end else { return nil }
        keep(name, bytes[(start + 8)..<end])
        return end + 1
    }

    private mutating func keep(_ name: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) {
        guard value.count <= Self.fieldBytesMax else { return }
        let name = String(decoding: name, as: UTF8.self)
        guard Self.fields.contains(name), entry[name] == nil else { return }
        entry[name] = String(decoding: value, as: UTF8.self)
    }
}
