import NIOCore

/// The frame of a Raft stream.
///
/// - Shape: little endian: u32 length of what follows the header, u32 CRC-32C of everything
///   behind this field, u8 version, u8 flags, u16 zero; then records to the end.
enum StreamFrame {
    static let headerBytes = 12
    static let version: UInt8 = 1
    /// No frame is longer, header included; 16 MiB.
    static let bytesMax = 16 << 20
    /// A frame that has grown beyond this is closed, and another one begun.
    static let bytesTarget = 1 << 20
    /// A message that is larger than a frame travels in pieces of so many bytes; 1 MiB.
    static let pieceBytes = 1 << 20
    /// No message is larger; 1 GiB.
    static let messageBytesMax = 1 << 30
    /// Set when records hold payloads: whoever keeps them keeps the frame's memory.
    static let carriesPayloads: UInt8 = 1
    /// The CRC covers the header from here on.
    static let checkedFrom = 8
}

/// Why bytes of a stream were not understood; the stream is of no more use.
enum StreamError: Error, Equatable, CustomStringConvertible {
    case lengthOutOfRange(UInt32)
    case versionUnknown(UInt8)
    case flagsUnknown(UInt8)
    case checksumWrong
    case recordTruncated
    case recordInvalid(String)

    var description: String {
        switch self {
        case .lengthOutOfRange(let length): "frame length \(length) out of range"
        case .versionUnknown(let version): "unknown frame version \(version)"
        case .flagsUnknown(let flags): "unknown frame flags \(flags)"
        case .checksumWrong: "frame checksum is wrong"
        case .recordTruncated: "record ends behind its frame"
        case .recordInvalid(let what): "record is invalid: \(what)"
        }
    }
}

/// What a record holds, told by its first byte; below these it is a message of that type.
///
/// - Shape: a round of heartbeats is u64 number, varint count, and for each heartbeat five
///   varints: group less the one before, the leader's and the receiver's incarnation, term,
///   commit. Its answer is u64 number, varint count, and for each range of places two varints:
///   how many places lie between it and the one before, and how many it holds. A piece of the
///   record of a large message is varint size of that record, varint place of the piece in it,
///   varint length, bytes; the pieces of one record come in order.
enum RecordType {
    static let heartbeats: UInt8 = 64
    static let heartbeatAnswers: UInt8 = 65
    static let piece: UInt8 = 66
}

/// Which fields a message's record holds; a field that is zero is not written.
struct RecordFields: OptionSet {
    let rawValue: UInt64

    /// The sender is another node than one of the stream's owner, and written in full.
    static let foreignFrom = RecordFields(rawValue: 1 << 0)
    static let context = RecordFields(rawValue: 1 << 1)
    static let index = RecordFields(rawValue: 1 << 2)
    static let commit = RecordFields(rawValue: 1 << 3)
    static let logTerm = RecordFields(rawValue: 1 << 4)
    static let reject = RecordFields(rawValue: 1 << 5)
    static let rejectHint = RecordFields(rawValue: 1 << 6)
    static let entries = RecordFields(rawValue: 1 << 7)
    static let chain = RecordFields(rawValue: 1 << 8)
    static let vote = RecordFields(rawValue: 1 << 9)
    static let snapshot = RecordFields(rawValue: 1 << 10)
    /// The entries have no place in a log yet: they are proposals.
    static let unplaced = RecordFields(rawValue: 1 << 11)

    static let all = RecordFields(rawValue: 1 << 12 - 1)
}
