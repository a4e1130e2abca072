import Systemd

/// What each daemon of one kind, and the service manager about its unit, has written.
struct NodeJournals {
    /// `MARTLET_BROKER` or `MARTLET_CONTROLLER`.
    private let field: String
    /// A daemon's unit on its machine.
    private struct Place: Hashable {
        let host: String
        let unit: String
    }

    private var byNode: [Int32: [JournalEntry]] = [:]
    private let all: [JournalEntry]
    /// What such a daemon is called.
    let kind: String

    /// - Parameter entries: in order of time.
    init(of subject: LeaderHistory.Subject, in entries: [JournalEntry]) {
        field = subject == .controllers ? "MARTLET_CONTROLLER" : "MARTLET_BROKER"
        kind = subject == .controllers ? "controller" : "broker"
        all = entries
        var nodes: [Place: Int32] = [:]
        for entry in entries {
            guard let node = node(of: entry), let unit = entry.fields["_SYSTEMD_UNIT"] else {
                continue
            }
            nodes[Place(host: entry.host, unit: unit)] = node
        }
        for entry in entries {
            if let node = node(of: entry) {
                byNode[node, default: []].append(entry)
            } else if entry.isOfManager, let unit = entry.fields["UNIT"],
                let node = nodes[Place(host: entry.host, unit: unit)]
            {
                byNode[node, default: []].append(entry)
            }
        }
    }

    /// The daemons that have entries here.
    var known: Set<Int32> { Set(byNode.keys) }

    /// Which daemon wrote an entry; nil if none of this kind did.
    func node(of entry: JournalEntry) -> Int32? {
        entry.number(field).map { Int32(truncatingIfNeeded: $0) }
    }

    /// A daemon's entries, and those about its unit, of a span of time; in order of time.
    func entries(of node: Int32, _ span: ClosedRange<Int64>) -> [JournalEntry] {
        (byNode[node] ?? []).filter { span.contains($0.time) }
    }

    /// A daemon's first entry after a time that it wrote itself.
    func next(of node: Int32, after time: Int64) -> JournalEntry? {
        byNode[node]?.first { $0.time > time && self.node(of: $0) == node }
    }

    /// A daemon's last entry before a time that it wrote itself.
    func last(of node: Int32, before time: Int64) -> JournalEntry? {
        byNode[node]?.last { $0.time < time && self.node(of: $0) == node }
    }
}
