import Disk
import Glibc
import Testing

@Suite struct MemoryFilesTests {
    @Test func `a power loss keeps what was synced and nothing else`() throws {
        let files = MemoryFiles()
        let file = try files.open("/a", .create)
        try file.write([1, 1], at: 0)
        try file.sync()
        try files.syncDirectory("/")
        try file.write([2, 2, 2], at: 1)
        _ = try files.open("/b", .create)
        files.restart(after: .everythingUnsynced)
        #expect(files.contents(of: "/a") == [1, 1])
        #expect(files.paths == ["/a"])
        #expect(throws: DiskError(.write, "/a", EBADF)) { try file.write([9], at: 0) }
    }

    @Test func `a file whose name was not synced is lost with its synced bytes`() throws {
        let files = MemoryFiles()
        let file = try files.open("/a", .create)
        try file.write([1], at: 0)
        try file.sync()
        files.restart(after: .everythingUnsynced)
        #expect(files.paths == [])
    }

    @Test func `a rename that was not synced is undone by a power loss`() throws {
        let files = MemoryFiles()
        _ = try files.open("/a", .create)
        try files.syncDirectory("/")
        try files.rename("/a", to: "/b")
        files.restart(after: .everythingUnsynced)
        #expect(files.paths == ["/a"])
    }

    @Test func `a new directory of an old name is another one`() throws {
        let files = MemoryFiles()
        try files.makeDirectory("/d")
        _ = try files.open("/d/old", .create)
        try files.syncDirectory("/")
        try files.syncDirectory("/d")
        try files.rename("/d", to: "/gone")
        try files.makeDirectory("/d")
        _ = try files.open("/d/new", .create)
        try files.syncDirectory("/d")
        let copy = files.copy()
        copy.restart(after: .everythingUnsynced)
        #expect(copy.paths == ["/d/old"], "the new directory has no durable name")
        try files.syncDirectory("/")
        files.restart(after: .everythingUnsynced)
        #expect(files.paths == ["/d/new", "/gone/old"])
    }

    @Test func `a random loss keeps whole sectors, some of them`() throws {
        let files = MemoryFiles()
        let file = try files.open("/a", .create)
        try file.write([UInt8](repeating: 0, count: 512 * 64), at: 0)
        try file.sync()
        try files.syncDirectory("/")
        try file.write([UInt8](repeating: 7, count: 512 * 64), at: 0)
        files.restart(after: .random(seed: 5))
        let bytes = try #require(files.contents(of: "/a"))
        let sectors = (0..<64).map { Set(bytes[($0 * 512)..<($0 * 512 + 512)]) }
        #expect(sectors.allSatisfy { $0.count == 1 })
        #expect(sectors.contains([7]) && sectors.contains([0]))
    }

    @Test func `a power loss takes the bytes and leaves the names, or the other way round`() throws
    {
        let files = MemoryFiles()
        let file = try files.open("/a", .create)
        try files.syncDirectory("/")
        try file.write([1], at: 0)
        try files.rename("/a", to: "/b")
        let copy = files.copy()
        files.restart(after: .unsyncedBytes)
        #expect(files.contents(of: "/b") == [])
        copy.restart(after: .unsyncedNames)
        #expect(copy.contents(of: "/a") == [1])
    }

    @Test func `killing the process keeps everything`() throws {
        let files = MemoryFiles()
        let lock = try files.lock("/")
        try files.open("/a", .create).write([1], at: 0)
        files.restart(after: .nothing)
        #expect(files.contents(of: "/a") == [1])
        let again = try files.lock("/")
        lock.release()
        #expect(throws: DiskError(.lock, "/", EWOULDBLOCK)) { try files.lock("/") }
        again.release()
    }

    @Test func `a failed sync leaves clean pages that the next power loss takes`() throws {
        let files = MemoryFiles()
        let file = try files.open("/a", .create)
        try files.syncDirectory("/")
        try file.write([1], at: 0)
        files.fail(.sync)
        #expect(throws: DiskError(.sync, "/a", EIO)) { try file.sync() }
        #expect(try file.read(1, at: 0) == [1])
        try file.sync()
        files.restart(after: .everythingUnsynced)
        #expect(files.contents(of: "/a") == [0], "the size came back, the byte did not")
    }

    @Test func `the call of a given number fails, and it alone`() throws {
        let files = MemoryFiles()
        let file = try files.open("/a", .create)
        files.fail(.write, path: "a", skip: 1, code: ENOSPC)
        try file.write([1], at: 0)
        #expect(throws: DiskError(.write, "/a", ENOSPC)) { try file.write([2], at: 0) }
        try file.write([3], at: 0)
        #expect(files.changeCount == 4)
    }

    @Test func `after the power is cut every call fails until the restart`() throws {
        let files = MemoryFiles()
        let file = try files.open("/a", .create)
        files.cut(at: 3)
        try file.write([1], at: 0)
        #expect(throws: DiskError.self) { try file.sync() }
        #expect(throws: DiskError.self) { try file.read(1, at: 0) }
        #expect(files.isCut)
        files.restart(after: .nothing)
        #expect(files.contents(of: "/a") == [1])
    }

