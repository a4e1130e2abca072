/// The names of a file system in memory: paths, and what lies under them.
struct MemoryNames {
    /// What lies under a path.
    enum Node: Equatable {
        case file(Int)
        case directory
    }

    /// One change of names.
    enum Change {
        case add(String, Node)
        case remove(String)
        case rename(String, String)

        var paths: [String] {
            switch self {
            case .add(let path, _), .remove(let path): [path]
            case .rename(let from, let to): [from, to]
            }
        }

        /// Whether the change lies in a directory, so that syncing it makes the change durable.
        func concerns(_ directory: String) -> Bool {
            switch self {
            case .add(let path, _), .remove(let path): parent(of: path) == directory
            case .rename(let from, let to):
                parent(of: from) == directory || parent(of: to) == directory
            }
        }
    }

    /// A change that is not durable yet.
    struct Pending {
        var change: Change
        /// Whether the directory it lies in was synced; a directory's own name may not be durable.
        var isSynced = false
    }

    private(set) var nodes: [String: Node] = [:]

    static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "" }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    subscript(path: String) -> Node? { nodes[path] }

    mutating func apply(_ change: Change) {
        switch change {
        case .add(let path, let node): nodes[path] = node
        case .remove(let path): nodes[path] = nil
        case .rename(let from, let to):
            guard let node = nodes.removeValue(forKey: from) else { return }
            nodes[to] = node
            guard node == .directory else { return }
            for (path, child) in nodes where path.hasPrefix(from + "/") {
                nodes[path] = nil
                nodes[to + path.dropFirst(from.count)] = child
            }
        }
    }

    /// Applies what was synced and does not lie in a directory whose own name was not; returns the
    /// rest.
    mutating func apply(synced pending: [Pending]) -> [Pending] {
        var rest: [Pending] = []
        var open: [String] = []
        for one in pending {
            let paths = one.change.paths
            let isInside = paths.contains { path in
                open.contains { path == $0 || path.hasPrefix($0 + "/") }
            }
            if one.isSynced, !isInside {
                apply(one.change)
            } else {
                rest.append(one)
                open.append(contentsOf: paths)
            }
        }
        return rest
    }

    /// The names directly in a directory, sorted.
    func children(of directory: String) -> [String] {
        nodes.keys.filter { Self.parent(of: $0) == directory }
            .map { String($0.dropFirst(directory.count + 1)) }
            .sorted()
    }

    /// Drops what lies in directories that are gone.
    mutating func dropOrphans() {
        while true {
            let orphans = nodes.keys.filter { path in
                let parent = Self.parent(of: path)
                return parent != "" && parent != "/" && nodes[parent] != .directory
            }
            guard !orphans.isEmpty else { return }
            for path in orphans { nodes[path] = nil }
        }
    }
}

extension MemoryNames.Change {
    private func parent(of path: String) -> String { MemoryNames.parent(of: path) }
}
