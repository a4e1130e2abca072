import Model

/// Takes typed values out of one group of keys and remembers what was asked for.
///
/// Problems are gathered, so that an operator sees all of them at once: after a problem the default
/// (or a stand-in) is returned, and ``SettingsFile`` throws at the end.
final class SettingsReader {
    /// What all readers of one file share.
    final class Problems {
        var list: [SettingsError.Problem] = []

        func add(_ line: Int?, _ sentence: String) {
            list.append(.init(line: line, sentence: sentence))
        }
    }

    let problems: Problems
    /// `listeners.` for the group `listeners`, empty at the top.
    private let prefix: String
    private let entries: [YAMLEntry]
    private var known: [String] = []
    private var groups: [SettingsReader] = []

    init(_ entries: [YAMLEntry], prefix: String = "", problems: Problems) {
        self.entries = entries
        self.prefix = prefix
        self.problems = problems
    }

    /// The entry with this key; an empty value (`key:`) counts as absent.
    private func entry(_ key: String) -> YAMLEntry? {
        known.append(key)
        guard let entry = entries.first(where: { $0.key == key }) else { return nil }
        if case .scalar("", isQuoted: false) = entry.value.content { return nil }
        return entry
    }

    private func refuse(_ entry: YAMLEntry, _ wanted: String) {
        problems.add(
            entry.value.line,
            "\(prefix)\(entry.key) must be \(wanted), not \(entry.value.kindName)"
        )
    }

    func missing(_ key: String, _ what: String) {
        problems.add(nil, "\(prefix)\(key) is missing: \(what)")
    }

    /// The line of a key, for a problem that concerns two keys.
    func line(_ key: String) -> Int? { entries.first { $0.key == key }?.line }

    /// A group of keys below this one; an absent group is an empty one.
    func group(_ key: String) -> SettingsReader {
        var below: [YAMLEntry] = []
        if let entry = entry(key) {
            if case .mapping(let entries) = entry.value.content {
                below = entries
            } else {
                refuse(entry, "a group of keys")
            }
        }
        let reader = SettingsReader(below, prefix: "\(prefix)\(key).", problems: problems)
        groups.append(reader)
        return reader
    }

    /// A scalar's text.
    func optionalText(_ key: String) -> String? {
        guard let entry = entry(key) else { return nil }
        guard case .scalar(let text, _) = entry.value.content else {
            refuse(entry, "a text")
            return nil
        }
        return text
    }

    func text(_ key: String, default standard: String) -> String {
        optionalText(key) ?? standard
    }

    func integer(_ key: String, default standard: Int, in range: ClosedRange<Int>) -> Int {
        optionalInteger(key, in: range) ?? standard
    }

    func optionalInteger(_ key: String, in range: ClosedRange<Int>) -> Int? {
        guard let entry = entry(key) else { return nil }
        let wanted = "a whole number from \(range.lowerBound) to \(range.upperBound)"
        guard
            case .scalar(let text, _) = entry.value.content,
            let value = Int(text), range.contains(value)
        else {
            refuse(entry, wanted)
            return nil
        }
        return value
    }

    func milliseconds(_ key: String, default standard: Int, in range: ClosedRange<Int>) -> Duration
    {
        .milliseconds(integer(key, default: standard, in: range))
    }

    /// How long a stop may wait for others; the same key for both daemons.
    func stopWait() -> Duration {
        milliseconds("stop_wait_ms", default: 60_000, in: 0...Self.millisecondsMax)
    }

    /// A number of bytes: `1048576`, `1024KiB`, `1MiB`.
    func bytes(_ key: String, default standard: Int, in range: ClosedRange<Int>) -> Int {
        guard let entry = entry(key) else { return standard }
        let wanted =
            "a size from \(ByteSize.text(range.lowerBound)) to \(ByteSize.text(range.upperBound))"
        guard
            case .scalar(let text, _) = entry.value.content,
            let value = ByteSize.parse(text), range.contains(value)
        else {
            refuse(entry, "\(wanted), such as 64MiB")
            return standard
        }
        return value
    }

    func flag(_ key: String, default standard: Bool) -> Bool {
        guard let entry = entry(key) else { return standard }
        switch entry.value.content {
        case .scalar("true", isQuoted: false): return true
        case .scalar("false", isQuoted: false): return false
        default:
            refuse(entry, "true or false")
            return standard
        }
    }

    /// One word of a fixed list.
    func choice<Value: RawRepresentable & CaseIterable>(
        _ key: String,
        default standard: Value
    ) -> Value where Value.RawValue == String {
        guard let entry = entry(key) else { return standard }
        guard case .scalar(let text, _) = entry.value.content, let value = Value(rawValue: text)
        else {
            let words = Value.allCases.map(\.rawValue).joined(separator: ", ")
            refuse(entry, "one of \(words)")
            return standard
        }
        return value
    }

    func optionalAddress(_ key: String) -> Address? {
        guard let entry = entry(key) else { return nil }
        guard case .scalar(let text, _) = entry.value.content, let address = Address(text) else {
            refuse(entry, "an address host:port, such as 127.0.0.1:9092")
            return nil
        }
        return address
    }

    /// A list of texts with their lines; an absent list is empty.
    func list(_ key: String, countMax: Int) -> [(text: String, line: Int)] {
        guard let entry = entry(key) else { return [] }
        guard case .sequence(let nodes) = entry.value.content, nodes.count <= countMax else {
            refuse(entry, "a list of at most \(countMax) texts")
            return []
        }
        return nodes.compactMap { node in
            guard case .scalar(let text, _) = node.content, !text.isEmpty else {
                problems.add(node.line, "\(prefix)\(key) holds \(node.kindName), not a text")
                return nil
            }
            return (text, node.line)
        }
    }

    /// Adds a problem for every key that nobody has asked for, with the nearest one that exists.
    func finish() {
        for entry in entries where !known.contains(entry.key) {
            var sentence = "unknown key \"\(prefix)\(entry.key)\""
            if let near = NearestName.of(entry.key, among: known) {
                sentence += ", did you mean \"\(prefix)\(near)\"?"
            } else {
                sentence += "; known are \(known.sorted().joined(separator: ", "))"
            }
            problems.add(entry.line, sentence)
        }
        for group in groups { group.finish() }
    }
}
