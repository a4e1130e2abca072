import Disk
import Model
import Raft
import Testing

@testable import RaftLog

/// Files that are not as they were written: never a trap, never a byte that was not appended,
/// never a silent loss of what a later record proves.
@Suite struct DamageTests {
    /// A directory whose whole history is in the write-ahead log, and what it should recover to.
    struct Sample {
        var files: MemoryFiles
        /// The states of each group after each acknowledged write, oldest first.
        var states: [RaftGroupID: [SeenGroup?]]
        /// The frames: file, position and length with and without padding.
        var frames: [(path: String, position: Int, content: Int, bytes: Int)] = []

        func isFull(_ harness: Harness) throws -> Bool {
            try states.allSatisfy { group, states in
                let seen = try harness.groups[group].map { try SeenGroup(reading: $0, harness) }
                return seen == states.last
            }
        }

        /// Whether each group is in a state that it was in.
        func isPrefix(_ harness: Harness) throws -> Bool {
            try states.allSatisfy { group, states in
                let seen = try harness.groups[group].map { try SeenGroup(reading: $0, harness) }
                return states.contains(seen)
            }
        }
    }

    /// Every `count`th of a range; all of them with `MARTLET_ALL=1`.
    static func some(_ range: Range<Int>, each count: Int) -> [Int] {
        Array(stride(from: range.lowerBound, to: range.upperBound, by: runsAll ? 1 : count))
    }

    static var runsAll: Bool { PowerLossTests.runsAll }

    /// Two groups and some frames; the directory is left as a killed process leaves it.
    static func sample(writes: Int = 8, bytes: Int = 150) throws -> Sample {
        // All files exist, and have been used, before it begins.
        let before = try Harness()
        try RecoveryTests.fillFiles(before)
        before.directory.delete(1099) { _ in }
        before.run()
        try before.close()
        let harness = try Harness(before.files)
        harness.runsReader = false
        var sample = Sample(files: harness.files, states: [:])
        for group in [1001, 1002] as [UInt64] {
            sample.states[RaftGroupID(group)] = [nil]
            try note(harness.create(group), harness, &sample)
        }
        for number in 0..<writes {
            let log = try #require(harness.groups[RaftGroupID(1001 + UInt64(number % 2))])
            let batch = makeBatch(bytes: bytes + number * 7, seed: UInt64(number))
            let cuts = number % 4 == 2
            let term = Term(UInt64(1 + number / 2))
            let from = cuts ? log.lastIndex : log.lastIndex + 1
            try harness.append(
                log,
                term: term,
                from: from,
                number % 3 == 1 ? [nil, batch] : [batch]
            )
            try note(log, harness, &sample)
        }
        harness.files.restart(after: .nothing)
        let id = harness.directory.directoryID
        let checkpoint = try #require(try Checkpoint.read(from: Harness.root, id, harness.files))
        let wal = try WALScanner.open("\(Harness.root)/wal", id, harness.files, syncs: false)
        var scanner = WALScanner(files: wal, id: id, from: checkpoint.replayFrom)
        while let frame = try scanner.next() {
            let content = 64 + frame.header.recordBytes + frame.header.payloadBytes
            let position = Int(frame.payloads) - 64 - frame.header.recordBytes
            let path = scanner.files[frame.file].file.path
            sample.frames.append((path, position, content, frame.header.bytes))
        }
        return sample
    }

    private static func note(_ log: GroupLog, _ harness: Harness, _ sample: inout Sample) throws {
        let seen = try SeenGroup(reading: log, harness)
        sample.states[log.identity.group]?.append(seen)
    }

    /// Recovers a copy whose file was changed; nil when the start was refused.
    private func open(
        _ sample: Sample,
        _ path: String,
        _ change: (inout [UInt8]) -> Void
    ) throws -> Harness {
        let copy = sample.files.copy()
        var bytes = try #require(copy.contents(of: path))
        change(&bytes)
        #expect(copy.replaceContents(of: path, with: bytes))
        return try Harness(copy)
    }

    /// The directory says that it is damaged, and every group that it may not be trusted.
    private func expectReport(_ harness: Harness, _ comment: String) {
        #expect(harness.directory.damage != nil, "\(comment)")
        #expect(harness.groups.values.allSatisfy { $0.isSuspect }, "\(comment)")
    }

