public import ArgumentParser
public import Compression
public import KafkaClient

/// `--acks`: the words, and the numbers that other clients use.
public struct AcksArgument: ExpressibleByArgument, CustomStringConvertible, Sendable {
    /// What was meant.
    public let value: Acks
    /// The default.
    public static let all = AcksArgument(.all)

    private init(_ value: Acks) { self.value = value }

    /// Reads `all`, `leader`, `none`, `-1`, `1` or `0`.
    public init?(argument: String) {
        switch argument {
        case "all", "-1": value = .all
        case "leader", "1": value = .leader
        case "none", "0": value = .none
        default: return nil
        }
    }

    /// The word.
    public var description: String { "\(value)" }
    /// The word.
    public var defaultValueDescription: String { description }
    /// The words.
    public static var allValueStrings: [String] { ["all", "leader", "none"] }
}

/// `--compression`: Kafka's names of the codecs.
public struct CodecArgument: ExpressibleByArgument, CustomStringConvertible, Sendable {
    /// What was meant.
    public let value: CompressionCodec
    /// The default.
    public static let none = CodecArgument(value: .none)

    private init(value: CompressionCodec) { self.value = value }

    /// Reads a codec's name.
    public init?(argument: String) {
        guard let codec = CompressionCodec(name: argument) else { return nil }
        value = codec
    }

    /// The name.
    public var description: String { value.name }
    /// The name.
    public var defaultValueDescription: String { description }
    /// The names.
    public static var allValueStrings: [String] { CompressionCodec.allCases.map(\.name) }
}
