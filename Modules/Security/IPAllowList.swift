public import NIOCore

/// The IP addresses that may connect to a listener.
///
/// - Invariant: an empty list allows every address: it means "not configured".
public struct IPAllowList: Equatable, Sendable {
    /// The allowed ranges, in the order of the settings.
    public let networks: [IPNetwork]

    /// Allows every address.
    public static let everyone = IPAllowList([])

    /// Allows the addresses in any of the ranges.
    public init(_ networks: [IPNetwork]) {
        self.networks = networks
    }

    /// Reads the ranges of a settings file.
    ///
    /// - Throws: the first text that is no range.
    public init(texts: [String]) throws(SecurityError) {
        var networks: [IPNetwork] = []
        for text in texts {
            guard let network = IPNetwork(text) else { throw .notANetwork(text) }
            networks.append(network)
        }
        self.networks = networks
    }

    /// Whether the address may connect; an address that is not known may only if everyone may.
    public func allows(_ address: SocketAddress?) -> Bool {
        if networks.isEmpty { return true }
        guard let address, let bits = IPAddressBits(address) else { return false }
        return networks.contains { $0.contains(bits) }
    }
}

/// Why a security setting was refused.
public enum SecurityError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The text is no address and no range.
    case notANetwork(String)
    /// A peer listener would be reachable from other machines without TLS.
    case insecureListener(String)

    /// A sentence for the operator.
    public var description: String {
        switch self {
        case .notANetwork(let text):
            "not an IP address or network: \(text)"
        case .insecureListener(let address):
            """
            refusing to listen for peers on \(address) without TLS: bind to a loopback address, \
            or write insecure_peers: true
            """
        }
    }
}

/// Where a listener without TLS may bind.
public enum ListenerPolicy {
    /// Refuses an address that other machines could reach, unless that was asked for in writing.
    public static func validate(
        _ address: SocketAddress,
        insecurePeers: Bool
    ) throws(SecurityError) {
        if insecurePeers { return }
        if case .unixDomainSocket = address { return }
        guard let bits = IPAddressBits(address), bits.isLoopback else {
            throw .insecureListener("\(address.ipAddress ?? "?"):\(address.port ?? 0)")
        }
    }
}
