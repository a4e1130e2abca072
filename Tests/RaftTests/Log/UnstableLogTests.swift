import Model
import Testing

@testable import Raft

/// The end of the log that storage has not confirmed: what is handed over, confirmed, replaced.
@Suite struct UnstableLogTests {
    private static let base = snapshot(4, 1)

    /// An unstable log in a state that a node could have brought it to.
    private func unstable(
        _ terms: [Term],
        at offset: LogIndex,
        handedOver: LogIndex? = nil,
        snapshot: Snapshot? = nil
    ) -> UnstableLog {
        var log = UnstableLog(offset: offset, sink: LogSink(hook: nil))
        if let snapshot { log.restore(snapshot) }
        let handed = Int((handedOver ?? offset).rawValue - offset.rawValue)
        let all: [Entry] = entries(terms, from: offset)
        log.replaceSuffix(EntryList(Array(all.prefix(handed))))
        if handed > 0 { log.handOver() }
        log.replaceSuffix(EntryList(Array(all.dropFirst(handed))))
        return log
    }

    @Test(
        arguments: [([1], nil, nil), ([], nil, nil), ([1], base, 5), ([], base, 5)]
            as [([Term], Snapshot?, LogIndex?)]
    )
    func `only a snapshot tells where the log begins`(
        terms: [Term],
        snapshot: Snapshot?,
        first: LogIndex?
    ) {
        #expect(unstable(terms, at: 5, snapshot: snapshot).firstIndex == first)
    }

    @Test(
        arguments: [([1], nil, 5), ([1], base, 5), ([], base, 4), ([], nil, nil)]
            as [([Term], Snapshot?, LogIndex?)]
    )
    func `entries or a snapshot tell where the log ends`(
        terms: [Term],
        snapshot: Snapshot?,
        last: LogIndex?
    ) {
        #expect(unstable(terms, at: 5, snapshot: snapshot).lastIndex == last)
    }

    @Test(
        arguments: [
            ([1], nil, 5, 1), ([1], nil, 6, nil), ([1], nil, 4, nil), ([1], base, 5, 1),
            ([1], base, 6, nil), ([1], base, 4, 1), ([1], base, 3, nil), ([], base, 5, nil),
            ([], base, 4, 1), ([], nil, 5, nil),
        ] as [([Term], Snapshot?, LogIndex, Term?)]
    )
    func `terms are known of entries and of the snapshot's end`(
        terms: [Term],
        snapshot: Snapshot?,
        index: LogIndex,
        term: Term?
    ) {
        #expect(unstable(terms, at: 5, snapshot: snapshot).term(at: index) == term)
    }

    @Test func `a snapshot replaces everything and is to be handed over anew`() {
        var log = unstable([1], at: 5, handedOver: 6, snapshot: Self.base)
        log.restore(snapshot(6, 2))
        #expect(log.offset == 7)
        #expect(log.handedOver == 7)
        #expect(log.entries.isEmpty)
        #expect(log.nextSnapshot == snapshot(6, 2))
    }

    @Test(arguments: [(5, [5, 6]), (6, [6]), (7, [])] as [(LogIndex, [LogIndex])])
    func `entries are handed over once`(handedOver: LogIndex, expected: [LogIndex]) {
        var log = unstable([1, 1], at: 5, handedOver: handedOver)
        #expect(log.hasNextEntries == !expected.isEmpty)
        #expect(log.nextEntries.map(\.index) == expected)
        log.handOver()
        #expect(log.handedOver == 7)
        #expect(log.nextEntries.isEmpty)
    }

    @Test func `a snapshot is handed over once`() {
        var log = unstable([], at: 5)
        #expect(log.nextSnapshot == nil)
        log.handOver()
        #expect(!log.isSnapshotHandedOver)
        log.restore(Self.base)
        #expect(log.nextSnapshot == Self.base)
        log.handOver()
        #expect(log.nextSnapshot == nil)
        #expect(log.snapshot == Self.base)
        #expect(log.handedOver == 5)
        log.snapshotBecameStable(3)
        #expect(log.snapshot == Self.base, "another snapshot was confirmed")
        log.snapshotBecameStable(4)
        #expect(log.snapshot == nil)
    }

