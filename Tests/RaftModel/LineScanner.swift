/// Why a line of a trace cannot be read.
struct UnreadableLine: Error {
    /// What was expected, and where.
    let reason: String
}

/// Reads a line from left to right: what it expects is there, or the line is unreadable.
struct LineScanner {
    private let bytes: [UInt8]
    private var position = 0

    /// No index and no term is as high; sums of two can be counted with.
    private static let numberMax: UInt64 = 1 << 60

    init(_ text: String) { bytes = Array(text.utf8) }

    var isAtEnd: Bool { position == bytes.count }

    func failure(_ expected: String) -> UnreadableLine {
        UnreadableLine(reason: "not \(expected) at byte \(position)")
    }

    /// Passes over a text if it comes next.
    mutating func isNext(_ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard bytes.count - position >= count else { return false }
        for place in 0..<count where bytes[position + place] != text.utf8Start[place] {
            return false
        }
        position += count
        return true
    }

    mutating func skip(_ text: StaticString) throws(UnreadableLine) {
        guard isNext(text) else { throw failure("\(text)") }
    }

    /// A text in quotes; nothing in a trace needs an escape.
    mutating func text() throws(UnreadableLine) -> String {
        try skip("\"")
        let start = position
        while position < bytes.count, bytes[position] != UInt8(ascii: "\"") { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        try skip("\"")
        return text
    }

    /// An index, a term or a count, after a text.
    mutating func number(_ before: StaticString = "") throws(UnreadableLine) -> UInt64 {
        try skip(before)
        let value = try digits()
        guard value < Self.numberMax else { throw failure("a number below 2^60") }
        return value
    }

    /// The number of a node, in quotes; 0 for none.
    mutating func node() throws(UnreadableLine) -> UInt64 {
        try skip("\"")
        let value = try digits()
        try skip("\"")
        return value
    }

    private mutating func digits() throws(UnreadableLine) -> UInt64 {
        let start = position
        var value: UInt64 = 0
        while position < bytes.count, bytes[position] >= 0x30, bytes[position] <= 0x39 {
            let (product, isTooBig) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflows) = product.addingReportingOverflow(UInt64(bytes[position] - 0x30))
            guard !isTooBig, !overflows else { throw failure("a number of 64 bits") }
            value = sum
            position += 1
        }
        guard position > start else { throw failure("a number") }
        return value
    }

    /// The numbers of nodes.
    mutating func nodes() throws(UnreadableLine) -> [UInt64] {
        try list { (scanner) throws(UnreadableLine) in try scanner.node() }
    }

    /// A list in brackets.
    mutating func list<Element>(
        _ element: (inout LineScanner) throws(UnreadableLine) -> Element
    ) throws(UnreadableLine) -> [Element] {
        try skip("[")
        var elements: [Element] = []
        if isNext("]") { return elements }
        repeat { elements.append(try element(&self)) } while isNext(",")
        try skip("]")
        return elements
    }
}
