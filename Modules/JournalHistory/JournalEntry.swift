import Systemd

/// One entry of a journal, with the fields that matter here.
public struct JournalEntry: Equatable, Sendable {
    /// Its fields; of one that occurs twice, the first.
    public let fields: [String: String]
    /// When it was written; microseconds since 1970, by the clock of its machine.
    public let time: Int64

    /// Takes an entry's fields; nil if it does not say when it was written.
    public init?(fields: [String: String]) {
        // The daemon's own time where journald has it: entries may wait for journald.
        let stamp = fields["_SOURCE_REALTIME_TIMESTAMP"] ?? fields["__REALTIME_TIMESTAMP"]
        guard let time = stamp.flatMap({ Int64($0) }), Self.times.contains(time) else { return nil }
        self.fields = fields
        self.time = time
    }

    /// The text.
    public var message: String { fields["MESSAGE"] ?? "" }
    /// The machine.
    public var host: String { fields["_HOSTNAME"] ?? "?" }
    /// Who wrote it, as journalctl shows it.
    public var identifier: String { fields["SYSLOG_IDENTIFIER"] ?? fields["_COMM"] ?? "?" }

    /// Times that a machine's clock can show: sums of them never overflow.
    private static let times: Range<Int64> = 0..<(1 << 60)

    /// The Raft group that it is about.
    var group: UInt64? { number("MARTLET_GROUP").flatMap { UInt64(exactly: $0) } }
    func number(_ field: String) -> Int64? { fields[field].flatMap { Int64($0) } }
    func isEvent(_ id: MessageID) -> Bool { fields["MESSAGE_ID"] == id.description }
    /// Whether the service manager wrote it, about a unit.
    var isOfManager: Bool { fields["_PID"] == "1" && fields["UNIT"] != nil }
}
