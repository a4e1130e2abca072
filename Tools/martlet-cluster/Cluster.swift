import ArgumentParser
import KafkaClient
import Model
import ToolSupport

@main
struct Cluster: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet cluster",
        abstract: "Shows the cluster's state, moves partitions, and changes the controllers.",
        subcommands: [
            Status.self, CanStop.self, Reassign.self, AddController.self,
            RemoveController.self, ReplaceController.self,
        ],
        defaultSubcommand: Status.self
    )

    static func main() async { await start() }

    func perform() async throws { throw CleanExit.helpRequest(Self.self) }
}

struct Status: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Shows controllers, brokers, leaders and partitions that lack something.",
        usage: "martlet cluster status [<option> ...]"
    )

    @Flag(help: "Exit with 1 when a partition lacks a leader or a copy.")
    var check = false

    @OptionGroup var cluster: ClusterOptions

    func perform() async throws {
        let (description, moves, controllers) = try await cluster.withClient("martlet-cluster") {
            client in
            (
                try await client.describe(topics: nil), try await Self.moves(client),
                await Self.controllers(client)
            )
        }
        print("cluster      \(description.clusterID ?? "(has no id)")")
        print("admin        \(Self.admin(description))")
        print(controllers, terminator: "")
        print(Self.table(description), terminator: "")
        let partitions = description.topics.flatMap { topic in
            topic.partitions.map { (topic: topic.name, partition: $0) }
        }
        let leaderless = partitions.filter { $0.partition.leader < 0 }
        let thin = partitions.filter {
            $0.partition.leader >= 0 && !Self.missing($0.topic, $0.partition, moves).isEmpty
        }
        for (topic, partition) in leaderless {
            print(
                "no leader         \(topic)-\(partition.id) "
                    + "(replicas on \(Words.list(partition.replicas)))"
            )
        }
        for (topic, partition) in thin {
            let missing = Self.missing(topic, partition, moves)
            print("under-replicated  \(topic)-\(partition.id) (behind: \(Words.list(missing)))")
        }
        for move in moves {
            let partition = partitions.first { topic, partition in
                topic == move.partition.topic && partition.id == move.partition.partition
            }
            let inSync = partition?.partition.inSync ?? []
            print("reassigning       \(Reassign.progress(move, inSync: inSync))")
        }
        let topics = Words.count(description.topics.count { !$0.isInternal }, "topic")
        print(
            "\(leaderless.isEmpty && thin.isEmpty ? "healthy" : "degraded"): \(topics), "
                + "\(Words.count(partitions.count, "partition")), "
                + "\(thin.count) under-replicated, \(leaderless.count) without leader"
        )
        if check, !leaderless.isEmpty || !thin.isEmpty {
            throw ExitCode(ToolStatus.refused.rawValue)
        }
    }

    /// The moves that are under way; none where a broker does not tell.
    private static func moves(_ client: ClusterClient) async throws -> [ReassignmentDescription] {
        do throws(KafkaClientError) {
            return try await client.reassignments()
        } catch {
            if case .unsupported = error { return [] }
            throw error
        }
    }

    /// The brokers whose copies are behind or away; those that are only coming are not missed.
    private static func missing(
        _ topic: String,
        _ partition: PartitionDescription,
        _ moves: [ReassignmentDescription]
    ) -> [Int32] {
        let name = PartitionName(topic, partition.id)
        let adding = moves.first { $0.partition == name }?.adding ?? []
        return partition.replicas.filter {
            !partition.inSync.contains($0) && !adding.contains($0)
        }
    }

    private static func admin(_ cluster: ClusterDescription) -> String {
        guard cluster.controllerID >= 0 else { return "none: the controllers have no leader" }
        return "broker \(cluster.controllerID)"
    }

    private static func table(_ cluster: ClusterDescription) -> String {
        var leads: [Int32: Int] = [:]
        var holds: [Int32: Int] = [:]
        var behind: [Int32: Int] = [:]
        for partition in cluster.topics.flatMap(\.partitions) {
            leads[partition.leader, default: 0] += 1
            for replica in partition.replicas {
                holds[replica, default: 0] += 1
                if !partition.inSync.contains(replica) { behind[replica, default: 0] += 1 }
            }
        }
        var table = TextTable(
            ["broker", "address", "rack", "leads", "holds", "behind"],
            rightAligned: [0, 3, 4, 5]
        )
        for broker in cluster.brokers {
            table.add([
                String(broker.id), broker.address.description, broker.rack ?? "-",
                String(leads[broker.id, default: 0]), String(holds[broker.id, default: 0]),
                String(behind[broker.id, default: 0]),
            ])
        }
        // A broker that is away is known by the copies that it holds.
        let away = Set(holds.keys).subtracting(cluster.brokers.map(\.id))
        for id in away.sorted() {
            table.add([
                String(id), "(away)", "-", "0", String(holds[id, default: 0]),
                String(behind[id, default: 0]),
            ])
        }
        return table.text
    }
}