    // MARK: The write-ahead log

    @Test func `a flipped bit in the write-ahead log is reported or harmless`() throws {
        let sample = try Self.sample()
        var flips = 0
        for (number, frame) in sample.frames.enumerated() {
            for place in Self.some(0..<frame.bytes, each: 3) {
                // The padding's first and last bytes stand for all of it.
                if place > frame.content + 8, place < frame.bytes - 8 { continue }
                let comment = "frame \(number + 1), byte \(place)"
                let harness = try open(sample, frame.path) {
                    $0[frame.position + place] ^= 1 << UInt8(place % 8)
                }
                flips += 1
                if place < frame.content {
                    expectReport(harness, comment)
                    guard place % 20 == 0 else { continue }
                    // The damaged files are free by now; the groups stay what they are.
                    harness.files.restart(after: .everythingUnsynced)
                    let again = try Harness(harness.files)
                    #expect(again.groups.count == harness.groups.count, "\(comment)")
                    #expect(again.groups.values.allSatisfy { $0.isSuspect }, "\(comment)")
                } else {
                    #expect(harness.directory.damage == nil, "\(comment)")
                    #expect(try sample.isFull(harness), "\(comment)")
                }
            }
        }
        print("\(flips) flips in \(sample.frames.count) frames")
    }

    @Test func `a flipped bit behind the last frame is harmless`() throws {
        let sample = try Self.sample()
        let last = try #require(sample.frames.last)
        let seal = last.position + last.bytes
        for place in Self.some(seal..<seal + 300, each: 2) + [0, 7, 20, 39, 43, 44, 4095] {
            let harness = try open(sample, last.path) { $0[place] ^= 0x10 }
            #expect(harness.directory.damage == nil, "byte \(place)")
            #expect(try sample.isFull(harness), "byte \(place)")
            #expect(!harness.directory.hasTornEnd, "byte \(place)")
        }
    }

    @Test func `a last frame that is torn, with nothing behind it, is cut`() throws {
        let sample = try Self.sample()
        let last = try #require(sample.frames.last)
        let end = last.position + last.bytes
        for place in Self.some(0..<last.content, each: 3) {
            let harness = try open(sample, last.path) { bytes in
                for byte in end..<end + 4096 { bytes[byte] = 0 }
                bytes[last.position + place] ^= 1 << UInt8(place % 8)
            }
            #expect(harness.directory.damage == nil, "byte \(place)")
            #expect(try !sample.isFull(harness), "byte \(place)")
            #expect(try sample.isPrefix(harness), "byte \(place)")
            // Without its header a frame cannot be told from what was there before.
            let isTold = harness.directory.hasTornEnd
            #expect(isTold || place < WALFormat.frameHeaderBytes, "byte \(place)")
            try expectLife(harness, "byte \(place)")
        }
    }

    /// A recovered log takes an entry and has it after the next loss of power.
    private func expectLife(_ harness: Harness, _ comment: String) throws {
        let log = try #require(harness.groups[1001])
        try harness.append(log, term: log.hardState.term + 1, [makeBatch()])
        harness.files.restart(after: .everythingUnsynced)
        let again = try #require(try Harness(harness.files).groups[1001])
        #expect(again.suspicion == nil, "\(comment)")
        #expect(again.lastIndex == log.lastIndex, "\(comment)")
        #expect(again.chain(at: log.lastIndex) == log.chain(at: log.lastIndex), "\(comment)")
    }

    @Test func `a file that ends anywhere leaves a state that once was`() throws {
        let sample = try Self.sample()
        let last = try #require(sample.frames.last)
        let path = last.path
        let end = last.position + last.bytes + 4096
        var places = Set(Self.some(0..<end, each: 61))
        for frame in sample.frames {
            places.formUnion((frame.position - 3)...(frame.position + 66))
            let content = frame.position + frame.content
            places.formUnion((content - 3)...(content + 2))
        }
        for place in places.sorted() {
            let harness: Harness
            do {
                harness = try open(sample, path) { $0.removeLast($0.count - place) }
            } catch RaftLogError.missingHardState {
                // The group's directory is there, and its record is gone.
                #expect(place < sample.frames[2].position, "cut at \(place)")
                continue
            }
            #expect(harness.directory.damage == nil, "cut at \(place)")
            #expect(try sample.isPrefix(harness), "cut at \(place)")
            let whole = place >= last.position + last.bytes
            #expect(try sample.isFull(harness) == whole, "cut at \(place)")
            if place % 7 == 0, harness.groups[1001] != nil { try expectLife(harness, "\(place)") }
        }
        print("\(places.count) prefixes of \(end) bytes")
    }

