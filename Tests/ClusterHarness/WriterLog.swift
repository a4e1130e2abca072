/// What a `keep_writing.py` has recorded so far, read piece by piece.
package final class WriterLog {
    /// One acknowledged message.
    package struct Acknowledgement: Equatable, Sendable {
        /// When it was handed to the client library, in milliseconds of the monotonic clock.
        package let sent: Int64
        /// When the answer came.
        package let answered: Int64
        /// The partition.
        package let partition: Int
        /// The offset that was answered.
        package let offset: Int64
    }

    private let path: String
    private var position = 0
    /// Every message that was acknowledged so far, in the order of the answers.
    package private(set) var acknowledged: [Acknowledgement] = []
    /// The lines that say that a message was given up.
    package private(set) var failures: [String] = []

    /// Follows a file that need not exist yet.
    package init(path: String) { self.path = path }

    /// Takes the lines that were added.
    package func read() {
        let bytes = readBytes(path, from: position)
        guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return }
        position += end + 1
        for line in bytes[...end].split(separator: UInt8(ascii: "\n")) {
            let fields = String(decoding: line, as: UTF8.self).split(separator: " ")
            if fields.first == "A", fields.count == 6, let sent = Int64(fields[1]),
                let answered = Int64(fields[2]), let partition = Int(fields[3]),
                let offset = Int64(fields[4])
            {
                acknowledged.append(
                    Acknowledgement(
                        sent: sent,
                        answered: answered,
                        partition: partition,
                        offset: offset
                    )
                )
            } else if fields.first == "F" {
                failures.append(fields.joined(separator: " "))
            }
        }
    }

    /// When each partition first acknowledged a message that was sent after `time`.
    package func firstAnswers(toSentAfter time: Int64) -> [Int: Int64] {
        read()
        var first: [Int: Int64] = [:]
        for one in acknowledged.reversed() {
            // Answers come in the order of their time: nothing earlier can have been sent later.
            if one.answered < time { break }
            if one.sent >= time { first[one.partition] = one.answered }
        }
        return first
    }
}