    @Test func `operations are recorded in order`() throws {
        let files = MemoryFiles(isLogging: true)
        let file = try files.open("/a", .create)
        try file.write([1, 2], at: 5)
        try file.sync()
        try files.rename("/a", to: "/b")
        try files.syncDirectory("/")
        #expect(
            files.operations == [
                "create /a", "write /a 5+2", "sync /a", "rename /a to /b", "syncdir /",
            ]
        )
    }

    @Test func `a copy goes its own way`() throws {
        let files = MemoryFiles()
        try files.open("/a", .create).write([1], at: 0)
        let copy = files.copy()
        #expect(copy.flipBit(of: "/a", at: 1))
        #expect(files.contents(of: "/a") == [1])
        #expect(copy.contents(of: "/a") == [3])
    }

    @Test func `a lost write shows once something later is durable, and never before`() throws {
        let files = MemoryFiles()
        let file = try files.open("/a", .create)
        try file.write([1, 1, 1], at: 0)
        try file.sync()
        try files.syncDirectory("/")
        files.loseWrite(path: "a")
        try file.write([2, 2, 2], at: 0)
        try file.sync()
        #expect(files.contents(of: "/a") == [2, 2, 2])
        try file.write([3], at: 3)
        #expect(files.lostWrites == [])
        try file.sync()
        #expect(files.lostWrites == ["/a 0+3"])
        #expect(files.contents(of: "/a") == [1, 1, 1, 3])
        files.restart(after: .everythingUnsynced)
        #expect(files.contents(of: "/a") == [1, 1, 1, 3])
    }

    @Test func `a lost write that is repeated, or whose file loses power first, is kept`() throws {
        let files = MemoryFiles()
        var file = try files.open("/a", .create)
        try files.syncDirectory("/")
        files.loseWrite()
        try file.write([1, 1], at: 0)
        try file.write([2, 2], at: 0)
        try file.write([3], at: 2)
        try file.sync()
        #expect(files.contents(of: "/a") == [2, 2, 3])
        files.loseWrite()
        try file.write([4], at: 3)
        try file.sync()
        files.restart(after: .everythingUnsynced)
        file = try files.open("/a", .write)
        try file.write([5], at: 4)
        try file.sync()
        #expect(files.contents(of: "/a") == [2, 2, 3, 4, 5])
        #expect(files.lostWrites == [])
    }

    @Test func `a stray write is found in another place`() throws {
        let files = MemoryFiles()
        let (file, other) = (try files.open("/a", .create), try files.open("/b", .create))
        try other.write([UInt8](repeating: 7, count: 2048), at: 0)
        try other.sync()
        files.loseWrite(path: "a", straysTo: 5, waits: false)
        try file.write([9, 9], at: 0)
        try file.sync()
        #expect(files.contents(of: "/a") == [0, 0])
        let bytes = try #require(files.contents(of: "/b"))
        #expect(bytes.count == 2048 && bytes.filter { $0 == 9 }.count == 2)
        #expect(files.lostWrites.count == 1)
        #expect(files.lostWrites[0].hasPrefix("/a 0+2, found at /b "))
    }

    @Test func `a bad sector cannot be read until it is written to as a whole`() throws {
        let files = MemoryFiles()
        let file = try files.open("/a", .create)
        try file.write([UInt8](repeating: 1, count: 2048), at: 0)
        files.breakSector(of: "/a", at: 600)
        #expect(try file.read(512, at: 0).count == 512)
        #expect(throws: DiskError(.read, "/a", EIO)) { try file.read(513, at: 0) }
        try file.write([2], at: 600)
        #expect(throws: DiskError(.read, "/a", EIO)) { try file.read(1, at: 1023) }
        try file.write([UInt8](repeating: 3, count: 512), at: 512)
        #expect(try file.read(2, at: 511) == [1, 3])
    }

    @Test func `a read fails once`() throws {
        let files = MemoryFiles()
        let file = try files.open("/a", .create)
        try file.write([1], at: 0)
        files.failRead(path: "a", skip: 1)
        #expect(try file.read(1, at: 0) == [1])
        #expect(throws: DiskError(.read, "/a", EIO)) { try file.read(1, at: 0) }
        #expect(try file.read(1, at: 0) == [1])
    }

    @Test func `a closed gate lets no changing call through`() throws {
        let files = MemoryFiles()
        let file = try files.open("/a", .create)
        files.setGate { false }
        #expect(throws: DiskError(.write, "/a", EIO)) { try file.write([1], at: 0) }
        #expect(throws: DiskError(.rename, "/a", EIO)) { try files.rename("/a", to: "/b") }
        #expect(try file.read(1, at: 0) == [])
        files.setGate(nil)
        try file.write([1], at: 0)
        #expect(files.contents(of: "/a") == [1])
    }
}
