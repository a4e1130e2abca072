import Model
import Raft

/// An entry as the log keeps it: its row, and the very payload that was appended.
struct LoggedEntry: Sendable {
    var row: EntryRow
    var payload: Payload
}

/// What one group wants written: made by ``GroupLog/prepare(entries:hardState:snapshot:)``, handed
/// to ``LogDirectory/submit(_:completion:)`` in the order in which it was made.
public struct GroupWrite: Sendable {
    /// The group.
    public let group: RaftGroupID
    let hardState: HardState?
    let controls: [WALRecord]
    let entries: [LoggedEntry]
    /// The place before the first of `entries`.
    let before: LogPoint?
    /// The snapshot whose bytes must be durable before its record is.
    let install: SnapshotInstall?

    init(
        group: RaftGroupID,
        hardState: HardState? = nil,
        controls: [WALRecord] = [],
        entries: [LoggedEntry] = [],
        before: LogPoint? = nil,
        install: SnapshotInstall? = nil
    ) {
        self.group = group
        self.hardState = hardState
        self.controls = controls
        self.entries = entries
        self.before = before
        self.install = install
    }

    /// Whether there is nothing to write.
    public var isEmpty: Bool { hardState == nil && controls.isEmpty && entries.isEmpty }
    /// The number of entries.
    public var entryCount: Int { entries.count }
}

/// A leader's snapshot on its way to a file.
struct SnapshotInstall: Sendable {
    let mark: SnapshotMark
    let snapshot: Snapshot
}
