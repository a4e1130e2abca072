import ArgumentParser
import KafkaClient
import Model
import NIOCore
import ToolSupport

@main
struct Consume: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet consume",
        abstract: "Prints a topic's records, and waits for more.",
        usage: "martlet consume <topic> [<option> ...]",
        discussion: """
            --format knows %t topic, %p partition, %o offset, %T time in ms, %k key, %s value, \
            %h headers, %% percent, \\n, \\t. A null is printed as nothing.
            """
    )

    @Argument(help: "The topic.")
    var topic: String

    @Option(name: .shortAndLong, help: "The partition; may be repeated; all if not given.")
    var partition: [Int32] = []

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "earliest, latest, an offset, -N for the last N, @MS for a time.",
            valueName: "place"
        )
    )
    var from: StartArgument = .earliest

    @Flag(name: .shortAndLong, help: "Exit at the end instead of waiting.")
    var exit = false

    @Option(name: .shortAndLong, help: "Exit after so many records.")
    var count: Int?

    @Option(help: "What to print for each record.")
    var format = #"%s\n"#

    @OptionGroup var cluster: ClusterOptions

    static func main() async { await start() }

    func validate() throws {
        guard TopicName(topic) != nil else {
            throw ValidationError("'\(topic)' is no topic name")
        }
        guard count ?? 1 > 0 else { throw ValidationError("--count must be at least 1") }
        _ = try RecordFormat(format)
    }

    func perform() async throws {
        let format = try RecordFormat(format)
        try await cluster.withClient("martlet-consume") { client in
            let known = try await client.describe(topic: topic).partitions.map(\.id)
            for wanted in partition where !known.contains(wanted) {
                throw KafkaClientError.unknownPartition(topic: topic, partition: wanted)
            }
            var starts: [(PartitionName, Int64)] = []
            var ends: [PartitionName: Int64] = [:]
            for id in partition.isEmpty ? known : partition {
                let name = PartitionName(topic, id)
                let start = try await from.offset(of: name, client)
                if exit {
                    let end = try await client.offset(of: name, at: .latest)
                    guard start < end else { continue }
                    ends[name] = end
                }
                starts.append((name, start))
            }
            let printing = Printing(format: format, limit: count, ends: exit ? ends : nil)
            guard !printing.isDone else { return }
            let consumer = await Consumer(client, from: starts) { printing.take($0) }
            let failure = await printing.finished()
            await consumer.stop()
            if let failure { throw failure }
        }
    }
}

/// `--from`.
struct StartArgument: ExpressibleByArgument, CustomStringConvertible {
    private enum Place {
        case position(OffsetPosition)
        case last(Int64)
    }

    private let place: Place
    let description: String
    static let earliest = StartArgument(place: .position(.earliest), description: "earliest")

    private init(place: Place, description: String) {
        self.place = place
        self.description = description
    }

    init?(argument: String) {
        description = argument
        switch argument {
        case "earliest", "beginning": place = .position(.earliest)
        case "latest", "end": place = .position(.latest)
        default:
            if argument.hasPrefix("@"), let time = Int64(argument.dropFirst()), time >= 0 {
                place = .position(.timestamp(time))
            } else if let number = Int64(argument) {
                place = number < 0 ? .last(number) : .position(.offset(number))
            } else {
                return nil
            }
        }
    }

    var defaultValueDescription: String { description }

    func offset(of name: PartitionName, _ client: ClusterClient) async throws -> Int64 {
        switch place {
        case .position(let position): return try await client.offset(of: name, at: position)
        case .last(let number):
            let first = try await client.offset(of: name, at: .earliest)
            return max(first, try await client.offset(of: name, at: .latest) + number)
        }
    }
}
