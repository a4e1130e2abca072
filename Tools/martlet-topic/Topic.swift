import ArgumentParser
import KafkaClient
import KafkaProtocol
import Model
import ToolSupport

@main
struct Topic: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "martlet topic",
        abstract: "Creates, lists, describes and deletes topics.",
        subcommands: [Create.self, List.self, Describe.self, Delete.self]
    )

    static func main() async { await start() }

    func perform() async throws { throw CleanExit.helpRequest(Self.self) }
}

/// A topic's name as the cluster would take it.
private func checked(_ names: [String]) throws {
    for name in names where TopicName(name) == nil {
        throw ValidationError(
            "'\(name)' is no topic name: 1 to 249 letters, digits, '.', '_' and '-'"
        )
    }
}

struct Create: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Creates topics, and waits until their partitions have leaders.",
        usage: "martlet topic create <name> ... [<option> ...]"
    )

    @Argument(help: "The new topics' names.")
    var names: [String]

    @Option(help: "How many partitions; the cluster's default if not given.")
    var partitions: Int32 = -1

    @Option(help: "How many copies of each; the cluster's default if not given.")
    var replicationFactor: Int16 = -1

    @Option(help: ArgumentHelp("A setting; may be repeated.", valueName: "name=value"))
    var config: [String] = []

    @Flag(help: "A topic that exists already is not an error.")
    var ifNotExists = false

    @Flag(help: "Only ask whether it could be done.")
    var dryRun = false

    @OptionGroup var cluster: ClusterOptions

    func validate() throws {
        try checked(names)
        guard partitions == -1 || partitions > 0 else {
            throw ValidationError("--partitions must be at least 1")
        }
        guard replicationFactor == -1 || replicationFactor > 0 else {
            throw ValidationError("--replication-factor must be at least 1")
        }
        for setting in config where !setting.dropFirst().contains("=") {
            throw ValidationError("--config takes NAME=VALUE, not '\(setting)'")
        }
    }

    func perform() async throws {
        let configs = config.map { setting in
            let parts = setting.split(
                separator: "=",
                maxSplits: 1,
                omittingEmptySubsequences: false
            )
            return (name: String(parts[0]), value: String(parts[1]))
        }
        let topics = names.map {
            NewTopic(
                name: $0,
                partitions: partitions,
                replicationFactor: replicationFactor,
                configs: configs
            )
        }
        try await cluster.withClient("martlet-topic") { client in
            let outcomes = try await client.create(topics: topics, validateOnly: dryRun)
            var firstError: KafkaClientError?
            for outcome in outcomes {
                if case .refused(.topicAlreadyExists, _) = outcome.error, ifNotExists {
                    print("topic '\(outcome.name)' exists already")
                } else if let error = outcome.error {
                    Terminal.say("martlet topic: cannot create '\(outcome.name)'")
                    firstError = firstError ?? error
                } else if dryRun {
                    print("topic '\(outcome.name)' could be created")
                } else {
                    let topic = try await Self.whenLed(outcome.name, client)
                    let copies = topic.partitions.first?.replicas.count ?? 0
                    print(
                        "created topic '\(topic.name)': "
                            + Words.count(topic.partitions.count, "partition") + ", "
                            + Words.count(copies, "replica") + " each"
                    )
                }
            }
            if let firstError { throw firstError }
        }
    }

    /// The topic once every partition has a leader, or as it is when that takes too long.
    private static func whenLed(
        _ name: String,
        _ client: ClusterClient
    ) async throws -> TopicDescription {
        for _ in 0..<100 {
            let cluster = try await client.describe(topics: [name])
            if let topic = cluster.topics.first, topic.error == nil, !topic.partitions.isEmpty,
                topic.partitions.allSatisfy({ $0.leader >= 0 })
            {
                return topic
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        let topic = try await client.describe(topic: name)
        let missing = topic.partitions.count { $0.leader < 0 }
        Terminal.say("martlet topic: \(Words.count(missing, "partition")) without a leader so far")
        return topic
    }
}

struct List: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Prints the topics' names, one a line.",
        usage: "martlet topic list [<option> ...]"
    )

    @Flag(help: "Also the cluster's own topics.")
    var all = false

    @OptionGroup var cluster: ClusterOptions

    func perform() async throws {
        try await cluster.withClient("martlet-topic") { client in
            for topic in try await client.describe(topics: nil).topics {
                if all || !topic.isInternal { print(topic.name) }
            }
        }
    }
}

