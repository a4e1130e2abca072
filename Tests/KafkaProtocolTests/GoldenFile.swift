import Foundation
import KafkaProtocol

/// golden.txt: messages as other implementations write them, and the fields that these know.
///
/// - Source: make_golden.py, which says what the lines mean.
struct GoldenFile {
    struct Field {
        let versions: ClosedRange<Int16>
        let isTagged: Bool
    }

    struct Message {
        let name: String
        /// The API's number; nil for a record, which has no header.
        let key: Int16?
        let version: Int16
        let variant: GoldenVariant
        let bytes: [UInt8]

        var isRequest: Bool { name.hasSuffix("Request") }
        var title: String { "\(name) \(version) \(variant)" }
    }

    /// By message and path.
    private(set) var fields: [String: [String: Field]] = [:]
    private(set) var messages: [Message] = []

    struct BadLine: Error {
        let line: Substring
    }

    init() throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        let url = folder.appendingPathComponent("golden.txt")
        for line in try String(contentsOf: url, encoding: .utf8).split(separator: "\n")
        where !line.hasPrefix("#") {
            let words = line.split(separator: " ").map(String.init)
            let isField = words.first == "field"
            guard isField ? add(field: words) : add(message: words) else {
                throw BadLine(line: line)
            }
        }
    }

    private mutating func add(field words: [String]) -> Bool {
        guard words.count >= 4 else { return false }
        let ends = words[3].split(separator: "-").compactMap { Int16($0) }
        guard ends.count == 2 else { return false }
        fields[words[1], default: [:]][words[2]] = Field(
            versions: ends[0]...ends[1],
            isTagged: words.last == "tagged"
        )
        return true
    }

    private mutating func add(message words: [String]) -> Bool {
        guard words.count == 6, words[0] == "bytes", let version = Int16(words[3]),
            let variant = GoldenVariant(rawValue: words[4]), let bytes = Self.bytes(words[5])
        else { return false }
        messages.append(
            Message(
                name: words[1],
                key: Int16(words[2]),
                version: version,
                variant: variant,
                bytes: bytes
            )
        )
        return true
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        let digits = text.utf8.compactMap { Character(UnicodeScalar($0)).hexDigitValue }
        guard digits.count == text.utf8.count, digits.count % 2 == 0 else { return nil }
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }
}
