/// A 128-bit identity in the usual text form `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`.
///
/// - Shape: 16 bytes, big endian: `high` first. All zero means "none", as on Kafka's wire.
public struct UniqueID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Bytes 0 to 7.
    public let high: UInt64
    /// Bytes 8 to 15.
    public let low: UInt64

    /// Joins two halves.
    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// Draws a random (version 4) identity from the generator.
    public init(using generator: inout some RandomNumberGenerator) {
        let high: UInt64 = generator.next()
        let low: UInt64 = generator.next()
        self.high = high & 0xffff_ffff_ffff_0fff | 0x4000
        self.low = low & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000
    }

    /// Reads the text form; nil unless it is 32 hexadecimal digits with the four dashes in place.
    public init?(_ text: some StringProtocol) {
        let bytes = Array(text.utf8)
        guard bytes.count == 36 else { return nil }
        var halves: [UInt64] = [0, 0]
        var digits = 0
        for (position, byte) in bytes.enumerated() {
            if [8, 13, 18, 23].contains(position) {
                guard byte == UInt8(ascii: "-") else { return nil }
                continue
            }
            guard let digit = Character(UnicodeScalar(byte)).hexDigitValue else { return nil }
            halves[digits / 16] = halves[digits / 16] << 4 | UInt64(digit)
            digits += 1
        }
        self.init(high: halves[0], low: halves[1])
    }

    /// No identity.
    public static let zero = UniqueID(high: 0, low: 0)

    /// The text form, lower case.
    public var description: String {
        func hex(_ value: UInt64, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        return [
            hex(high >> 32, 8), hex(high >> 16 & 0xffff, 4), hex(high & 0xffff, 4),
            hex(low >> 48, 4), hex(low & 0xffff_ffff_ffff, 12),
        ].joined(separator: "-")
    }

    /// Orders by bytes.
    @inlinable
    public static func < (lhs: UniqueID, rhs: UniqueID) -> Bool {
        (lhs.high, lhs.low) < (rhs.high, rhs.low)
    }
}

/// A kind of identity: a `UniqueID` with a meaning.
///
/// - Shape: coded as its text form.
public protocol Identity: Hashable, Comparable, Sendable, Codable, CustomStringConvertible {
    /// The bytes.
    var id: UniqueID { get }
    /// Gives the bytes their meaning.
    init(_ id: UniqueID)
}

extension Identity {
    /// Draws a random identity.
    public init(using generator: inout some RandomNumberGenerator) {
        self.init(UniqueID(using: &generator))
    }
    /// Reads the text form; nil when it is not one.
    public init?(text: some StringProtocol) {
        guard let id = UniqueID(text) else { return nil }
        self.init(id)
    }
    /// Reads the text form from a coder.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let id = UniqueID(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a UUID")
        }
        self.init(id)
    }
    /// Writes the text form to a coder.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(id.description)
    }
    /// The text form.
    public var description: String { id.description }
    /// Orders by bytes.
    public static func < (lhs: Self, rhs: Self) -> Bool { lhs.id < rhs.id }
}

/// A topic's identity: a topic deleted and created again under its name has another one.
public struct TopicID: Identity {
    /// The bytes; `zero` on Kafka's wire means "not given".
    public let id: UniqueID
    /// Gives the bytes their meaning.
    public init(_ id: UniqueID) { self.id = id }
}

/// A cluster's identity, drawn once when its controllers are bootstrapped.
public struct ClusterID: Identity {
    /// The bytes.
    public let id: UniqueID
    /// Gives the bytes their meaning.
    public init(_ id: UniqueID) { self.id = id }
}

/// The identity of a data directory, written into it while it was empty: shows a lost disk.
public struct DirectoryID: Identity {
    /// The bytes.
    public let id: UniqueID
    /// Gives the bytes their meaning.
    public init(_ id: UniqueID) { self.id = id }
}

/// One run of a daemon's process: fences messages of an earlier run.
public struct SessionID: Identity {
    /// The bytes.
    public let id: UniqueID
    /// Gives the bytes their meaning.
    public init(_ id: UniqueID) { self.id = id }
}

/// One request between daemons: a repeated one is recognised by it.
public struct RequestID: Identity {
    /// The bytes.
    public let id: UniqueID
    /// Gives the bytes their meaning.
    public init(_ id: UniqueID) { self.id = id }
}
