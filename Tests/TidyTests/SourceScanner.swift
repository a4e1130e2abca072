/// What the tidy rules need to know of one Swift file, read line by line.
struct SourceScanner {
    /// The modules that the file imports, with the numbers of their lines.
    private(set) var imports: [(line: Int, module: String)] = []
    /// The functions, initializers and accessors with a body: first line, name, length in lines.
    private(set) var functions: [(line: Int, name: String, length: Int)] = []
    /// The types that the file declares.
    private(set) var types: [(line: Int, name: String)] = []
    /// The lines of code: comments cut off, string literals emptied.
    private(set) var code: [(line: Int, text: String)] = []

    init(_ lines: [Substring]) {
        var isInText = false
        for (index, line) in lines.enumerated() {
            let marks = line.components(separatedBy: "\"\"\"")
            let wasInText = isInText
            if marks % 2 == 0 { isInText.toggle() }
            guard !wasInText else { continue }
            let text = Self.strip(line)
            guard !text.isEmpty else { continue }
            code.append((index + 1, text))
            readImport(text, index + 1)
            readType(text, index + 1)
        }
        for position in code.indices { readFunction(at: position) }
    }

    /// The line without its comment and with emptied string literals.
    private static func strip(_ line: Substring) -> String {
        var result = ""
        var isInString = false
        var previous: Character = " "
        for character in line {
            if character == "\"", previous != "\\" {
                isInString.toggle()
                result.append("\"")
            } else if !isInString {
                if character == "/", previous == "/" {
                    result.removeLast()
                    break
                }
                result.append(character)
            }
            previous = character
        }
        return result.allSatisfy { $0 == " " } ? "" : result
    }

    private mutating func readImport(_ text: String, _ line: Int) {
        let words = text.split(separator: " ")
        guard let place = words.firstIndex(of: "import"), place + 1 < words.count else { return }
        let before = words[..<place]
        guard before.allSatisfy({ Self.importModifiers.contains($0) || $0.hasPrefix("@") })
        else { return }
        imports.append((line, String(words[place + 1].prefix { $0 != "." })))
    }

    private static let importModifiers: Set<Substring> = [
        "public", "package", "internal", "fileprivate", "private",
    ]

    private mutating func readType(_ text: String, _ line: Int) {
        let words = text.split { !($0.isLetter || $0.isNumber || $0 == "_") }
        for keyword in ["struct", "class", "enum", "protocol", "actor", "typealias"] {
            guard let place = words.firstIndex(of: Substring(keyword)), place + 1 < words.count
            else { continue }
            types.append((line, String(words[place + 1])))
        }
    }

    private mutating func readFunction(at position: Int) {
        let (line, text) = code[position]
        let words = text.split { !($0.isLetter || $0.isNumber || $0 == "_") }
        guard words.contains("func") || words.contains("init") || words.contains("deinit") else {
            return
        }
        let indentation = text.prefix { $0 == " " }.count
        let trimmed = text.dropFirst(indentation)
        guard Self.declarationStarts.contains(where: { trimmed.hasPrefix($0) }) else { return }
        // A body on one line closes what it opens.
        let opened = text.count { $0 == "{" }
        if opened > 0, opened == text.count(where: { $0 == "}" }) {
            functions.append((line, String(trimmed.prefix(60)), 1))
            return
        }
        // The body ends with the first closing brace that stands as far left as the start.
        for (end, candidate) in code[position...].dropFirst() {
            let left = candidate.prefix { $0 == " " }.count
            guard left <= indentation, candidate.dropFirst(left).first == "}" else { continue }
            functions.append((line, String(trimmed.prefix(60)), end - line + 1))
            return
        }
    }

    private static let declarationStarts = [
        "func ", "public func ", "package func ", "private func ", "fileprivate func ",
        "static func ", "public static func ", "private static func ", "package static func ",
        "mutating func ", "public mutating func ", "private mutating func ",
        "package mutating func ", "@Test func ", "init(", "public init(", "private init(",
        "package init(", "init?(", "public init?(", "deinit", "override func ",
        "@inlinable func ", "consuming func ", "borrowing func ",
    ]
}

extension Substring {
    /// How often `separator` occurs, plus one.
    fileprivate func components(separatedBy separator: String) -> Int {
        var count = 1
        var rest = self
        while let range = rest.firstRange(of: separator) {
            count += 1
            rest = rest[range.upperBound...]
        }
        return count
    }
}