struct Describe: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "describe",
        abstract: "Shows topics' partitions, leaders, copies and settings.",
        usage: "martlet topic describe [<name> ...] [<option> ...]"
    )

    @Argument(help: "The topics' names; all topics if none is given.")
    var names: [String] = []

    @Flag(help: "Also the settings that have their defaults.")
    var defaults = false

    @OptionGroup var cluster: ClusterOptions

    func validate() throws { try checked(names) }

    func perform() async throws {
        try await cluster.withClient("martlet-topic") { client in
            let topics: [TopicDescription]
            if names.isEmpty {
                topics = try await client.describe(topics: nil).topics
            } else {
                var found: [TopicDescription] = []
                for name in names { found.append(try await client.describe(topic: name)) }
                topics = found
            }
            for (place, topic) in topics.enumerated() {
                if place > 0 { print() }
                try await show(topic, client)
            }
        }
    }

    private func show(_ topic: TopicDescription, _ client: ClusterClient) async throws {
        let copies = topic.partitions.first?.replicas.count ?? 0
        print("topic        \(topic.name)\(topic.isInternal ? " (internal)" : "")")
        if topic.id != .zero { print("id           \(topic.id)") }
        print("partitions   \(topic.partitions.count)")
        print("replicas     \(copies)")
        for config in try await settings(of: topic, client) {
            print("setting      \(config.name)=\(config.value ?? "(hidden)")")
        }
        var table = TextTable(
            ["partition", "leader", "epoch", "replicas", "in sync", "offline", ""],
            rightAligned: [0, 1, 2]
        )
        for partition in topic.partitions {
            var remark = partition.error.map { "\($0)" } ?? ""
            if remark.isEmpty, partition.inSync.count < partition.replicas.count {
                remark = "under-replicated"
            }
            table.add([
                String(partition.id),
                partition.leader < 0 ? "none" : String(partition.leader),
                partition.leaderEpoch < 0 ? "-" : String(partition.leaderEpoch),
                Words.list(partition.replicas), Words.list(partition.inSync),
                Words.list(partition.offline), remark,
            ])
        }
        print(table.text, terminator: "")
    }

    /// The settings; none from a broker that does not tell them.
    private func settings(
        of topic: TopicDescription,
        _ client: ClusterClient
    ) async throws -> [ConfigDescription] {
        do throws(KafkaClientError) {
            return try await client.configs(ofTopic: topic.name).filter {
                defaults || !$0.isDefault
            }
        } catch {
            if case .unsupported = error { return [] }
            throw error
        }
    }
}

struct Delete: ToolCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Deletes topics with all their records.",
        usage: "martlet topic delete <name> ... [<option> ...]"
    )

    @Argument(help: "The topics' names.")
    var names: [String]

    @Flag(help: "A topic that does not exist is not an error.")
    var ifExists = false

    @OptionGroup var cluster: ClusterOptions

    func validate() throws { try checked(names) }

    func perform() async throws {
        try await cluster.withClient("martlet-topic") { client in
            var firstError: KafkaClientError?
            for outcome in try await client.delete(topics: names) {
                switch outcome.error {
                case nil: print("deleted topic '\(outcome.name)'")
                case .refused(.unknownTopicOrPartition, _) where ifExists:
                    print("topic '\(outcome.name)' does not exist")
                case .refused(.unknownTopicOrPartition, _):
                    firstError = firstError ?? .unknownTopic(outcome.name)
                case let error?:
                    Terminal.say("martlet topic: cannot delete '\(outcome.name)'")
                    firstError = firstError ?? error
                }
            }
            if let firstError { throw firstError }
        }
    }
}
