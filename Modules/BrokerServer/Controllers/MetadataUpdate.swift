import InterBrokerProtocol
import Metadata
import Model

/// Changes of the metadata as they came from a controller, decoded away from the event loop.
struct MetadataUpdate: Sendable {
    /// JSON that cannot be understood.
    struct Unreadable: Error, Equatable {
        let reason: String
    }

    /// The whole metadata, in place of what is held; nil if only `commands` count.
    var full: ClusterMetadata?
    /// The version before the first command.
    var fromVersion: MetadataVersion
    /// The version after the last command.
    var version: MetadataVersion
    var commands: [(version: MetadataVersion, command: MetadataCommand)] = []
    var leaders: [LeaderReport]

    /// A push.
    init(_ request: MetadataChangedRequest) throws(Unreadable) {
        fromVersion = request.fromVersion
        version = request.version
        leaders = request.leaders
        commands = try Self.decode(request.commands)
    }

    /// A pulled answer, whose pages make `snapshot` together.
    init(_ response: GetTopicMetadataResponse, snapshot: String) throws(Unreadable) {
        version = response.version
        leaders = response.leaders
        fromVersion = 0
        if response.full {
            do {
                full = try ClusterMetadata(json: Array(snapshot.utf8))
            } catch {
                throw Unreadable(reason: "\(error)")
            }
        } else {
            commands = try Self.decode(response.commands)
        }
    }

    private static func decode(
        _ texts: [VersionedCommand]
    ) throws(Unreadable) -> [(version: MetadataVersion, command: MetadataCommand)] {
        var commands: [(version: MetadataVersion, command: MetadataCommand)] = []
        for text in texts {
            do {
                let command = try MetadataCommand(json: Array(text.command.utf8))
                commands.append((text.version, command))
            } catch {
                throw Unreadable(reason: "version \(text.version): \(error)")
            }
        }
        return commands
    }
}
