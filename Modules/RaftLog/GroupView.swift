import Model

/// Where a reader finds a group's entries: an unchanging picture of its segments.
struct GroupView: Sendable {
    /// One segment, as far as it is written.
    struct Span: Sendable {
        var first: LogIndex
        /// The last entry; `first - 1` when there is none.
        var last: LogIndex
        /// The base offset of the first entry.
        var firstOffset: Offset
        /// Distinguishes the segment from an earlier one of the same name.
        var id: UInt64 = 0
    }

    var identity: GroupIdentity
    var directory: String
    /// The place before the first entry.
    var start: LogPoint
    /// The segments in order, without gaps.
    var spans: [Span]
    /// The place after the last entry that was written to a segment.
    var written: LogPoint
    /// The newest snapshot.
    var snapshot: SnapshotMark?

    /// The segment that holds an entry.
    func span(holding index: LogIndex) -> Span? {
        guard index > start.index else { return nil }
        return spans.last { $0.first <= index && index <= $0.last }
    }

    /// The segment in which the entry with a Kafka offset begins to be looked for.
    func span(holding offset: Offset) -> Span? {
        guard offset >= start.nextOffset, offset < written.nextOffset else { return nil }
        return spans.last { $0.firstOffset <= offset && $0.last >= $0.first }
    }
}
