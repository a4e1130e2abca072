import Model

/// What an entry's payload is.
///
/// - Shape: the raw values are those of etcd's protocol.
public enum EntryType: UInt8, Sendable {
    /// The application's bytes; empty for the entry that opens a leader's term.
    case normal = 0
    /// A change of one member, as `ConfChange` bytes.
    case confChange = 1
    /// A change of any number of members, as `ConfChange` bytes.
    case confChangeV2 = 2
}

/// One entry of a Raft log.
///
/// - Invariant: index and term together name its content, in every log of the group.
/// - Source: Raft thesis 3.5.
public struct Entry: Equatable, Sendable {
    /// The term of the leader that appended it.
    public var term: Term
    /// Its place in the log.
    public var index: LogIndex
    /// What the payload is.
    public var type: EntryType
    /// The bytes.
    public var payload: Payload

    /// Makes an entry; a leader overwrites term and index when it appends a proposal.
    public init(
        term: Term = 0,
        index: LogIndex = 0,
        type: EntryType = .normal,
        payload: Payload = .empty
    ) {
        self.term = term
        self.index = index
        self.type = type
        self.payload = payload
    }

    /// What every entry costs besides its payload when a limit in bytes is applied.
    public static let overheadBytes = 24

    /// The size that limits in bytes count: payload and a constant for the rest.
    @inlinable
    public var sizeBytes: Int { payload.count + Self.overheadBytes }
}

extension ArraySlice<Entry> {
    /// How many entries from the front fit into a limit; at least one, if there is one.
    func countFitting(_ bytesMax: Int) -> Int {
        var total = 0
        for place in indices {
            total += self[place].sizeBytes
            if total > bytesMax, place > startIndex { return place - startIndex }
        }
        return count
    }
}
