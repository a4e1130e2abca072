/// A piece of a YAML file with the line where it begins.
struct YAMLNode: Equatable, Sendable {
    indirect enum Content: Equatable, Sendable {
        case scalar(String, isQuoted: Bool)
        case sequence([YAMLNode])
        case mapping([YAMLEntry])
    }

    var line: Int
    var content: Content

    /// What it is, for an error sentence.
    var kindName: String {
        switch content {
        case .scalar(let text, _): text.isEmpty ? "nothing" : "\"\(text)\""
        case .sequence: "a list"
        case .mapping: "a group of keys"
        }
    }
}

/// One `key: value` of a mapping.
struct YAMLEntry: Equatable, Sendable {
    var key: String
    var line: Int
    var value: YAMLNode
}
