public import Logging

/// One line on its way to the journal.
public struct LogEntry: Equatable, Sendable {
    /// A name and a value beside the message.
    public struct Field: Equatable, Sendable {
        /// A journal field name: upper-case letters, digits and underscores.
        public let name: String
        /// The value; any text.
        public let value: String
        /// Whether stderr shows it too: fields given under lower-case keys are for readers.
        let isShown: Bool
        /// The key as the caller wrote it.
        let key: String
    }

    /// The largest message and field value, in bytes; longer ones are cut.
    static let textBytesMax = 16 * 1024

    /// How important it is.
    public let level: Logger.Level
    /// The exact text.
    public let message: String
    /// Fields sorted by name.
    public let fields: [Field]
    /// The logger's label.
    public let label: String
    /// `Module/File.swift`.
    public let file: String
    /// The function that logged.
    public let function: String
    /// The line that logged.
    public let line: UInt

    /// Makes an entry, as a logger does; longer texts are cut.
    public init(
        level: Logger.Level,
        message: String,
        metadata: Logger.Metadata = [:],
        label: String,
        file: String = #fileID,
        function: String = #function,
        line: UInt = #line
    ) {
        self.level = level
        self.message = Self.cut(message)
        self.label = label
        self.file = file
        self.function = function
        self.line = line
        fields =
            metadata
            .map { Self.field($0.key, $0.value.description) }
            .sorted { $0.name < $1.name }
    }

    /// syslog's number: 7 debug, 6 info, 5 notice, 4 warning, 3 error, 2 critical.
    var priority: Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }

    private static func field(_ key: String, _ value: String) -> Field {
        let value = cut(value)
        if key == "message-id" {
            return Field(name: "MESSAGE_ID", value: value, isShown: false, key: key)
        }
        let isFieldName = key.utf8.allSatisfy { byte in
            (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x30 && byte <= 0x39) || byte == 0x5f
        }
        if isFieldName, key.hasPrefix("MARTLET_"), key.utf8.count <= 64 {
            return Field(name: key, value: value, isShown: false, key: key)
        }
        var name = "MARTLET_"
        for byte in key.utf8.prefix(56) {
            switch byte {
            case 0x41...0x5a, 0x30...0x39: name.unicodeScalars.append(Unicode.Scalar(byte))
            case 0x61...0x7a: name.unicodeScalars.append(Unicode.Scalar(byte - 0x20))
            default: name += "_"
            }
        }
        return Field(name: name, value: value, isShown: true, key: key)
    }

    private static func cut(_ text: String) -> String {
        text.utf8.count <= textBytesMax
            ? text : String(decoding: text.utf8.prefix(textBytesMax), as: UTF8.self) + "..."
    }
}
