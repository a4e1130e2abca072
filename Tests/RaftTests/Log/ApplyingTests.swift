import Model
import Testing

@testable import Raft

/// Which committed entries are handed out for applying, and when nothing is.
@Suite struct ApplyingTests {
    private static let limit = 100

    /// A snapshot up to 3, entry 4 stable, 5 and 6 not; committed up to 5.
    private func log(limit: Int = .max) throws -> RaftLogView {
        let storage = MemoryStorage()
        storage.install(snapshot(3, 1))
        storage.append(entries([1], from: 4))
        var log = RaftLogView(
            storage: storage,
            applyingBytesMax: limit,
            sink: LogSink(hook: nil)
        )
        log.append(entries([1, 1], from: 5))
        let isCommitted = log.maybeCommit(5, term: 1)
        #expect(isCommitted)
        return log
    }

    @Test(
        arguments: [
            (3, 3, true, [4, 5]), (3, 4, true, [5]), (3, 5, true, []), (4, 4, true, [5]),
            (4, 5, true, []), (5, 5, true, []),
            (3, 3, false, [4]), (3, 4, false, []), (3, 5, false, []), (4, 4, false, []),
            (4, 5, false, []), (5, 5, false, []),
        ] as [(LogIndex, LogIndex, Bool, [LogIndex])]
    )
    func `committed entries are handed out once, unstable ones only if allowed`(
        applied: LogIndex,
        applying: LogIndex,
        allowUnstable: Bool,
        expected: [LogIndex]
    ) throws {
        var log = try log()
        log.applied(to: applied, bytes: 0)
        log.acceptApplying(applying, bytes: 0, allowUnstable: allowUnstable)
        // Accepting less than there is pauses until something is applied.
        log.applied(to: applied, bytes: 0)
        #expect(log.hasNextCommitted(allowUnstable: allowUnstable) == !expected.isEmpty)
        let next = log.nextCommitted(allowUnstable: allowUnstable)
        #expect(next.map(\.index) == expected)
    }

    @Test func `nothing is applied before a snapshot that is not installed`() throws {
        var log = try log()
        log.restore(snapshot(4, 1))
        #expect(!log.hasNextCommitted(allowUnstable: true))
        let next = log.nextCommitted(allowUnstable: true)
        #expect(next.isEmpty)
    }

    @Test(
        arguments: [
            (3, true, [true, true, true]), (4, true, [true, true, true]),
            (5, true, [false, true, true]), (3, false, [true, true, true]),
            (4, false, [false, true, true]), (5, false, [false, true, true]),
        ] as [(LogIndex, Bool, [Bool])]
    )
    func `applying pauses at its limit and when a page was cut`(
        index: LogIndex,
        allowUnstable: Bool,
        isPaused: [Bool]
    ) throws {
        for (bytes, expected) in zip([Self.limit - 1, Self.limit, Self.limit + 1], isPaused) {
            var log = try log(limit: Self.limit)
            log.acceptApplying(index, bytes: bytes, allowUnstable: allowUnstable)
            #expect(log.isApplyingPaused == expected, "\(bytes) bytes")
        }
    }

    @Test(
        arguments: [
            (4, 4, 101, true), (4, 5, 100, true), (4, 6, 99, false), (5, 4, 101, true),
            (5, 5, 100, true), (5, 6, 99, false), (4, 105, 0, false), (4, 106, 0, false),
        ] as [(LogIndex, Int, Int, Bool)]
    )
    func `what was applied makes room, and never more than was taken`(
        index: LogIndex,
        bytes: Int,
        left: Int,
        isPaused: Bool
    ) throws {
        var log = try log(limit: Self.limit)
        log.acceptApplying(5, bytes: Self.limit + 5, allowUnstable: false)
        log.applied(to: index, bytes: bytes)
        #expect(log.applied == index)
        #expect(log.applying == 5)
        #expect(log.applyingBytes == left)
        #expect(log.isApplyingPaused == isPaused)
    }
}

