import Disk
import Model

/// Why the log could not do what it was asked.
public enum RaftLogError: Error, Equatable, Sendable {
    /// A read or write failed; reported once, then everything is ``halted``.
    case disk(DiskError)
    /// An earlier write failed: nothing is written or acknowledged any more.
    case halted
    /// The log was closed.
    case closed
    /// Another process holds the data directory.
    case locked(path: String)
    /// A file holds something other than what was written.
    case damaged(path: String, reason: String)
    /// A file of a version that this program does not know.
    case unsupportedVersion(path: String, version: UInt32)
    /// A directory with files of somebody else; a data directory starts empty.
    case notADataDirectory(path: String)
    /// The directory belongs to another cluster.
    case foreignCluster(found: ClusterID, expected: ClusterID)
    /// A log without the term and vote that belong to it: starting could vote twice.
    case missingHardState(path: String)
    /// No such group.
    case unknownGroup(RaftGroupID)
    /// The group exists already.
    case groupExists(RaftGroupID)
    /// An entry that can never be written: longer than a WAL file.
    case entryTooLarge(bytes: Int, bytesMax: Int)
    /// An entry whose payload does not fit its place in the log.
    case malformedEntry(group: RaftGroupID, index: LogIndex, reason: String)
    /// The entries were replaced by a snapshot.
    case compacted
    /// The entries or offsets lie after the log's end.
    case outOfRange
}

extension RaftLogError: CustomStringConvertible {
    /// A sentence for the operator.
    public var description: String {
        switch self {
        case .disk(let error): "\(error)"
        case .halted: "an earlier write failed, so nothing more is written"
        case .closed: "the log is closed"
        case .locked(let path): "another process holds the data directory \(path)"
        case .damaged(let path, let reason): "\(path) is damaged: \(reason)"
        case .unsupportedVersion(let path, let version):
            """
            \(path) is of format \(version), which this program does not know: it was written by \
            another version of Martlet, and nothing of it was changed
            """
        case .notADataDirectory(let path):
            "\(path) holds files of something else; a data directory starts empty"
        case .foreignCluster(let found, let expected):
            "the data directory belongs to cluster \(found), not to \(expected)"
        case .missingHardState(let path):
            "\(path) lacks the term and vote that belong to its log"
        case .unknownGroup(let group): "there is no Raft group \(group)"
        case .groupExists(let group): "Raft group \(group) exists already"
        case .entryTooLarge(let bytes, let bytesMax):
            "an entry of \(bytes) bytes is longer than the \(bytesMax) that fit"
        case .malformedEntry(let group, let index, let reason):
            "entry \(index) of Raft group \(group) fits no log: \(reason)"
        case .compacted: "the entries were replaced by a snapshot"
        case .outOfRange: "the entries lie after the log's end"
        }
    }
}
