import Glibc
import KafkaClient

/// Reads stdin and gives it as records, as many at a time as one read brought.
struct LineSource {
    typealias Maker = (ArraySlice<UInt8>, Int) -> OutgoingRecord

    /// How many lines were read.
    private(set) var lineNumber = 0
    private var rest: [UInt8] = []
    private var isAtEnd = false
    private let makeRecord: Maker

    init(makeRecord: @escaping Maker) { self.makeRecord = makeRecord }

    /// The records of the next lines; nil at the end of the input.
    mutating func next() -> [OutgoingRecord]? {
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        while !isAtEnd {
            let count = read(STDIN_FILENO, &buffer, buffer.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                isAtEnd = true
                break
            }
            rest += buffer[..<count]
            let records = takeLines()
            if !records.isEmpty { return records }
        }
        guard !rest.isEmpty else { return nil }
        let last = rest
        rest = []
        lineNumber += 1
        return [makeRecord(last[...], lineNumber)]
    }

    private mutating func takeLines() -> [OutgoingRecord] {
        var records: [OutgoingRecord] = []
        var start = 0
        while let end = rest[start...].firstIndex(of: UInt8(ascii: "\n")) {
            lineNumber += 1
            records.append(makeRecord(rest[start..<end], lineNumber))
            start = end + 1
        }
        rest.removeFirst(start)
        return records
    }
}
