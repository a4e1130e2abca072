import Glibc

/// Harm to what a stopped daemon has on disk.
package enum LogDamage {
    private static let blockBytes = 4096
    /// `MRTF`, with which a frame of the write-ahead log begins.
    private static let frameMagic: [UInt8] = [0x4d, 0x52, 0x54, 0x46]

    /// Spoils a frame of the write-ahead log that has whole ones behind it.
    ///
    /// That is no torn write: it may hide anything, and the daemon must trust none of its groups.
    package static func spoilLog(in dataDirectory: String) throws {
        let directory = "\(dataDirectory)/wal"
        let files = Places.files(in: directory).map { name in
            let bytes = readBytes("\(directory)/\(name)", from: 0)
            return (path: "\(directory)/\(name)", bytes: bytes, sequence: number(bytes, at: 32))
        }
        guard let newest = files.max(by: { $0.sequence < $1.sequence }) else {
            throw HarnessError("no write-ahead log in \(directory)")
        }
        let blocks = stride(from: blockBytes, to: newest.bytes.count, by: blockBytes)
        let frames = blocks.filter { position in
            // A file that is used again holds frames of its earlier life, too.
            Array(newest.bytes[position..<position + 4]) == frameMagic
                && number(newest.bytes, at: position + 8) == newest.sequence
        }
        guard frames.count >= 3 else { throw HarnessError("too few frames in \(newest.path)") }
        let position = frames[frames.count - 3] + 64
        try overwrite(newest.path, at: position, with: ~newest.bytes[position])
    }

    private static func number(_ bytes: [UInt8], at position: Int) -> UInt64 {
        guard bytes.count >= position + 8 else { return 0 }
        return bytes[position..<position + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    private static func overwrite(_ path: String, at position: Int, with byte: UInt8) throws {
        let file = open(path, O_WRONLY | O_CLOEXEC)
        guard file >= 0 else { throw HarnessError("cannot write \(path)") }
        defer { close(file) }
        var byte = byte
        guard pwrite(file, &byte, 1, off_t(position)) == 1 else {
            throw HarnessError("cannot write \(path)")
        }
    }
}