    /// A confirmation, and what is left after it.
    struct Confirmation: Sendable {
        let terms: [Term]
        let offset: LogIndex
        let handedOver: LogIndex
        var snapshot: Snapshot?
        let index: LogIndex
        let term: Term
        let newOffset: LogIndex
        let newHandedOver: LogIndex
        let count: Int
    }

    private static func confirmations(_ base: Snapshot?) -> [Confirmation] {
        func confirmation(
            _ terms: [Term],
            _ offset: LogIndex,
            _ handedOver: LogIndex,
            _ index: LogIndex,
            _ term: Term,
            _ newOffset: LogIndex,
            _ newHandedOver: LogIndex,
            _ count: Int
        ) -> Confirmation {
            Confirmation(
                terms: terms,
                offset: offset,
                handedOver: handedOver,
                snapshot: base.map { _ in snapshot(offset - 1, 1) },
                index: index,
                term: term,
                newOffset: newOffset,
                newHandedOver: newHandedOver,
                count: count
            )
        }
        return [
            // The first entry, alone or before others that are handed over or not.
            confirmation([1], 5, 6, 5, 1, 6, 6, 0), confirmation([1, 1], 5, 6, 5, 1, 6, 6, 1),
            confirmation([1, 1], 5, 7, 5, 1, 6, 7, 1),
            // Another term, an entry before, and one after.
            confirmation([2], 6, 7, 6, 1, 6, 7, 1), confirmation([1], 5, 6, 4, 1, 5, 6, 1),
            confirmation([1], 5, 6, 4, 2, 5, 6, 1), confirmation([1], 5, 6, 6, 1, 5, 6, 1),
            confirmation([], 5, 5, 5, 1, 5, 5, 0),
        ]
    }

    @Test(arguments: confirmations(nil) + confirmations(base))
    func `a confirmed entry leaves with all before it, if it is still the same`(
        confirmation: Confirmation
    ) {
        var log = unstable(
            confirmation.terms,
            at: confirmation.offset,
            handedOver: confirmation.handedOver,
            snapshot: confirmation.snapshot
        )
        log.becameStable(confirmation.index, term: confirmation.term)
        #expect(log.offset == confirmation.newOffset)
        #expect(log.handedOver == confirmation.newHandedOver)
        #expect(log.entries.count == confirmation.count)
    }

    @Test(
        arguments: [
            // At the end.
            ([1], 5, [1, 1], 6, 5, 5, [1, 1, 1]), ([1], 6, [1, 1], 6, 5, 6, [1, 1, 1]),
            // Everything, and more than that.
            ([1], 5, [2, 2], 5, 5, 5, [2, 2]), ([1], 5, [2, 2, 2], 4, 4, 4, [2, 2, 2]),
            ([1], 6, [2, 2], 5, 5, 5, [2, 2]),
            // The end of it.
            ([1, 1, 1], 5, [2], 6, 5, 5, [1, 2]), ([1, 1, 1], 5, [2, 2], 7, 5, 5, [1, 1, 2, 2]),
            ([1, 1, 1], 6, [2], 6, 5, 6, [1, 2]), ([1, 1, 1], 7, [2], 6, 5, 6, [1, 2]),
        ] as [([Term], LogIndex, [Term], LogIndex, LogIndex, LogIndex, [Term])]
    )
    func `a replaced end is to be handed over again`(
        terms: [Term],
        handedOver: LogIndex,
        new: [Term],
        first: LogIndex,
        offset: LogIndex,
        newHandedOver: LogIndex,
        expected: [Term]
    ) {
        var log = unstable(terms, at: 5, handedOver: handedOver)
        log.replaceSuffix(entries(new, from: first))
        #expect(log.offset == offset)
        #expect(log.handedOver == newHandedOver)
        #expect(log.entries.map(\.term) == expected)
    }
}
