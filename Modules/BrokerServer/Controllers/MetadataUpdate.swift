import InterBrokerProtocol
import Metadata
import Model

/// Changes of the metadata as they came from a controller, decoded away from the event loop.
struct MetadataUpdate: Sendable {
    /// JSON that cannot be understood.
    struct Unreadable: Error, Equatable {
        let reason: String
    }

    /// A command, and the text that it was read from.
    typealias Command = (version: MetadataVersion, command: MetadataCommand, text: String)

    /// The whole metadata, in place of what is held, and its text; nil if only `commands` count.
    var full: (metadata: ClusterMetadata, text: [UInt8])?
    /// The version before the first command.
    var fromVersion: MetadataVersion
    /// The version after the last command.
    var version: MetadataVersion
    var commands: [Command] = []
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
            let text = Array(snapshot.utf8)
            do {
                full = (try ClusterMetadata(json: text), text)
            } catch {
                throw Unreadable(reason: "\(error)")
            }
        } else {
            commands = try Self.decode(response.commands)
        }
    }

    private static func decode(_ texts: [VersionedCommand]) throws(Unreadable) -> [Command] {
        var commands: [Command] = []
        for text in texts {
            do {
                let command = try MetadataCommand(json: Array(text.command.utf8))
                commands.append((text.version, command, text.command))
            } catch {
                throw Unreadable(reason: "version \(text.version): \(error)")
            }
        }
        return commands
    }
}
