import Glibc

/// Where things lie that the tests need.
package enum Places {
    /// Whether the tests with real processes are wanted: `MARTLET_SLOW=1`.
    package static var isSlowWanted: Bool { setting("MARTLET_SLOW") == "1" }

    /// An environment variable.
    package static func setting(_ name: String) -> String? {
        getenv(name).map { String(cString: $0) }
    }

    /// A count that the environment may change.
    package static func count(_ name: String, default count: Int) -> Int {
        setting(name).flatMap { Int($0) } ?? count
    }

    /// An executable that was built together with these tests.
    ///
    /// It lies beside the test bundle, which is this process's own executable.
    package static func product(_ name: String) throws -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { throw HarnessError("cannot read /proc/self/exe") }
        let own = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        var directory = own[..<(own.lastIndex(of: "/") ?? own.startIndex)]
        // A bundle may be a directory that holds the executable.
        if let bundle = directory.range(of: ".xctest") {
            directory = directory[..<bundle.lowerBound]
            directory = directory[..<(directory.lastIndex(of: "/") ?? directory.startIndex)]
        }
        let path = "\(directory)/\(name)"
        guard access(path, X_OK) == 0 else {
            throw HarnessError("\(path) does not exist: build all products first")
        }
        return path
    }

    /// The Python that has the Kafka clients: the one of `.ci/install`, else the system's.
    package static let python: String = {
        let source = #filePath
        guard let tests = source.range(of: "/Tests/ClusterHarness/")?.lowerBound else {
            return "python3"
        }
        let installed = "\(source[..<tests])/.build/clients/bin/python3"
        return access(installed, X_OK) == 0 ? installed : "python3"
    }()

    /// A fresh directory for one cluster; short, since sockets lie in it.
    package static func makeDirectory(_ name: String) throws -> String {
        let base = setting("MARTLET_TEST_DIRECTORY") ?? "/tmp"
        var template = Array("\(base)/martlet-\(name)-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else {
            throw HarnessError("cannot make a directory in \(base)")
        }
        return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Deletes a directory with everything in it.
    package static func remove(_ directory: String) {
        for entry in entries(of: directory) {
            let path = "\(directory)/\(entry.name)"
            if entry.isDirectory { remove(path) } else { unlink(path) }
        }
        rmdir(directory)
    }

    /// Every directory below this one, by its path from here, sorted.
    package static func directories(below root: String, prefix: String = "") -> [String] {
        var found: [String] = []
        for entry in entries(of: root) where entry.isDirectory {
            found.append(prefix + entry.name)
            found += directories(below: "\(root)/\(entry.name)", prefix: "\(prefix)\(entry.name)/")
        }
        return found.sorted()
    }

    /// The names of the files in a directory, sorted.
    package static func files(in directory: String) -> [String] {
        entries(of: directory).filter { !$0.isDirectory }.map(\.name).sorted()
    }

    private static func entries(of directory: String) -> [(name: String, isDirectory: Bool)] {
        guard let handle = opendir(directory) else { return [] }
        defer { closedir(handle) }
        var found: [(name: String, isDirectory: Bool)] = []
        while let entry = readdir(handle) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard name != ".", name != ".." else { continue }
            found.append((name, entry.pointee.d_type == UInt8(DT_DIR)))
        }
        return found
    }
}

extension StringProtocol {
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) {
                return start..<index(start, offsetBy: text.count)
            }
            start = index(after: start)
        }
        return nil
    }
}
