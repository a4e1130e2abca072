import Model

/// Why the stable log cannot answer.
public enum LogStorageError: Error, Equatable, Sendable {
    /// The entry was replaced by a snapshot.
    case compacted
    /// The entry is after the log's end.
    case unavailable
    /// The entries are on disk and being read: `RaftNode.entriesFetched()` follows.
    case temporarilyUnavailable
    /// There is no snapshot to send yet.
    case snapshotTemporarilyUnavailable
}

/// The stable part of a replica's log as consensus sees it; answers from memory, never blocks.
///
/// Entries that were handed over in a `storageAppend` may already be visible here; consensus
/// counts them as stable only when the response to that message is stepped.
public protocol LogStorage: AnyObject {
    /// What was remembered when the replica was started.
    var initialState: (HardState, ConfState) { get }
    /// The first entry that can be read; the one before it is the last of the snapshot.
    var firstIndex: LogIndex { get }
    /// The last entry; `firstIndex - 1` when there is none.
    var lastIndex: LogIndex { get }

    /// The term of an entry in `firstIndex - 1 ... lastIndex`.
    func term(at index: LogIndex) throws(LogStorageError) -> Term

    /// Entries of `from ..< to`, as many from the front as fit into `maxBytes`, at least one.
    func entries(
        from: LogIndex,
        to: LogIndex,
        maxBytes: Int
    ) throws(LogStorageError) -> [Entry]

    /// One entry of the log.
    ///
    /// Asked for instead of `entries` where one is wanted, so that no array need be made for it.
    func entry(at index: LogIndex) throws(LogStorageError) -> Entry

    /// A snapshot that can be sent to a replica that is too far behind.
    func snapshot() throws(LogStorageError) -> Snapshot
}

extension LogStorage {
    /// One entry of the log, in an array first.
    public func entry(at index: LogIndex) throws(LogStorageError) -> Entry {
        let found = try entries(from: index, to: index + 1, maxBytes: .max)
        guard let entry = found.first else { throw .unavailable }
        return entry
    }
}
