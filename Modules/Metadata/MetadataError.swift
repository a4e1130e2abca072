/// Why bytes are no metadata of this release.
public enum MetadataError: Error, Equatable, Sendable, CustomStringConvertible {
    /// A command of a type that this release does not know; its name.
    case unknownCommand(String)
    /// A command in a form that this release does not know.
    case unsupportedCommandVersion(String, Int)
    /// A snapshot in a form that this release does not know.
    case unsupportedSnapshotVersion(Int)
    /// Bytes that are not the JSON of a command or a snapshot.
    case malformed(String)

    /// A sentence for the log.
    public var description: String {
        switch self {
        case .unknownCommand(let name): "unknown metadata command \(name)"
        case .unsupportedCommandVersion(let name, let version):
            "unsupported version \(version) of metadata command \(name)"
        case .unsupportedSnapshotVersion(let version):
            "unsupported metadata snapshot version \(version)"
        case .malformed(let reason): "malformed metadata: \(reason)"
        }
    }
}
