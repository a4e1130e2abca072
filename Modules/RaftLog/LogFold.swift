import Model
import Raft

/// Where an entry's payload lies in the write-ahead log.
struct WALEntry: Sendable {
    var row: EntryRow
    /// Which of the scanner's files.
    var file: Int
    var position: UInt64
}

/// A group as checkpoint and write-ahead log together describe it.
struct FoldedGroup: Sendable {
    var state: GroupState
    /// Up to here the segments may be believed.
    var trusted: LogIndex
    /// The entries after that, in order and without gaps.
    var entries: [WALEntry] = []
    /// Whether entries that the checkpoint knew were cut.
    var isCut = false

    init(checkpoint state: GroupState) {
        self.state = state
        trusted = state.end.index
    }

    init(created identity: GroupIdentity) {
        state = GroupState(identity: identity)
        trusted = 0
    }
}

/// Folds the write-ahead log over a checkpoint: the groups as they were acknowledged.
///
/// Only rows are kept in memory; payloads stay in the log's files until they are asked for.
struct LogFold {
    private(set) var groups: [RaftGroupID: FoldedGroup] = [:]
    /// Groups that were deleted, by the identity they had.
    private(set) var tombstones: [GroupIdentity]

    init(_ checkpoint: Checkpoint) {
        for state in checkpoint.groups {
            groups[state.identity.group] = FoldedGroup(checkpoint: state)
        }
        tombstones = checkpoint.tombstones
    }

    mutating func take(_ frame: ScannedFrame, path: String) throws(RaftLogError) {
        for (group, record) in frame.records {
            switch record {
            case .created(let identity):
                groups[group] = FoldedGroup(created: identity)
            case .tombstone:
                if let identity = groups.removeValue(forKey: group)?.state.identity {
                    tombstones.append(identity)
                }
            default:
                // Taken out and put back, so that the entries are not copied.
                guard var folded = groups.removeValue(forKey: group) else {
                    // A deleted group's last writes may follow its tombstone.
                    if tombstones.contains(where: { $0.group == group }) { continue }
                    throw .damaged(path: path, reason: "a record of group \(group), never created")
                }
                folded.take(record, frame)
                groups[group] = folded
            }
        }
    }

    /// Ends the fold: what is impossible is refused or marked.
    mutating func finish(_ end: WALEnd) throws(RaftLogError) {
        for group in groups.keys.sorted() {
            if case .hole(let place) = end {
                groups[group]?.state.suspicion =
                    "the write-ahead log is damaged at file \(place.file), byte \(place.position)"
            }
            guard let state = groups[group]?.state else { continue }
            if state.hardState.term < state.end.term {
                throw .missingHardState(path: "partitions/\(state.identity.directoryName)")
            }
            if state.hardState.commit > state.end.index, state.suspicion == nil {
                groups[group]?.state.suspicion =
                    "commit \(state.hardState.commit) lies after the last entry \(state.end.index)"
            }
        }
    }
}

extension FoldedGroup {
    fileprivate mutating func take(_ record: WALRecord, _ frame: ScannedFrame) {
        switch record {
        case .entry(let row): take(row, frame)
        case .prefixTruncated(let point):
            state.apply(record)
            entries.removeAll { $0.row.index <= point.index }
            trusted = max(trusted, point.index)
        case .snapshot(let mark):
            state.apply(record)
            guard mark.replacesLog else { return }
            entries = []
            trusted = mark.point.index
            state.segments = []
            isCut = false
        default: state.apply(record)
        }
    }

    private mutating func take(_ row: EntryRow, _ frame: ScannedFrame) {
        guard row.index > state.start.index, row.index <= state.end.index + 1 else {
            return suspect("entry \(row.index) does not follow entry \(state.end.index)")
        }
        if row.index == state.end.index + 1, row.baseOffset != state.end.nextOffset {
            return suspect("entry \(row.index) does not go on at offset \(state.end.nextOffset)")
        }
        if row.index <= trusted {
            trusted = row.index - 1
            isCut = true
            entries = []
        }
        while let last = entries.last, last.row.index >= row.index { entries.removeLast() }
        state.append(row)
        entries.append(
            WALEntry(row: row, file: frame.file, position: frame.payloads + row.position)
        )
    }

    private mutating func suspect(_ reason: String) {
        if state.suspicion == nil { state.suspicion = reason }
    }
}
