/// A range of versions; nil stands for "none".
struct Versions: Equatable {
    let low: Int
    let high: Int

    /// Reads `3`, `3-5` or `3+`, the last one up to `limit`.
    init?(_ text: some StringProtocol, limit: Int) {
        if text.hasSuffix("+"), let low = Int(text.dropLast()) {
            self.init(low: low, high: limit)
        } else {
            let ends = text.split(separator: "-").map { Int($0) }
            guard let low = ends.first ?? nil, let high = ends.last ?? nil, low <= high else {
                return nil
            }
            self.init(low: low, high: high)
        }
    }

    init(low: Int, high: Int) {
        self.low = low
        self.high = high
    }

    func covers(_ other: Versions) -> Bool { low <= other.low && high >= other.high }
}

/// One field of a message or structure.
struct Field {
    let name: String
    let type: String
    let isArray: Bool
    /// The versions in which it may be null; nil if never.
    let nullable: Versions?
    let versions: Versions
    let tag: Int?
    let defaultValue: String?
    var fields: [Field] = []

    var isStructure: Bool { type.first?.isUppercase == true }
}

/// One message: a request, a response or a record's format.
struct SchemaMessage {
    let name: String
    let key: Int?
    let versions: Versions
    let flexible: Versions?
    var fields: [Field] = []
}

struct SchemaError: Error, CustomStringConvertible {
    let description: String
}

/// Reads the schema file.
struct SchemaParser {
    private var lines: [(number: Int, depth: Int, words: [Substring])] = []
    private var position = 0

    static func parse(_ text: String) throws -> [SchemaMessage] {
        var parser = SchemaParser()
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false)
            .enumerated()
        {
            let indentation = line.prefix { $0 == " " }.count
            let words = line.split(separator: " ")
            guard let first = words.first, !first.hasPrefix("#") else { continue }
            guard indentation % 4 == 0 else {
                throw SchemaError(description: "line \(index + 1): indented by \(indentation)")
            }
            parser.lines.append((index + 1, indentation / 4, words))
        }
        var messages: [SchemaMessage] = []
        while parser.position < parser.lines.count { messages.append(try parser.message()) }
        return messages
    }

    private mutating func message() throws -> SchemaMessage {
        let line = lines[position]
        guard line.depth == 0, line.words.count >= 2, line.words[0] == "message" else {
            throw SchemaError(description: "line \(line.number): expected 'message NAME ...'")
        }
        let options = try Self.options(line.words.dropFirst(2), line.number)
        guard let text = options["versions"], let versions = Versions(text, limit: 99) else {
            throw SchemaError(description: "line \(line.number): no versions")
        }
        position += 1
        var message = SchemaMessage(
            name: String(line.words[1]),
            key: options["key"].flatMap { Int($0) },
            versions: versions,
            flexible: options["flexible"].flatMap { Versions($0, limit: versions.high) }
        )
        message.fields = try fields(depth: 1, in: versions)
        return message
    }

    private mutating func fields(depth: Int, in scope: Versions) throws -> [Field] {
        var result: [Field] = []
        while position < lines.count, lines[position].depth >= depth {
            let line = lines[position]
            guard line.depth == depth, line.words.count >= 2 else {
                throw SchemaError(description: "line \(line.number): misplaced field")
            }
            var type = line.words[1]
            let isNullable = type.hasSuffix("?")
            if isNullable { type = type.dropLast() }
            let isArray = type.hasPrefix("[")
            if isArray { type = type.dropFirst().dropLast() }
            let options = try Self.options(line.words.dropFirst(2), line.number)
            let versions = options["versions"].flatMap { Versions($0, limit: scope.high) } ?? scope
            let null = options["null"].flatMap { Versions($0, limit: scope.high) }
            var field = Field(
                name: String(line.words[0]),
                type: String(type),
                isArray: isArray,
                nullable: isNullable ? null ?? versions : nil,
                versions: versions,
                tag: options["tag"].flatMap { Int($0) },
                defaultValue: options["default"]
            )
            position += 1
            field.fields = try fields(depth: depth + 1, in: versions)
            guard field.fields.isEmpty != field.isStructure else {
                throw SchemaError(description: "line \(line.number): \(type) and its fields differ")
            }
            result.append(field)
        }
        return result
    }

    private static func options(
        _ words: ArraySlice<Substring>,
        _ line: Int
    ) throws -> [String: String] {
        var result: [String: String] = [:]
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1)
            guard parts.count == 2 else {
                throw SchemaError(description: "line \(line): '\(word)' is not NAME=VALUE")
            }
            result[String(parts[0])] = String(parts[1])
        }
        return result
    }
}
