import Disk
import Model

/// The file that makes a directory a data directory and gives it its identity.
///
/// - Shape: text, one `key: value` per line, the last line with the CRC-32C of the others. It is
///   written when everything else of an empty directory exists, and never again but for the
///   cluster's id, which is added when it is learnt.
struct DataDirectory: Equatable, Sendable {
    var id: DirectoryID
    /// nil before the daemon belongs to a cluster.
    var cluster: ClusterID?

    static let name = "directory_id"
    static let version: UInt32 = 1

    var text: String {
        let lines =
            "format: martlet data directory \(Self.version)\n"
            + "directory_id: \(id)\n"
            + "cluster_id: \(cluster.map { "\($0)" } ?? "none")\n"
        return lines + "crc: \(Checksum.crc(Array(lines.utf8)))\n"
    }

    init(id: DirectoryID, cluster: ClusterID?) {
        self.id = id
        self.cluster = cluster
    }

    init(reading bytes: [UInt8], path: String) throws(RaftLogError) {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .damaged(path: path, reason: "not a text")
        }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: true)
        let format = "format: martlet data directory "
        guard let first = lines.first, first.hasPrefix(format),
            let version = UInt32(first.dropFirst(format.count))
        else { throw .damaged(path: path, reason: "not the lines that were written") }
        // Before anything else: a later version may have more lines and another checksum.
        guard version == Self.version else {
            throw .unsupportedVersion(path: path, version: version)
        }
        guard lines.count == 4 else {
            throw .damaged(path: path, reason: "not the four lines that were written")
        }
        let covered = lines[..<3].map { $0 + "\n" }.joined()
        guard lines[3] == "crc: \(Checksum.crc(Array(covered.utf8)))",
            lines[1].hasPrefix("directory_id: "), lines[2].hasPrefix("cluster_id: "),
            let id = DirectoryID(text: lines[1].dropFirst(14))
        else { throw .damaged(path: path, reason: "the checksum is wrong") }
        self.id = id
        let cluster = lines[2].dropFirst(12)
        self.cluster = cluster == "none" ? nil : ClusterID(text: cluster)
    }

    /// Reads the identity; nil when the directory has none yet.
    static func read(
        _ root: String,
        _ files: any FileStore
    ) throws(RaftLogError) -> DataDirectory? {
        let path = "\(root)/\(name)"
        guard files.kind(of: path) == .file else { return nil }
        let bytes = try reading { () throws(DiskError) in
            let file = try files.open(path, .read)
            return try file.read(Int(clamping: min(try file.size(), 4096)), at: 0)
        }
        return try DataDirectory(reading: bytes, path: path)
    }

    /// Writes the identity so that it is there wholly or not at all.
    func write(_ root: String, _ files: any FileStore) throws(DiskError) {
        let path = "\(root)/\(Self.name)"
        let file = try files.open(path + ".tmp", .create)
        try file.truncate(to: 0)
        try file.write(Array(text.utf8), at: 0)
        try file.sync()
        try files.rename(path + ".tmp", to: path)
        try files.syncDirectory(root)
    }

    /// Makes an empty directory a data directory; what an earlier try left is written again.
    static func create(
        _ root: String,
        _ id: DirectoryID,
        _ cluster: ClusterID?,
        _ files: any FileStore
    ) throws(RaftLogError) -> DataDirectory {
        let ours: Set = ["wal", "partitions", "checkpoint.a", "checkpoint.b", name + ".tmp"]
        let names = try reading { () throws(DiskError) in try files.list(root) }
        guard names.allSatisfy({ ours.contains($0) || $0 == "lost+found" }) else {
            throw .notADataDirectory(path: root)
        }
        for folder in ["partitions", "wal"] where names.contains(folder) {
            let inside = try reading { () throws(DiskError) in try files.list("\(root)/\(folder)") }
            // Without an identity there was never a group: something was lost, or is not ours.
            guard inside.allSatisfy({ $0.hasPrefix("spare-") }) else {
                throw .missingHardState(path: "\(root)/\(folder)")
            }
        }
        let directory = DataDirectory(id: id, cluster: cluster)
        try reading { () throws(DiskError) in
            try files.makeDirectory("\(root)/wal")
            try files.makeDirectory("\(root)/partitions")
            for spare in try files.list("\(root)/wal") {
                // Zeroed for a directory that never came to be: not with this identity's header.
                try files.remove("\(root)/wal/\(spare)")
            }
            let block = UInt64(WALFormat.blockBytes)
            let start = WALPosition(file: 1, position: block, frame: 1)
            let nothing = Checkpoint(sequence: 1, replayFrom: start, groups: [], tombstones: [])
            try nothing.write(to: root, id, files)
            try files.syncDirectory(root)
            try directory.write(root, files)
        }
        return directory
    }
}
