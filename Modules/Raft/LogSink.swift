/// How much a line of Raft's log matters.
public enum LogLevel: UInt8, Comparable, Sendable {
    /// For whoever follows single messages.
    case debug
    /// Changes of role, term and members.
    case info
    /// Something was refused.
    case warning
    /// Something is wrong.
    case error

    /// Orders by weight.
    public static func < (lhs: LogLevel, rhs: LogLevel) -> Bool { lhs.rawValue < rhs.rawValue }
}

/// Receives Raft's log lines; the text is only built if the receiver asks for it.
public typealias LogHook = (LogLevel, () -> String) -> Void

/// The optional receiver of log lines, passed down to whatever writes some.
struct LogSink {
    let hook: LogHook?

    @inline(__always)
    func debug(_ text: @autoclosure () -> String) {
        if let hook { hook(.debug, text) }
    }

    @inline(__always)
    func info(_ text: @autoclosure () -> String) {
        if let hook { hook(.info, text) }
    }

    @inline(__always)
    func warning(_ text: @autoclosure () -> String) {
        if let hook { hook(.warning, text) }
    }

    @inline(__always)
    func error(_ text: @autoclosure () -> String) {
        if let hook { hook(.error, text) }
    }
}
