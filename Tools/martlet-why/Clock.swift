import Glibc

/// Times as journalctl shows them: in this machine's zone.
enum Clock {
    /// Date and time of day, to the second.
    static func full(_ microseconds: Int64) -> String { text(microseconds, "%Y-%m-%d %H:%M:%S") }

    /// Time of day, to the millisecond.
    static func time(_ microseconds: Int64) -> String {
        let milliseconds = microseconds / 1_000 % 1_000
        let digits = String(milliseconds + 1_000).dropFirst()
        return text(microseconds, "%H:%M:%S") + "." + digits
    }

    /// A span, in the unit that suits it.
    static func span(_ microseconds: Int64) -> String {
        let milliseconds = microseconds / 1_000
        if milliseconds < 1_000 { return "\(milliseconds) ms" }
        let tenths = milliseconds / 100
        return tenths < 600 ? "\(tenths / 10).\(tenths % 10) s" : "\(tenths / 10) s"
    }

    private static func text(_ microseconds: Int64, _ format: String) -> String {
        var seconds = time_t(microseconds / 1_000_000)
        var parts = tm()
        guard localtime_r(&seconds, &parts) != nil else { return "?" }
        var buffer = [CChar](repeating: 0, count: 64)
        let count = strftime(&buffer, buffer.count, format, &parts)
        return String(decoding: buffer.prefix(count).map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