    @Test func `of several files, an earlier one that ends anywhere is reported`() throws {
        let sample = try Self.sample(writes: 9, bytes: 9000)
        let paths = Set(sample.frames.map(\.path))
        #expect(paths.count > 1)
        let path = try #require(sample.frames.first?.path)
        let last = try #require(sample.frames.last { $0.path == path })
        for place in Self.some(4096..<last.position + last.content, each: 501) {
            let harness = try open(sample, path) { $0.removeLast($0.count - place) }
            expectReport(harness, "cut at \(place)")
        }
        // The header alone is found again by any frame behind it.
        for place in 0..<44 {
            let harness = try open(sample, path) { $0[place] ^= 0x40 }
            #expect(harness.directory.damage == nil, "byte \(place)")
            #expect(try sample.isFull(harness), "byte \(place)")
        }
    }

    @Test func `a frame in another place, file or directory is nobody's`() throws {
        let sample = try Self.sample()
        let last = try #require(sample.frames.last)
        let end = last.position + last.bytes
        let other = try Self.sample(writes: 14)
        for (number, frame) in (sample.frames + other.frames).enumerated() {
            let source = number < sample.frames.count ? sample.files : other.files
            let bytes = try #require(source.contents(of: frame.path))
            let stale = Array(bytes[frame.position..<frame.position + frame.bytes])
            let id = DirectoryID(UniqueID(high: 3, low: UInt64(number)))
            let harness = try open(sample, last.path) { target in
                guard target.count >= end + stale.count else { return }
                target.replaceSubrange(end..<end + stale.count, with: stale)
            }
            #expect(harness.directory.damage == nil, "frame \(number)")
            // The other directory has the same identity: its frame of this very place is real.
            if number < sample.frames.count { #expect(try sample.isFull(harness)) }
            let seed = WALFormat.seed(id, file: 1, position: UInt64(frame.position))
            let own = WALFormat.seed(
                harness.directory.directoryID,
                file: 1,
                position: UInt64(frame.position)
            )
            #expect(seed != own)
        }
    }

    // MARK: Identity and checkpoint

    @Test func `a flipped bit in one checkpoint is harmless, in both it is refused`() throws {
        let harness = try Harness()
        let log = try harness.create(1001)
        try harness.append(log, term: 3, [makeBatch(), makeBatch()], commit: 1)
        try harness.close()
        let seen = try SeenGroup(reading: log, harness)
        let paths = Checkpoint.names.map { "\(Harness.root)/\($0)" }
        let count = try #require(harness.files.contents(of: paths[0])).count
        for place in 0..<count {
            let copy = harness.files.copy()
            #expect(copy.flipBit(of: paths[place % 2], at: place * 8 + place % 8))
            let both = copy.copy()
            let found = try Harness(copy)
            let group = try #require(found.groups[1001])
            #expect(try SeenGroup(reading: group, found) == seen, "byte \(place)")
            #expect(both.flipBit(of: paths[1 - place % 2], at: place * 8))
            #expect(throws: RaftLogError.self) { try Harness(both) }
        }
    }

    @Test func `a flipped bit in the directory's identity is refused`() throws {
        let harness = try Harness()
        try harness.create(1001)
        try harness.close()
        let path = "\(Harness.root)/\(DataDirectory.name)"
        let count = try #require(harness.files.contents(of: path)).count
        for bit in 0..<count * 8 {
            let copy = harness.files.copy()
            #expect(copy.flipBit(of: path, at: bit))
            #expect(throws: RaftLogError.self, "bit \(bit)") { try Harness(copy) }
        }
    }

    @Test func `without its checkpoints or its identity a directory refuses to start`() throws {
        let harness = try Harness()
        try harness.append(harness.create(1001), term: 1, [makeBatch()])
        try harness.close()
        let root = Harness.root
        for names in [Checkpoint.names, [DataDirectory.name]] {
            let copy = harness.files.copy()
            for name in names { try copy.remove("\(root)/\(name)") }
            #expect(throws: RaftLogError.self) { try Harness(copy) }
        }
    }

    // MARK: Segments and snapshots

    /// A closed directory with segments, a side file and a snapshot.
    private func closed() throws -> (files: MemoryFiles, group: String, seen: SeenGroup) {
        var options = Harness.options
        options.segmentBytesMax = 1000
        let harness = try Harness(options: options)
        let log = try harness.create(1001)
        for number in 0..<12 {
            let batch = makeBatch(records: 2, bytes: 150 + number, seed: UInt64(number))
            try harness.append(log, term: 1, [batch], commit: log.lastIndex)
        }
        let index = log.lastIndex + 1
        let change = Entry(term: 1, index: index, type: .confChangeV2, payload: Payload([1, 2, 3]))
        try harness.submit([try log.prepare(entries: [change], hardState: nil, snapshot: nil)])
        try harness.append(log, term: 2, [makeBatch(), nil, makeBatch()])
        let snapshot = try RecoveryTests.snapshot(log, at: 9)
        harness.directory.saveSnapshot(1001, snapshot) { _ in }
        harness.run()
        log.adoptSavedSnapshot()
        let seen = try SeenGroup(reading: log, harness)
        try harness.close()
        let directory = "\(Harness.root)/partitions/\(log.identity.directoryName)"
        return (harness.files, directory, seen)
    }

    @Test func `a flipped bit in a group's files never becomes an entry`() throws {
        let (files, directory, seen) = try closed()
        #expect(seen.start > 0)
        var (flips, reported) = (0, 0)
        for name in try files.list(directory) {
            let path = "\(directory)/\(name)"
            let count = try #require(files.contents(of: path)).count
            for place in Self.some(0..<count, each: 3) {
                let copy = files.copy()
                #expect(copy.flipBit(of: path, at: place * 8 + place % 8))
                flips += 1
                let isWhole = try expectHonest(Harness(copy), seen, "\(name), byte \(place)")
                reported += isWhole ? 0 : 1
            }
        }
        print("\(flips) flips in a group's files, \(reported) reported")
        #expect(reported > flips / 5)
    }

    @Test func `a group's file that ends anywhere never becomes an entry`() throws {
        let (files, directory, seen) = try closed()
        for name in try files.list(directory) {
            let path = "\(directory)/\(name)"
            let bytes = try #require(files.contents(of: path))
            for place in Self.some(0..<bytes.count, each: 13) {
                let copy = files.copy()
                #expect(copy.replaceContents(of: path, with: Array(bytes[..<place])))
                _ = try expectHonest(Harness(copy), seen, "\(name) ends at \(place)")
            }
        }
    }

    /// Whether a damaged directory gives everything; what it gives must be what was written.
    private func expectHonest(
        _ harness: Harness,
        _ seen: SeenGroup,
        _ comment: String
    ) throws -> Bool {
        #expect(harness.directory.damage == nil, "\(comment)")
        let log = try #require(harness.groups[1001], "\(comment)")
        var isWhole = !log.isSuspect
        for entry in seen.entries {
            let done = Box<Result<[Entry], RaftLogError>>()
            harness.directory.readEntries(
                1001,
                from: entry.index,
                to: entry.index + 1,
                maxBytes: 1
            ) { done.set($0) }
            harness.run()
            switch try #require(done.value) {
            case .success(let entries):
                #expect(entries.map { $0.payload.copyBytes() } == [entry.bytes], "\(comment)")
                #expect(entries.first?.term == entry.term, "\(comment)")
            case .failure(.damaged): isWhole = false
            case .failure(let error):
                // A suspect log does not know what it still has.
                #expect(log.isSuspect, "\(comment): \(error)")
                isWhole = false
            }
        }
        if !log.isSuspect {
            #expect(log.hardState.term == seen.term, "\(comment)")
            #expect(log.lastIndex == seen.entries.last?.index, "\(comment)")
            let snapshot = try harness.directory.loadSnapshot(1001)
            #expect(snapshot?.data.copyBytes() == [7, 9], "\(comment)")
        }
        return isWhole
    }
}
