/// A message that the generated code reads and writes.
///
/// - Invariant: `version` lies in `versions`; whoever calls has checked it.
public protocol KafkaMessage: Equatable, Sendable {
    /// The versions that can be read and written.
    static var versions: ClosedRange<Int16> { get }
    /// All fields at their defaults.
    init()
    /// Reads the fields of a version.
    init(reading reader: inout KafkaReader, version: Int16) throws(KafkaCodecError)
    /// Writes the fields of a version.
    func write(to writer: inout KafkaWriter, version: Int16)
}

/// Why bytes are not a message of Kafka's.
public enum KafkaCodecError: Error, Equatable, Sendable {
    /// A field, or a length in it, reaches beyond the end of the message.
    case truncated
    /// A length below -1, or a null where there may be none.
    case badLength
    /// A variable-length integer of more than 32 bits.
    case badVarint
    /// Text that is not UTF-8.
    case badText
    /// Bytes are left behind the last field.
    case trailingBytes
}
