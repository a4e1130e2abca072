import FoundationEssentials
import Glibc

/// What a test's cluster looks like.
package struct ClusterShape: Sendable {
    /// 1, 3 or 5.
    package var controllers = 1
    /// How many brokers; their numbers start at 1.
    package var brokers = 3
    /// How many milliseconds a controller's stop waits for others: tests end whole clusters.
    package var controllerStopWait = 0
    /// Lines for each broker's settings file that differ from the tests' usual ones.
    package var brokerSettings: [String: String] = [:]

    /// One controller and three brokers.
    package init() {}
}

/// A cluster of real daemons on the loopback interface, in a directory of its own.
package final class TestCluster {
    /// Holds the data, settings and logs of every daemon.
    package let directory: String
    /// In the order of their numbers.
    package private(set) var controllers: [ServerProcess]
    /// In the order of their numbers.
    package let brokers: [ServerProcess]
    /// The brokers' client listeners, as Kafka clients want them.
    package let bootstrap: String

    private init(_ name: String, _ shape: ClusterShape) throws {
        directory = try Places.makeDirectory(name)
        let home = directory
        let endpoints = try (1...shape.controllers).map { "\($0)@127.0.0.1:\(try Ports.free())" }
        controllers = try (1...shape.controllers).map {
            try Self.controller($0, endpoints, in: home, stopWait: shape.controllerStopWait)
        }
        let list = Self.list(endpoints)
        var clients: [String] = []
        brokers = try (1...shape.brokers).map { number in
            let client = try Ports.free()
            let peer = try Ports.free()
            let http = try Ports.free()
            clients.append("127.0.0.1:\(client)")
            return try ServerProcess(program: "brokerd", number: number, in: home, httpPort: http) {
                """
                broker_id: \(number)
                data_directory: \($0)
                listeners:
                  client: 127.0.0.1:\(client)
                  peer: 127.0.0.1:\(peer)
                  http: 127.0.0.1:\(http)
                \(list)
                \(Self.lines(shape))

                """
            }
        }
        bootstrap = clients.joined(separator: ",")
    }

    private static func list(_ endpoints: [String]) -> String {
        "controllers: [\(endpoints.map { "\"\($0)\"" }.joined(separator: ", "))]"
    }

    /// One of the controllers that are listed, each as `ID@HOST:PORT`.
    private static func controller(
        _ number: Int,
        _ endpoints: [String],
        in home: String,
        stopWait: Int = 0
    ) throws -> ServerProcess {
        guard let own = endpoints.first(where: { $0.hasPrefix("\(number)@") }) else {
            throw HarnessError("no controller \(number) among \(endpoints)")
        }
        let http = try Ports.free()
        let server = try ServerProcess(
            program: "controllerd",
            number: number,
            in: home,
            httpPort: http
        ) { data in
            """
            controller_id: \(number)
            data_directory: \(data)
            listeners:
              peer: \(own.drop { $0 != "@" }.dropFirst())
              http: 127.0.0.1:\(http)
            \(list(endpoints))
            wal_file_bytes: 1048576
            wal_files: 2
            stop_wait_ms: \(stopWait)

            """
        }
        server.endpoint = own
        return server
    }

    /// Makes further controllers, whose settings name all; those of the others stay as they are.
    package func makeControllers(_ numbers: [Int]) throws -> [ServerProcess] {
        let own = try numbers.map { "\($0)@127.0.0.1:\(try Ports.free())" }
        let listed = controllers.map(\.endpoint) + own
        let made = try numbers.map { try Self.controller($0, listed, in: directory) }
        controllers += made
        return made
    }

    private static func lines(_ shape: ClusterShape) -> String {
        var settings = [
            "auto_create_topics": "false",
            "group_initial_rebalance_delay_ms": "0",
            "offsets_topic_partitions": "4",
            "offsets_topic_replication_factor": "\(min(3, shape.brokers))",
            "default_replication_factor": "\(min(3, shape.brokers))",
            "wal_file_bytes": "4194304",
            "wal_files": "4",
            // Tests end whole clusters, one daemon after the other.
            "stop_wait_ms": "0",
        ]
        settings.merge(shape.brokerSettings) { _, own in own }
        return settings.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)" }
            .joined(separator: "\n")
    }

    /// Starts a cluster, waits until it is ready, runs `body`, and ends every process.
    ///
    /// The directory is deleted, unless something was thrown: then the error names it.
    package static func run<Result>(
        _ name: String,
        _ shape: ClusterShape = ClusterShape(),
        _ body: (TestCluster) async throws -> Result
    ) async throws -> Result {
        let cluster = try TestCluster(name, shape)
        defer { cluster.killAll() }
        do {
            try await cluster.startAll()
            let result = try await body(cluster)
            cluster.killAll()
            Places.remove(cluster.directory)
            return result
        } catch {
            throw HarnessError("\(error)\n(data and logs: \(cluster.directory))")
        }
    }

    /// Every daemon.
    package var servers: [ServerProcess] { controllers + brokers }

    /// A broker by its number.
    package func broker(_ number: Int) -> ServerProcess { brokers[number - 1] }

    /// Starts whatever does not run, and waits until all are ready and know each other.
    package func startAll() async throws {
        let stopped = servers.filter { !$0.isRunning }
        for server in stopped { try server.start() }
        for server in stopped { try await server.waitUntilReady() }
        try await eventually("the cluster knows \(brokers.count) brokers") {
            try await metadata().brokers.count == brokers.count
        }
    }

    /// Ends every process at the same time, as a power cut would.
    package func killAll() {
        for server in servers { server.send(SIGSTOP) }
        for server in servers { server.send(SIGKILL) }
    }

    // MARK: What clients see

    /// The answer of `kcat -L -J`.
    package struct Metadata: Decodable, Sendable {
        /// A broker.
        package struct Broker: Decodable, Sendable {
            /// Its number.
            package let id: Int
        }
        /// A partition.
        package struct Partition: Decodable, Sendable {
            /// Its number in the topic.
            package let partition: Int
            /// The leader's number, or -1.
            package let leader: Int
            /// The brokers that hold it.
            package let replicas: [Broker]
            /// Those among them that are up to date.
            package let isrs: [Broker]
        }
        /// A topic.
        package struct Topic: Decodable, Sendable {
            /// Its name.
            package let topic: String
            /// Its partitions.
            package let partitions: [Partition]
        }
        /// The brokers that are up.
        package let brokers: [Broker]
        /// The topics that were asked for.
        package let topics: [Topic]
    }

    /// Asks the cluster for its metadata, of one topic or of all.
    package func metadata(_ topic: String? = nil) async throws -> Metadata {
        var arguments = ["-b", bootstrap, "-L", "-J", "-m", "5"]
        if let topic { arguments += ["-t", topic] }
        let answer = try await runCommand("kcat", arguments, in: directory)
        guard answer.isSuccess else { return Metadata(brokers: [], topics: []) }
        return try JSONDecoder().decode(Metadata.self, from: Data(answer.output.utf8))
    }

    /// The partitions of a topic, once each has a leader and all replicas are up to date.
    package func partitionsInSync(_ topic: String) async throws -> [Metadata.Partition] {
        try await eventually("all replicas of \(topic) are up to date", every: .milliseconds(100)) {
            let found = try await metadata(topic).topics.first { $0.topic == topic }?.partitions
            guard let found, !found.isEmpty else { return nil }
            let isComplete = found.allSatisfy {
                $0.leader > 0 && $0.isrs.count == $0.replicas.count
            }
            return isComplete ? found : nil
        }
    }

    /// Runs one of the Python scripts that lie beside a test's source.
    package func script(
        _ path: String,
        _ arguments: [String],
        within patience: Duration = .seconds(90)
    ) async throws -> CommandResult {
        try await runCommand(Places.python, [path] + arguments, in: directory, within: patience)
    }
}
