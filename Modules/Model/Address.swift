/// Where a daemon listens: a host name or address, and a port.
///
/// - Shape: text form `host:port`; an IPv6 address stands in brackets: `[::1]:9192`.
public struct Address: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// A name, an IPv4 or an IPv6 address without brackets; never empty.
    public let host: String
    /// 0 to 65535; 0 asks the kernel to choose one when binding.
    public let port: Int

    /// Joins a host and a port.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads the text form; nil when host or port is missing or the port is out of range.
    public init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        var host = text[..<colon]
        let digits = text[text.index(after: colon)...]
        guard let port = UInt16(digits), digits.utf8.first != UInt8(ascii: "+") else { return nil }
        if host.first == "[", host.last == "]" {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.init(host: String(host), port: Int(port))
    }

    /// The text form.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
    /// Orders by host, then by port.
    public static func < (lhs: Address, rhs: Address) -> Bool {
        (lhs.host, lhs.port) < (rhs.host, rhs.port)
    }
}
