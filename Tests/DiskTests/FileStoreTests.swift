import Disk
import Glibc
import Testing

/// Both file systems are held to the same behaviours.
@Suite struct FileStoreTests {
    enum Kind: String, CaseIterable, Sendable {
        case real
        case memory
    }

    private func withStore(_ kind: Kind, _ body: (any FileStore, String) throws -> Void) throws {
        switch kind {
        case .memory:
            let files = MemoryFiles()
            try files.makeDirectory("/data")
            try body(files, "/data")
        case .real:
            var template = Array("/tmp/martlet-disk-XXXXXX".utf8CString)
            try #require(mkdtemp(&template) != nil)
            let path = String(decoding: template.dropLast().map { UInt8($0) }, as: UTF8.self)
            let files = RealFiles()
            defer {
                for name in (try? files.list(path)) ?? [] {
                    if files.kind(of: "\(path)/\(name)") == .file {
                        try? files.remove("\(path)/\(name)")
                    } else {
                        try? files.removeDirectory("\(path)/\(name)")
                    }
                }
                try? files.removeDirectory(path)
            }
            try body(files, path)
        }
    }

    @Test(arguments: Kind.allCases)
    func `parts are written one after the other and read back`(_ kind: Kind) throws {
        try withStore(kind) { files, path in
            let file = try files.open("\(path)/a", .create)
            let parts: [[UInt8]] = (0..<3000).map { [UInt8($0 & 0xff), UInt8($0 >> 8)] }
            let flat = parts.flatMap { $0 }
            try flat.withUnsafeBytes { bytes in
                let pieces = (0..<3000).map {
                    UnsafeRawBufferPointer(rebasing: bytes[($0 * 2)..<($0 * 2 + 2)])
                }
                try file.write(pieces, at: 10)
            }
            #expect(try file.size() == 6010)
            #expect(try file.read(6000, at: 10) == flat)
            #expect(try file.read(100, at: 5990) == Array(flat[5980...]))
            #expect(try file.read(10, at: 0) == [UInt8](repeating: 0, count: 10))
            #expect(try file.read(10, at: 9000) == [])
        }
    }

    @Test(arguments: Kind.allCases)
    func `bulk and small writes into one file are read back as they were`(_ kind: Kind) throws {
        try withStore(kind) { files, path in
            let file = try files.open("\(path)/a", .create)
            var model = [UInt8](repeating: 0, count: 4 << 20)
            try file.allocate(from: 0, to: UInt64(model.count))
            var seed: UInt64 = 7
            func draw(_ below: Int) -> Int {
                seed = seed &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Int(seed >> 33) % below
            }
            for round in 0..<60 {
                let count = 1 + draw(round % 3 == 0 ? 1 << 20 : 9000)
                let position = draw(model.count - count)
                let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ round) }
                try bytes.withUnsafeBytes { all in
                    let cut = draw(count)
                    let parts = [
                        UnsafeRawBufferPointer(rebasing: all[..<cut]),
                        UnsafeRawBufferPointer(rebasing: all[cut...]),
                    ]
                    try file.writeBulk(parts, at: UInt64(position))
                }
                model.replaceSubrange(position..<position + count, with: bytes)
                let from = max(0, position - 5000)
                let size = min(model.count - from, count + 10_000)
                #expect(try file.read(size, at: UInt64(from)) == Array(model[from..<from + size]))
            }
            #expect(try file.read(model.count, at: 0) == model)
        }
    }

    @Test(arguments: Kind.allCases)
    func `allocation and zeros extend a file, truncation cuts it`(_ kind: Kind) throws {
        try withStore(kind) { files, path in
            let file = try files.open("\(path)/a", .create)
            try file.write([1, 2, 3], at: 0)
            try file.allocate(from: 0, to: 8192)
            #expect(try file.size() == 8192)
            #expect(try file.read(5, at: 0) == [1, 2, 3, 0, 0])
            try file.writeZeros(from: 1, to: 3_000_000)
            #expect(try file.size() == 3_000_000)
            #expect(try file.read(3, at: 0) == [1, 0, 0])
            try file.truncate(to: 2)
            #expect(try file.size() == 2)
            try file.sync()
        }
    }

    @Test(arguments: Kind.allCases)
    func `names can be made, listed, changed and removed`(_ kind: Kind) throws {
        try withStore(kind) { files, path in
            try files.makeDirectory("\(path)/d")
            try files.makeDirectory("\(path)/d")
            _ = try files.open("\(path)/d/b", .create)
            _ = try files.open("\(path)/d/a", .create)
            #expect(try files.list("\(path)/d") == ["a", "b"])
            #expect(files.kind(of: "\(path)/d") == .directory)
            #expect(files.kind(of: "\(path)/d/a") == .file)
            #expect(files.kind(of: "\(path)/d/c") == nil)
            #expect(throws: DiskError(.remove, "\(path)/d", ENOTEMPTY)) {
                try files.removeDirectory("\(path)/d")
            }
            try files.rename("\(path)/d/a", to: "\(path)/d/b")
            #expect(try files.list("\(path)/d") == ["b"])
            try files.syncDirectory("\(path)/d")
            try files.rename("\(path)/d", to: "\(path)/e")
            #expect(try files.list("\(path)/e") == ["b"])
            try files.remove("\(path)/e/b")
            try files.remove("\(path)/e/b")
            try files.removeDirectory("\(path)/e")
            #expect(try files.list(path) == [])
        }
    }

    @Test(arguments: Kind.allCases)
    func `a missing file is an error with its path`(_ kind: Kind) throws {
        try withStore(kind) { files, path in
            #expect(throws: DiskError(.open, "\(path)/a", ENOENT)) {
                try files.open("\(path)/a", .read)
            }
            #expect(throws: DiskError(.list, "\(path)/x", ENOENT)) {
                try files.list("\(path)/x")
            }
        }
    }

    @Test(arguments: Kind.allCases)
    func `a directory is locked once`(_ kind: Kind) throws {
        try withStore(kind) { files, path in
            let lock = try files.lock(path)
            #expect(throws: DiskError(.lock, path, EWOULDBLOCK)) { try files.lock(path) }
            lock.release()
            _ = try files.lock(path)
        }
    }

    @Test func `an error names the call, the path and the system's words`() {
        let text = "\(DiskError(.write, "/x", EIO))"
        #expect(text == "write /x: error 5 (Input/output error)")
    }
}
