import Foundation

/// A file of directives, each with the output that it must have.
///
/// - Shape: a command line, input lines, `----`, and the expected lines up to an empty one. A line
///   that begins with `#` is a comment, one that ends with `\` goes on in the next.
struct Script {
    struct Argument {
        let key: String
        let values: [String]
    }

    struct Directive {
        let line: Int
        let command: String
        let arguments: [Argument]
        let input: String
        let expected: String
        /// The lines of the file that hold the expected output, counted from 0.
        let expectedLines: Range<Int>

        /// The arguments that are a name alone.
        var words: [String] { arguments.filter(\.values.isEmpty).map(\.key) }

        func value(of key: String) -> String? {
            arguments.first { $0.key == key }?.values.first
        }

        func number(at place: Int) throws -> UInt64 {
            guard arguments.indices.contains(place), let number = UInt64(arguments[place].key)
            else { throw ScriptError("argument \(place) of \(command) is no number") }
            return number
        }
    }

    let name: String
    let directives: [Directive]

    init(contentsOf url: URL) throws {
        let text = try String(contentsOf: url, encoding: .utf8)
        self.name = url.deletingLastPathComponent().lastPathComponent + "/" + url.lastPathComponent
        self.directives = try Self.parse(text)
    }

    private static func parse(_ text: String) throws -> [Directive] {
        let lines = text.components(separatedBy: "\n")
        var directives: [Directive] = []
        var next = 0
        while next < lines.count {
            var head = lines[next].trimmingCharacters(in: .whitespaces)
            let start = next + 1
            next += 1
            if head.isEmpty || head.hasPrefix("#") { continue }
            while head.hasSuffix("\\"), next < lines.count {
                head = head.dropLast() + lines[next].trimmingCharacters(in: .whitespaces)
                next += 1
            }
            var input: [String] = []
            while next < lines.count, lines[next] != "----" {
                input.append(lines[next])
                next += 1
            }
            guard next < lines.count else { throw ScriptError("line \(start) has no ----") }
            next += 1
            let firstExpected = next
            var expected = ""
            while next < lines.count, !lines[next].allSatisfy(\.isWhitespace) {
                expected += lines[next] + "\n"
                next += 1
            }
            let words = try split(head)
            directives.append(
                Directive(
                    line: start,
                    command: words[0],
                    arguments: words.dropFirst().map(argument),
                    input: input.joined(separator: "\n")
                        .trimmingCharacters(in: .whitespacesAndNewlines),
                    expected: expected,
                    expectedLines: firstExpected..<next
                )
            )
        }
        return directives
    }

    /// Splits at spaces outside of parentheses.
    private static func split(_ head: String) throws -> [String] {
        var words = [""]
        var depth = 0
        for character in head {
            if character == "(" { depth += 1 }
            if character == ")" { depth -= 1 }
            if character == " ", depth == 0 {
                if words.last != "" { words.append("") }
            } else {
                words[words.count - 1].append(character)
            }
        }
        if depth != 0 { throw ScriptError("parentheses of \(head)") }
        return words.filter { !$0.isEmpty }
    }

    private static func argument(_ word: String) -> Argument {
        guard let equals = word.firstIndex(of: "=") else { return Argument(key: word, values: []) }
        var value = word[word.index(after: equals)...]
        let key = String(word[..<equals])
        guard value.hasPrefix("("), value.hasSuffix(")") else {
            return Argument(key: key, values: [String(value)])
        }
        value = value.dropFirst().dropLast()
        let values = value.split(separator: ",").map {
            $0.trimmingCharacters(in: .whitespaces)
        }
        return Argument(key: key, values: values)
    }
}

struct ScriptError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
