public import NIOCore

/// A range of IP addresses: `10.0.0.0/8`, `fd00::/8`, or one address without a prefix length.
///
/// - Shape: 128 bits; an IPv4 address stands in `::ffff:0:0/96`, so that a client that reaches an
///   IPv6 socket over IPv4 is judged by its IPv4 address.
public struct IPNetwork: Hashable, Sendable, CustomStringConvertible {
    /// The network's first address, in network order; bits behind the prefix are zero.
    public let address: IPAddressBits
    /// How many leading bits count: 0 to 128.
    public let prefixLength: Int

    /// Reads the text form; nil unless address and prefix length are both good.
    ///
    /// Bits behind the prefix length are refused: `10.0.0.1/8` is a mistake more often than not.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), let address = IPAddressBits(String(parts[0])) else {
            return nil
        }
        var length = 128
        if parts.count == 2 {
            guard parts[1].utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= $0 }),
                let given = Int(parts[1]), given <= (address.isIPv4 ? 32 : 128)
            else { return nil }
            length = address.isIPv4 ? given + 96 : given
        }
        guard address.masked(to: length) == address else { return nil }
        self.address = address
        self.prefixLength = length
    }

    /// Whether the address lies in the range.
    public func contains(_ candidate: IPAddressBits) -> Bool {
        candidate.masked(to: prefixLength) == address
    }

    /// Address bits and prefix length as they were counted for the address's family.
    public var description: String {
        let length = address.isIPv4 && prefixLength >= 96 ? prefixLength - 96 : prefixLength
        return "\(address)/\(length)"
    }
}

/// The bits of an IP address; IPv4 addresses are mapped into IPv6.
public struct IPAddressBits: Hashable, Sendable, CustomStringConvertible {
    /// The first 64 bits.
    public let high: UInt64
    /// The last 64 bits.
    public let low: UInt64

    /// Joins two halves.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Reads an IPv4 or IPv6 address; nil for a name or anything else.
    public init?(_ text: String) {
        guard let address = try? SocketAddress(ipAddress: text, port: 0) else { return nil }
        self.init(address)
    }

    /// Takes the IP address out of a socket's address; nil for a Unix socket.
    public init?(_ address: SocketAddress) {
        // The kernel's own layouts: an IPv4 address lies at byte 4, an IPv6 address at byte 8.
        let bits: IPAddressBits? = address.withSockAddr { pointer, size in
            let bytes = UnsafeRawBufferPointer(start: pointer, count: size)
            func load<Bits: FixedWidthInteger>(_ position: Int, as type: Bits.Type) -> Bits {
                Bits(bigEndian: bytes.loadUnaligned(fromByteOffset: position, as: type))
            }
            switch address {
            case .v4:
                return IPAddressBits(
                    high: 0,
                    low: 0xffff << 32 | UInt64(load(4, as: UInt32.self))
                )
            case .v6:
                return IPAddressBits(high: load(8, as: UInt64.self), low: load(16, as: UInt64.self))
            case .unixDomainSocket: return nil
            }
        }
        guard let bits else { return nil }
        self = bits
    }

    /// Whether the address is an IPv4 address.
    public var isIPv4: Bool { high == 0 && low >> 32 == 0xffff }

    /// Whether the address means this very machine: `127.0.0.0/8` or `::1`.
    public var isLoopback: Bool {
        isIPv4 ? low >> 24 & 0xff == 127 : high == 0 && low == 1
    }

    func masked(to length: Int) -> IPAddressBits {
        func mask(_ bits: Int) -> UInt64 {
            bits <= 0 ? 0 : bits >= 64 ? .max : ~(.max >> UInt64(bits))
        }
        return IPAddressBits(high: high & mask(length), low: low & mask(length - 64))
    }

    /// Dotted decimals, or eight groups of hexadecimal digits.
    public var description: String {
        if isIPv4 {
            return [24, 16, 8, 0].map { String(low >> UInt64($0) & 0xff) }
                .joined(separator: ".")
        }
        return [high, low].flatMap { half in
            [48, 32, 16, 0].map { String(half >> UInt64($0) & 0xffff, radix: 16) }
        }.joined(separator: ":")
    }
}