/// Reading ranges that lie partly in storage and partly in the unstable end.
@Suite struct LogRangeTests {
    private static let size = Entry().sizeBytes
    private static let start: LogIndex = 100
    private static let boundary: LogIndex = 150
    private static let end: LogIndex = 200

    private static func range(_ from: LogIndex, _ to: LogIndex) -> [Entry] {
        (from.rawValue..<to.rawValue).map { Entry(term: Term($0), index: LogIndex($0)) }
    }

    private let log: RaftLogView

    init() {
        let storage = MemoryStorage()
        storage.install(snapshot(Self.start, 0))
        storage.append(Self.range(Self.start + 1, Self.boundary))
        var log = RaftLogView(
            storage: storage,
            applyingBytesMax: .max,
            sink: LogSink(hook: nil)
        )
        log.append(EntryList(Self.range(Self.boundary, Self.end)))
        self.log = log
    }

    @Test(
        arguments: [
            (101, 101, .max, 101), (101, 149, .max, 149), (101, 150, .max, 150),
            (101, 151, .max, 151), (101, 200, .max, 200), (149, 150, .max, 150),
            (149, 151, .max, 151), (149, 200, .max, 200), (150, 151, .max, 151),
            (150, 200, .max, 200), (199, 200, .max, 200),
            // One entry at least.
            (101, 200, 0, 102), (149, 151, 0, 150), (150, 200, 0, 151), (151, 200, 0, 152),
            (101, 200, size - 1, 102), (149, 151, size - 1, 150), (150, 200, size - 1, 151),
            // Room for one, and for not quite two.
            (101, 200, size, 102), (149, 151, size, 150), (150, 200, size, 151),
            (101, 200, size + 1, 102), (149, 151, size + 1, 150), (150, 200, size + 1, 151),
            // Room for two, three, and not quite three.
            (101, 200, size * 2, 103), (148, 151, size * 2, 150), (149, 151, size * 2, 151),
            (150, 200, size * 2, 152), (148, 151, size * 3 - 1, 150), (149, 152, size * 3, 152),
        ] as [(LogIndex, LogIndex, Int, LogIndex)]
    )
    func `a range is read up to a limit in bytes, across the boundary`(
        from: LogIndex,
        to: LogIndex,
        bytesMax: Int,
        end: LogIndex
    ) throws {
        #expect(try log.slice(from, to, bytesMax: bytesMax).elementsEqual(Self.range(from, end)))
    }

    @Test(arguments: [(98, 101), (99, 101), (100, 101)] as [(LogIndex, LogIndex)])
    func `what was compacted cannot be read`(from: LogIndex, to: LogIndex) {
        #expect(throws: LogStorageError.compacted) {
            try log.slice(from, to, bytesMax: .max)
        }
    }

    @Test func `a range that is reversed or past the end is a mistake of the caller`() async {
        await #expect(processExitsWith: .failure) {
            _ = try LogRangeTests().log.slice(150, 149, bytesMax: .max)
        }
        await #expect(processExitsWith: .failure) {
            _ = try LogRangeTests().log.slice(199, 201, bytesMax: .max)
        }
    }

    @Test(arguments: [0, 1, size, size + 1, size * 3])
    func `a scan sees every entry once, page by page, and stops when it may`(
        pageBytes: Int
    ) throws {
        let storage = MemoryStorage()
        storage.append(entries(Array(repeating: 1, count: 10)))
        var log = RaftLogView(
            storage: storage,
            applyingBytesMax: pageBytes,
            sink: LogSink(hook: nil)
        )
        log.append(entries(Array(repeating: 1, count: 10), from: 11))
        for from in 1...20 {
            for to in from...21 {
                var seen: [LogIndex] = []
                let found = try log.contains(
                    from: LogIndex(UInt64(from)),
                    to: LogIndex(UInt64(to))
                ) {
                    seen.append($0.index)
                    return false
                }
                #expect(!found)
                #expect(seen == (from..<to).map { LogIndex(UInt64($0)) })
            }
        }
        var looks = 0
        let found = try log.contains(from: 1, to: 21) {
            looks += 1
            return $0.index == 7
        }
        #expect(found)
        #expect(looks == 7)
    }
}
