import Glibc

/// Finds the executables that are verbs: whoever puts one there has added a verb.
struct VerbFinder {
    /// Where to look; the first place wins.
    let folders: [String]

    init() {
        var folders: [String] = []
        if let own = Self.ownPath(), let slash = own.lastIndex(of: "/") {
            let folder = String(own[..<slash])
            folders += [folder, folder + "/../lib/martlet"]
        }
        if let path = getenv("PATH") {
            folders += String(cString: path).split(separator: ":").map(String.init)
        }
        folders.append("/usr/lib/martlet")
        self.folders = folders
    }

    private static func ownPath() -> String? {
        guard let path = realpath("/proc/self/exe", nil) else { return nil }
        defer { free(path) }
        return String(cString: path)
    }

    /// The executable of a verb.
    func path(of verb: String) -> String? {
        guard !verb.isEmpty, !verb.contains("/"), !verb.hasPrefix("-") else { return nil }
        return folders.lazy.map { "\($0)/martlet-\(verb)" }.first(where: Self.isExecutable)
    }

    /// All verbs by name.
    func all() -> [(name: String, path: String)] {
        var found: [String: String] = [:]
        for folder in folders {
            for entry in Self.entries(of: folder) where entry.hasPrefix("martlet-") {
                let name = String(entry.dropFirst("martlet-".count))
                let path = "\(folder)/\(entry)"
                // Build products have files with a point beside them.
                guard !name.contains("."), found[name] == nil, Self.isExecutable(path) else {
                    continue
                }
                found[name] = path
            }
        }
        return found.sorted { $0.key < $1.key }.map { (name: $0.key, path: $0.value) }
    }

    /// The verb that was meant, if it is only slightly misspelt.
    func nearest(to verb: String) -> String? {
        all().map { (name: $0.name, distance: Self.distance($0.name, verb)) }
            .filter { $0.distance <= 2 }.min { $0.distance < $1.distance }?.name
    }

    private static func isExecutable(_ path: String) -> Bool {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return false }
        return access(path, X_OK) == 0
    }

    private static func entries(of folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            names.append(name)
        }
        return names
    }

    /// How many letters must be changed, added or taken away.
    static func distance(_ left: String, _ right: String) -> Int {
        let right = Array(right)
        var row = Array(0...right.count)
        for (position, letter) in left.enumerated() {
            var diagonal = row[0]
            row[0] = position + 1
            for column in right.indices {
                let above = row[column + 1]
                let change = diagonal + (letter == right[column] ? 0 : 1)
                row[column + 1] = min(change, above + 1, row[column] + 1)
                diagonal = above
            }
        }
        return row[right.count]
    }
}

/// What a verb says of itself in one line.
enum Summary {
    /// Runs the executable with `--summary`; a verb that takes longer than 2 s has none.
    static func of(_ path: String) -> String {
        var pipes: [Int32] = [0, 0]
        guard pipe(&pipes) == 0 else { return "" }
        for end in pipes { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        posix_spawn_file_actions_adddup2(&actions, pipes[1], STDOUT_FILENO)
        posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
        var process: pid_t = 0
        let arguments = [strdup(path), strdup("--summary"), nil]
        let status = posix_spawn(&process, path, &actions, nil, arguments, environ)
        posix_spawn_file_actions_destroy(&actions)
        for argument in arguments { free(argument) }
        close(pipes[1])
        defer { close(pipes[0]) }
        guard status == 0 else { return "" }
        let text = read(from: pipes[0])
        if text == nil { kill(process, SIGKILL) }
        var ending: Int32 = 0
        waitpid(process, &ending, 0)
        guard ending == 0, let line = text?.split(separator: "\n").first else { return "" }
        return String(line)
    }

    /// What arrives until the end; nil when it does not come in time.
    private static func read(from descriptor: Int32) -> String? {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 1024)
        for _ in 0..<20 {
            var waiting = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard poll(&waiting, 1, 100) > 0 else { continue }
            let count = Glibc.read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return String(decoding: bytes, as: UTF8.self) }
            bytes += buffer[..<count]
        }
        return nil
    }
}
