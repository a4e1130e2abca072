import Model
import Raft
import Testing

/// The log in memory that tests and simulations stand on.
@Suite struct MemoryStorageTests {
    /// A log that begins at index 4, after a snapshot of term 3.
    private func storage(_ terms: [Term] = [4, 5]) -> MemoryStorage {
        let storage = MemoryStorage()
        storage.install(snapshot(3, 3))
        storage.append(entries(terms, from: 4))
        return storage
    }

    @Test(
        arguments: [
            (2, nil, .compacted), (3, 3, nil), (4, 4, nil), (5, 5, nil), (6, nil, .unavailable),
        ] as [(LogIndex, Term?, LogStorageError?)]
    )
    func `a stored log knows the terms from before its first entry to its last`(
        index: LogIndex,
        term: Term?,
        error: LogStorageError?
    ) {
        do {
            let found = try storage().term(at: index)
            #expect(found == term)
        } catch let found {
            #expect(found == error)
        }
    }

    @Test(
        arguments: [
            (4, 5, .max, [4]), (4, 6, .max, [4, 5]), (4, 7, .max, [4, 5, 6]), (4, 7, 0, [4]),
            (4, 7, 2 * Entry.overheadBytes, [4, 5]), (4, 7, 5 * Entry.overheadBytes / 2, [4, 5]),
            (4, 7, 3 * Entry.overheadBytes - 1, [4, 5]),
            (4, 7, 3 * Entry.overheadBytes, [4, 5, 6]),
        ] as [(LogIndex, LogIndex, Int, [Term])]
    )
    func `stored entries are read up to a limit, at least one`(
        from: LogIndex,
        to: LogIndex,
        maxBytes: Int,
        terms: [Term]
    ) throws {
        let read = try storage([4, 5, 6]).entries(from: from, to: to, maxBytes: maxBytes)
        #expect(read.map(\.term) == terms)
    }

    @Test func `stored entries before the first and after the last cannot be read`() {
        #expect(throws: LogStorageError.compacted) {
            try storage().entries(from: 3, to: 4, maxBytes: .max)
        }
        #expect(throws: LogStorageError.unavailable) {
            try storage().entries(from: 4, to: 7, maxBytes: .max)
        }
    }

    @Test func `first and last index follow appending and compacting`() {
        let storage = storage()
        #expect(storage.firstIndex == 4)
        #expect(storage.lastIndex == 5)
        storage.append(entries([5], from: 6))
        #expect(storage.lastIndex == 6)
        storage.compact(to: 4)
        #expect(storage.firstIndex == 5)
        #expect(storage.lastIndex == 6)
    }

    @Test(arguments: [(4, 4, [5]), (5, 5, [])] as [(LogIndex, Term, [Term])])
    func `compacting keeps the term of the last entry that goes`(
        index: LogIndex,
        term: Term,
        left: [Term]
    ) throws {
        let storage = storage()
        storage.compact(to: index)
        #expect(try storage.term(at: index) == term)
        #expect(storage.entries.map(\.term) == left)
    }

    @Test func `compacting what is gone or not there is a mistake of the caller`() async {
        await #expect(processExitsWith: .failure) {
            MemoryStorageTests().storage().compact(to: 3)
        }
        await #expect(processExitsWith: .failure) {
            MemoryStorageTests().storage().compact(to: 6)
        }
    }

    @Test(arguments: [4, 5] as [LogIndex])
    func `a snapshot that is made drops no entry`(index: LogIndex) throws {
        let storage = storage()
        var made = snapshot(index, Term(index.rawValue), ConfState(voters: [1, 2, 3]))
        made.data = Payload([1, 2])
        storage.create(made)
        #expect(try storage.snapshot() == made)
        #expect(storage.entries.count == 2)
    }

    @Test(
        arguments: [
            ([1, 2], 1, [4, 5]), ([4, 5], 4, [4, 5]), ([6, 6], 5, [4, 6, 6]),
            ([4, 5, 5], 4, [4, 5, 5]),
            // A part that is compacted is skipped; what conflicts is replaced.
            ([3, 3, 5], 2, [5]), ([5], 4, [5]),
            ([5], 6, [4, 5, 5]),
        ] as [([Term], LogIndex, [Term])]
    )
    func `appending replaces from the first index on`(
        terms: [Term],
        first: LogIndex,
        expected: [Term]
    ) {
        let storage = storage()
        storage.append(entries(terms, from: first))
        #expect(storage.entries.map(\.term) == expected)
    }

    @Test func `an installed snapshot replaces the log, an older one is ignored`() throws {
        let storage = storage()
        storage.install(snapshot(9, 7))
        #expect(storage.firstIndex == 10)
        #expect(storage.entries.isEmpty)
        storage.install(snapshot(8, 7))
        #expect(try storage.snapshot() == snapshot(9, 7))
        #expect(MemoryStorage(confState: ConfState(voters: [1])).initialState.1.voters == [1])
    }
}
