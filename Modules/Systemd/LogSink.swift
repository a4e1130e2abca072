import CSystemd
import Glibc

/// Where the logger thread writes; may block.
public protocol LogSink: Sendable {
    /// Writes one entry.
    func write(_ entry: LogEntry)
    /// Waits until the reader has taken everything that was written, for so long at most.
    func settle(timeout: Duration)
}

extension LogSink {
    /// Does nothing: most readers take what was written even when the writer is gone.
    public func settle(timeout: Duration) {}
}

/// journald's native protocol: one message with its fields.
public struct JournalSink: LogSink {
    private let identifier: String
    private let identity: [(name: String, value: String)]
    private let fallback = StandardErrorSink()

    /// Makes the sink.
    /// - Parameters:
    ///   - identifier: the daemon's name.
    ///   - identity: fields that say in every entry which one of its kind the daemon is, such as
    ///     MARTLET_BROKER.
    public init(identifier: String, identity: [String: String] = [:]) {
        self.identifier = identifier
        self.identity = identity.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) }
    }

    /// Sends by sd_journal_sendv; when journald is not there, the line goes to stderr.
    public func write(_ entry: LogEntry) {
        // One flat buffer, then vectors that point into it: values may hold newlines.
        var bytes: [UInt8] = []
        bytes.reserveCapacity(512)
        var ends: [Int] = []
        func add(_ name: String, _ value: String) {
            bytes += name.utf8
            bytes.append(UInt8(ascii: "="))
            bytes += value.utf8
            ends.append(bytes.count)
        }
        add("MESSAGE", entry.message)
        add("PRIORITY", "\(entry.priority)")
        add("SYSLOG_IDENTIFIER", identifier)
        add("CODE_FILE", entry.file)
        add("CODE_LINE", "\(entry.line)")
        add("CODE_FUNC", entry.function)
        add("MARTLET_LOGGER", entry.label)
        for field in identity { add(field.name, field.value) }
        for field in entry.fields { add(field.name, field.value) }
        let result = bytes.withUnsafeMutableBytes { buffer -> Int32 in
            var vectors: [iovec] = []
            vectors.reserveCapacity(ends.count)
            var start = 0
            for end in ends {
                let base = buffer.baseAddress.map { $0 + start }
                vectors.append(iovec(iov_base: base, iov_len: end - start))
                start = end
            }
            return sd_journal_sendv(&vectors, Int32(vectors.count))
        }
        if result < 0 { fallback.write(entry) }
    }

    /// Waits until journald has taken every entry up to now, and looked up whose it is.
    public func settle(timeout: Duration) {
        _ = JournalBarrier.wait(socket: JournalBarrier.journalSocket, timeout: timeout)
    }
}

/// `<N>text` lines on a descriptor, which systemd and people both read.
public struct StandardErrorSink: LogSink {
    private let descriptor: Int32

    /// Makes the sink on stderr.
    public init() { descriptor = 2 }

    init(descriptor: Int32) { self.descriptor = descriptor }

    /// Writes one line; fields with lower-case keys follow the message as `key=value`.
    public func write(_ entry: LogEntry) { Self.write(Self.line(entry), to: descriptor) }

    /// Writes text to stderr as it is, for a person at a terminal.
    public static func writePlain(_ text: String) { write(text, to: 2) }

    private static func write(_ text: String, to descriptor: Int32) {
        let line = Array(text.utf8)
        var written = 0
        while written < line.count {
            let count = line.withUnsafeBytes { bytes in
                Glibc.write(
                    descriptor,
                    bytes.baseAddress.map { $0 + written },
                    bytes.count - written
                )
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return }
            written += count
        }
    }

    static func line(_ entry: LogEntry) -> String {
        var line = "<\(entry.priority)>" + printable(entry.message)
        for field in entry.fields where field.isShown {
            line += " \(printable(field.key))=\(printable(field.value))"
        }
        return line + "\n"
    }

    /// Text from outside must not start a new line or steer a terminal.
    private static func printable(_ text: String) -> String {
        guard text.utf8.contains(where: { $0 < 0x20 || $0 == 0x7f }) else { return text }
        var clean = ""
        for scalar in text.unicodeScalars {
            clean.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7f ? " " : scalar)
        }
        return clean
    }
}

/// Whether stderr goes to journald, which then also takes native messages.
public enum JournalStream {
    /// Compares `JOURNAL_STREAM` with the descriptor's device and inode, as sd_journal_stream_fd
    /// asks.
    public static func isConnected(descriptor: Int32 = 2) -> Bool {
        guard let value = getenv("JOURNAL_STREAM") else { return false }
        return matches(String(cString: value), descriptor: descriptor)
    }

    static func matches(_ value: String, descriptor: Int32) -> Bool {
        let parts = value.split(separator: ":")
        guard parts.count == 2, let device = UInt64(parts[0]), let inode = UInt64(parts[1]) else {
            return false
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return false }
        return UInt64(status.st_dev) == device && UInt64(status.st_ino) == inode
    }
}
