import Glibc

/// The terminal, as far as the tools care.
public enum Terminal {
    /// Writes a line to stderr.
    public static func say(_ line: String) { write(line + "\n", to: STDERR_FILENO) }

    /// Writes text to stdout at once, past any buffer.
    public static func put(_ text: String) { write(text, to: STDOUT_FILENO) }

    /// Writes all bytes to a descriptor; gives up quietly when nobody reads any more.
    public static func write(_ bytes: some Collection<UInt8>, to descriptor: Int32) {
        let all = Array(bytes)
        var position = 0
        while position < all.count {
            let count = all.withUnsafeBytes {
                Glibc.write(
                    descriptor,
                    $0.baseAddress?.advanced(by: position),
                    all.count - position
                )
            }
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count > 0 else { return }
            position += count
        }
    }

    /// Writes text to a descriptor.
    public static func write(_ text: String, to descriptor: Int32) {
        write(Array(text.utf8), to: descriptor)
    }

    /// Whether a person watches stderr, who may see a line change.
    public static var isWatched: Bool {
        isatty(STDERR_FILENO) == 1 && environment("TERM") != "dumb"
    }

    /// The width of the terminal behind stderr; 80 if it does not say.
    public static var columns: Int {
        var size = winsize()
        guard ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 20 else {
            return 80
        }
        return Int(size.ws_col)
    }

    /// A variable of the environment, if it is set and not empty.
    public static func environment(_ name: String) -> String? {
        guard let value = getenv(name), value.pointee != 0 else { return nil }
        return String(cString: value)
    }

    /// Milliseconds since 1970.
    public static var wallClockMilliseconds: Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
    }
}

/// Lines whose columns stand below each other.
public struct TextTable {
    private var rows: [[String]] = []
    private let rightAligned: Set<Int>

    /// Starts with the columns' heads; numbers look best aligned to the right.
    public init(_ heads: [String], rightAligned: Set<Int> = []) {
        rows = [heads]
        self.rightAligned = rightAligned
    }

    /// Adds a line.
    public mutating func add(_ row: [String]) { rows.append(row) }

    /// All lines, without blanks at their ends.
    public var text: String {
        var widths: [Int] = []
        for row in rows {
            for (column, cell) in row.enumerated() {
                if column == widths.count { widths.append(0) }
                widths[column] = max(widths[column], cell.count)
            }
        }
        return rows.map { row in
            var line = ""
            for (column, cell) in row.enumerated() {
                let blanks = String(repeating: " ", count: widths[column] - cell.count)
                line += (column == 0 ? "" : "  ")
                line += rightAligned.contains(column) ? blanks + cell : cell + blanks
            }
            while line.last == " " { line.removeLast() }
            return line + "\n"
        }.joined()
    }
}

/// Numbers as people read them.
public enum Words {
    /// `1 topic`, `2 topics`.
    public static func count(_ number: Int, _ noun: String, plural: String? = nil) -> String {
        "\(grouped(number)) \(number == 1 ? noun : plural ?? noun + "s")"
    }

    /// `1,2,4`, or `-` for nothing.
    public static func list(_ numbers: [Int32]) -> String {
        numbers.isEmpty ? "-" : numbers.map(String.init).joined(separator: ",")
    }

    /// `1,234,567`.
    public static func grouped(_ number: Int) -> String {
        let digits = Array(String(number.magnitude))
        var text = ""
        for (position, digit) in digits.enumerated() {
            if position > 0, (digits.count - position) % 3 == 0 { text += "," }
            text.append(digit)
        }
        return number < 0 ? "-" + text : text
    }

    /// A number with so many digits behind the point.
    public static func fixed(_ number: Double, _ digits: Int) -> String {
        guard number.isFinite, number.magnitude < 1e15 else { return "\(number)" }
        var scale = 1.0
        for _ in 0..<digits { scale *= 10 }
        let scaled = (number.magnitude * scale).rounded()
        let whole = Int(scaled / scale)
        let sign = number < 0 && scaled > 0 ? "-" : ""
        guard digits > 0 else { return "\(sign)\(whole)" }
        let rest = String(Int(scaled - Double(whole) * scale))
        let zeros = String(repeating: "0", count: max(0, digits - rest.count))
        return "\(sign)\(whole).\(zeros)\(rest)"
    }

    /// Nanoseconds as `12.3 us`, `4.56 ms` or `1.20 s`.
    public static func duration(nanoseconds: UInt64) -> String {
        switch nanoseconds {
        case 0..<1_000_000: "\(fixed(Double(nanoseconds) / 1e3, 0)) us"
        case 1_000_000..<1_000_000_000: "\(fixed(Double(nanoseconds) / 1e6, 2)) ms"
        default: "\(fixed(Double(nanoseconds) / 1e9, 2)) s"
        }
    }

    /// Bytes as `512 B`, `64 KiB` or `1.5 GiB`.
    public static func bytes(_ count: Int) -> String {
        var value = Double(count)
        for unit in ["B", "KiB", "MiB", "GiB"] {
            if value < 1024 { return "\(fixed(value, value < 10 && unit != "B" ? 1 : 0)) \(unit)" }
            value /= 1024
        }
        return "\(fixed(value, 1)) TiB"
    }
}
