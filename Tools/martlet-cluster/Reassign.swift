import ArgumentParser
import KafkaClient
import Model
import ToolSupport

struct Reassign: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "reassign",
        abstract: "Moves partitions' copies to other brokers, while clients go on.",
        usage: """
            martlet cluster reassign <topic>[/<n>] ... --to <broker,...> [<option>]
            martlet cluster reassign <topic>[/<n>] ... --cancel [<option>]
            """,
        discussion: """
            The new copies are filled first; those that are to go are deleted last. Of a whole \
            topic each partition gets the brokers in another order, so that leaders spread. A \
            tool that is interrupted stops nothing: --cancel does.
            """
    )

    @Argument(help: "Topics, or partitions of topics.")
    var places: [String]

    @Option(
        name: .customLong("to"),
        help: ArgumentHelp("The brokers, the preferred leader first.", valueName: "broker,...")
    )
    var brokers: String?

    @Flag(help: "Go back to where the copies were before.")
    var cancel = false

    @Flag(inversion: .prefixedNo, help: "Wait until everything is where it is to be.")
    var wait = true

    @OptionGroup var cluster: ClusterOptions

    func validate() throws {
        for place in places { _ = try Self.parse(place) }
        guard (brokers == nil) == cancel else {
            throw ValidationError("give either --to BROKER,... or --cancel")
        }
        if let brokers { _ = try Self.list(brokers) }
    }

    private static func parse(_ place: String) throws -> (topic: String, partition: Int32?) {
        let parts = place.split(separator: "/", omittingEmptySubsequences: false)
        let number = parts.count == 2 ? Int32(parts[1]) : nil
        guard parts.count <= 2, TopicName(String(parts[0])) != nil,
            parts.count == 1 || number != nil,
            number ?? 0 >= 0
        else {
            throw ValidationError("'\(place)' is neither TOPIC nor TOPIC/PARTITION")
        }
        return (String(parts[0]), number)
    }

    private static func list(_ text: String) throws -> [Int32] {
        let ids = text.split(separator: ",", omittingEmptySubsequences: false).map { Int32($0) }
        let known = ids.compactMap { $0 }
        guard known.count == ids.count, Set(known).count == known.count,
            known.allSatisfy({ $0 >= 0 })
        else {
            throw ValidationError("--to takes different brokers' numbers such as 1,2,4")
        }
        return known
    }

    func perform() async throws {
        let target = try brokers.map { try Self.list($0) }
        try await cluster.withClient("martlet-cluster") { client in
            var moves: [(partition: PartitionName, brokers: [Int32]?)] = []
            for place in places {
                let (topic, partition) = try Self.parse(place)
                moves += try await Self.moves(of: topic, partition, to: target, client)
            }
            guard !moves.isEmpty else { return print("nothing is under way") }
            var begun: [(partition: PartitionName, brokers: [Int32]?)] = []
            var firstError: KafkaClientError?
            for (move, outcome) in zip(moves, try await client.reassign(moves)) {
                if let error = outcome.error {
                    Terminal.say("martlet cluster: cannot move '\(move.partition)'")
                    firstError = firstError ?? error
                } else {
                    begun.append(move)
                }
            }
            if wait {
                for move in begun { try await Self.follow(move, client) }
            } else {
                for move in begun { print("\(move.partition) is on its way") }
            }
            if let firstError { throw firstError }
        }
    }

    /// The moves of one partition, or of all partitions that can be moved so.
    private static func moves(
        of topic: String,
        _ partition: Int32?,
        to target: [Int32]?,
        _ client: ClusterClient
    ) async throws -> [(partition: PartitionName, brokers: [Int32]?)] {
        if let partition { return [(PartitionName(topic, partition), target)] }
        guard let target else {
            // What is not under way cannot be cancelled, and need not be.
            let names = try await client.reassignments().map(\.partition)
            return names.filter { $0.topic == topic }.map { ($0, nil) }
        }
        return try await client.describe(topic: topic).partitions.map { partition in
            let turn = Int(partition.id) % target.count
            return (
                PartitionName(topic, partition.id), Array(target[turn...] + target[..<turn])
            )
        }
    }

    /// Says how a move goes on, until it is over.
    private static func follow(
        _ move: (partition: PartitionName, brokers: [Int32]?),
        _ client: ClusterClient
    ) async throws {
        var said = ""
        var unlisted = 0
        while true {
            let topic = try await client.describe(topic: move.partition.topic)
            let partition = topic.partitions.first { $0.id == move.partition.partition }
            guard let partition else {
                throw KafkaClientError.unknownPartition(
                    topic: move.partition.topic,
                    partition: move.partition.partition
                )
            }
            let ongoing = try await client.reassignments().first {
                $0.partition == move.partition
            }
            if let ongoing {
                unlisted = 0
                let now = progress(ongoing, inSync: partition.inSync)
                if now != said { print(now) }
                said = now
            } else if Set(partition.replicas) == Set(move.brokers ?? partition.replicas) {
                print("\(move.partition) is on brokers \(Words.list(partition.replicas))")
                return
            } else {
                // The broker that answers may not have heard of the end yet.
                unlisted += 1
                guard unlisted < patience else {
                    throw ToolFailure(
                        .refused,
                        "\(move.partition) is on brokers \(Words.list(partition.replicas))",
                        advice: "Somebody else has moved it."
                    )
                }
            }
            try await Task.sleep(for: .milliseconds(200))
        }
    }

    /// How often a broker may be found without the move; 5 s.
    private static let patience = 25

    /// What is still to be done for a move.
    static func progress(_ move: ReassignmentDescription, inSync: [Int32]) -> String {
        var text = "\(move.partition): copies on \(Words.list(move.replicas))"
        text += ", in sync \(Words.list(inSync))"
        if !move.adding.isEmpty { text += ", adding \(Words.list(move.adding))" }
        if !move.removing.isEmpty { text += ", removing \(Words.list(move.removing))" }
        return text
    }
}
