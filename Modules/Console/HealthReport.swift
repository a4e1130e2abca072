/// What `/health` says: one verdict, and what it rests on.
public struct HealthReport: Equatable, Sendable {
    /// The value of one field.
    public enum Value: Equatable, Sendable {
        /// A text.
        case text(String)
        /// A number.
        case number(Int)
        /// Yes or no.
        case flag(Bool)
    }

    /// Whether the daemon can do its work: 200 or 503.
    public var isHealthy: Bool
    /// The same line that `systemctl status` shows.
    public var status: String
    /// Further fields in the order in which they are shown; names are snake_case.
    public var fields: [(name: String, value: Value)]

    /// Joins a verdict, a line and fields.
    public init(isHealthy: Bool, status: String, fields: [(name: String, value: Value)] = []) {
        self.isHealthy = isHealthy
        self.status = status
        self.fields = fields
    }

    /// Compares field by field.
    public static func == (lhs: HealthReport, rhs: HealthReport) -> Bool {
        lhs.json == rhs.json
    }

    /// One line of JSON: `{"healthy":true,"status":"serving",...}`.
    public var json: String {
        var json = "{\"healthy\":\(isHealthy),\"status\":\(Self.quoted(status))"
        for field in fields {
            json += ",\(Self.quoted(field.name)):"
            switch field.value {
            case .text(let text): json += Self.quoted(text)
            case .number(let number): json += "\(number)"
            case .flag(let flag): json += "\(flag)"
            }
        }
        return json + "}\n"
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case _ where scalar.value < 0x20:
                let hex = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
