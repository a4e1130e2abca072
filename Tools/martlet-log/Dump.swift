import ArgumentParser
import Compression
import Model
import Raft
import RaftLog
import RecordBatch
import ToolSupport

struct Dump: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump",
        abstract: "Prints a line for every entry: index term type offset count length chain."
    )

    @Argument(help: ArgumentHelp("A data directory.", valueName: "dir"))
    var directory: String

    @Option(help: ArgumentHelp("Only this Raft group.", valueName: "number"))
    var group: UInt64?

    @Flag(help: "Also print the records of each batch: offset, timestamp, key and value.")
    var values = false

    func perform() async throws {
        let inspector = try inspect(directory)
        var groups = inspector.groups
        if let group {
            groups = groups.filter { $0.identity.group == RaftGroupID(group) }
            guard !groups.isEmpty else {
                throw ToolFailure(.refused, "'\(inspector.path)' has no group \(group)")
            }
        }
        for problem in inspector.problems { Terminal.say("martlet log dump: \(problem)") }
        var isSound = inspector.problems.isEmpty
        for group in groups {
            print("# \(title(group.identity)): \(extent(group))")
            if let suspicion = group.suspicion {
                print("# not to be trusted: \(suspicion)")
                isSound = false
            }
            if try !dump(group, of: inspector) { isSound = false }
        }
        if !isSound { throw ExitCode(ToolStatus.refused.rawValue) }
    }

    /// Prints a group's entries; false when some could not be read.
    private func dump(_ group: InspectedGroup, of inspector: LogInspector) throws -> Bool {
        var isSound = true
        var index = group.firstIndex
        while index <= group.lastIndex {
            let rows: [EntryRow]
            do throws(RaftLogError) {
                // Where many cannot be read, one of them is wrong: then one by one.
                if let many = try? inspector.rows(of: group, from: index, count: 512) {
                    rows = many
                } else {
                    rows = try inspector.rows(of: group, from: index, count: 1)
                }
            } catch {
                print("\(index) unreadable: \(error)")
                isSound = false
                index = index + 1
                continue
            }
            for row in rows {
                print(
                    "\(row.index) \(row.term) \(row.type) \(row.baseOffset) \(row.offsetCount) "
                        + "\(row.length) \(hex(row.chain))"
                )
                guard values, row.isBatch else { continue }
                do throws(RaftLogError) {
                    print(Self.records(try inspector.payload(of: row, in: group)), terminator: "")
                } catch {
                    print("    unreadable: \(error)")
                    isSound = false
                }
            }
            index = index + UInt64(rows.count)
        }
        return isSound
    }

    /// Records take at most this much memory when decompressed; 256 MiB.
    private static let recordsBytesMax = 256 << 20

    /// A line for each record of a batch.
    private static func records(_ batch: [UInt8]) -> String {
        guard let header = RecordBatchHeader(batch) else { return "    no batch\n" }
        guard let codec = CompressionCodec(rawValue: header.attributes.codec) else {
            return "    codec \(header.attributes.codec) is unknown\n"
        }
        let packed = Array(batch[RecordBatchHeader.size...])
        guard let plain = try? codec.decompress(packed, limit: recordsBytesMax) else {
            return "    its \(codec.name) cannot be decompressed\n"
        }
        var iterator = RecordIterator(plain, count: header.recordCount)
        var text = ""
        while let record = iterator.next() {
            let offset = header.baseOffset.rawValue &+ Int64(record.offsetDelta)
            let time = header.baseTimestamp &+ record.timestampDelta
            let kind = header.attributes.contains(.control) ? " control" : ""
            text += "    \(offset) \(time)\(kind) \(word(record.key)) \(word(record.value))\n"
        }
        if iterator.isDamaged { text += "    its records end early\n" }
        return text
    }

    /// Bytes on one line: text in quotes, anything else in hexadecimal, nothing as null.
    private static func word(_ bytes: [UInt8]?) -> String {
        guard let bytes else { return "null" }
        if let text = String(validating: bytes, as: UTF8.self) {
            let isPlain = text.unicodeScalars.allSatisfy { $0.value >= 32 && $0.value != 127 }
            if isPlain {
                var quoted = "\""
                for letter in text {
                    if letter == "\"" || letter == "\\" { quoted.append("\\") }
                    quoted.append(letter)
                }
                return quoted + "\""
            }
        }
        return "0x"
            + bytes.map { byte in
                let digits = String(byte, radix: 16)
                return digits.count == 1 ? "0" + digits : digits
            }.joined()
    }
}
