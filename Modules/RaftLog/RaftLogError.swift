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
