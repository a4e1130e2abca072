/// Writes families in Prometheus' text format 0.0.4.
struct PrometheusText {
    private(set) var text = ""

    mutating func append(_ family: MetricsRegistry.Family) {
        guard !family.series.isEmpty else { return }
        let name = family.name.text
        if !family.name.help.isEmpty { text += "# HELP \(name) \(family.name.help)\n" }
        text += "# TYPE \(name) \(family.name.prometheusType)\n"
        for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
            switch series {
            case .counter(let counter): sample(name, labels, "\(counter.value)")
            case .gauge(let gauge): sample(name, labels, Self.number(gauge.value))
            case .read(let read): sample(name, labels, Self.number(read()))
            case .histogram(let histogram): append(name, labels, histogram)
            }
        }
    }

    private mutating func append(_ name: String, _ labels: String, _ histogram: HistogramMetric) {
        let (rows, count, sum) = histogram.snapshot
        let comma = labels.isEmpty ? "" : ","
        for row in rows {
            sample(
                "\(name)_bucket",
                "\(labels)\(comma)le=\"\(Self.number(row.bound))\"",
                "\(row.count)"
            )
        }
        sample("\(name)_sum", labels, Self.number(sum))
        sample("\(name)_count", labels, "\(count)")
    }

    mutating func sample(_ name: String, _ labels: String, _ value: String) {
        text += name
        if !labels.isEmpty { text += "{\(labels)}" }
        text += " \(value)\n"
    }

    /// A number without a needless fraction; infinities and not-a-number as Prometheus spells them.
    static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
        if let whole = Int64(exactly: value) { return "\(whole)" }
        return "\(value)"
    }

    /// Labels in the order given, values escaped; the text between the braces.
    static func labels(_ labels: [(String, String)]) -> String {
        labels.map { "\(name($0.0))=\"\(escaped($0.1))\"" }.joined(separator: ",")
    }

    private static func escaped(_ value: String) -> String {
        var escaped = ""
        for character in value.unicodeScalars {
            switch character {
            case "\\": escaped += "\\\\"
            case "\"": escaped += "\\\""
            case "\n": escaped += "\\n"
            default: escaped.unicodeScalars.append(character)
            }
        }
        return escaped
    }

    /// A legal name: other characters become underscores, as does a digit in front.
    static func name(_ label: String) -> String {
        var name = ""
        for byte in label.utf8 {
            let isLetter = (byte | 0x20) >= UInt8(ascii: "a") && (byte | 0x20) <= UInt8(ascii: "z")
            let isDigit = byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9") && !name.isEmpty
            let kept = isLetter || isDigit || byte == UInt8(ascii: "_")
            name.unicodeScalars.append(kept ? Unicode.Scalar(byte) : "_")
        }
        return name.isEmpty ? "_" : name
    }
}
