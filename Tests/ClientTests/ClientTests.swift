import ClusterHarness
import Testing

/// A Kafka client library that is driven by a script of ours.
enum Library: String, CaseIterable, CustomTestStringConvertible, Sendable {
    case confluent = "confluent-kafka"
    case kafkaPython = "kafka-python"
    case aiokafka = "aiokafka"

    var testDescription: String { rawValue }

    /// Runs a scenario of the library's script against the suite's cluster.
    func play(_ scenario: String, _ options: String...) async throws {
        let cluster = try #require(ClusterInUse.current)
        let script: String =
            switch self {
            case .confluent: "with_confluent.py"
            case .kafkaPython: "with_kafka_python.py"
            case .aiokafka: "with_aiokafka.py"
            }
        let path = #filePath.split(separator: "/").dropLast().joined(separator: "/")
        let topic = ([scenario, rawValue] + options).joined(separator: "-")
        let result = try await runCommand(
            Places.python,
            ["/\(path)/scripts/\(script)", scenario, cluster.bootstrap, topic] + options,
            in: cluster.directory
        )
        #expect(result.isSuccess, "\(result.report)")
    }
}

let codecs = ["none", "gzip", "snappy", "lz4", "zstd"]

@Suite(
    "Unmodified Kafka clients",
    .serialized,
    .enabled(if: Places.isSlowWanted, "needs MARTLET_SLOW=1"),
    .runningCluster
)
struct ClientTests {
    @Suite("Python libraries")
    struct Libraries {
        @Test(arguments: Library.allCases)
        func `metadata names the cluster, its brokers, leaders and replicas`(
            library: Library
        ) async throws {
            try await library.play("metadata")
        }

        @Test(arguments: Library.allCases, codecs)
        func `records are read as they were written, with any acks and idempotence`(
            library: Library,
            codec: String
        ) async throws {
            try await library.play("produce", codec)
        }

        @Test(arguments: Library.allCases)
        func `a consumer starts at the beginning, at an offset, at a time and at the end`(
            library: Library
        ) async throws {
            try await library.play("positions")
        }

        @Test(arguments: Library.allCases)
        func `a group resumes where it has committed`(library: Library) async throws {
            try await library.play("group")
        }

        @Test(arguments: Library.allCases)
        func `two members share the partitions and the one left takes them over`(
            library: Library
        ) async throws {
            try await library.play("rebalance")
        }

        @Test(arguments: Library.allCases)
        func `a topic is created, deleted, and created anew without old messages`(
            library: Library
        ) async throws {
            try await library.play("topics")
        }

        @Test(arguments: Library.allCases)
        func `an unknown topic is an error and stays unknown`(library: Library) async throws {
            try await library.play("unknown")
        }

        @Test(arguments: Library.allCases)
        func `a message over the limit is refused, and one below it is not`(
            library: Library
        ) async throws {
            try await library.play("large")
        }

        @Test func `a partition moves from broker to broker with everything that is in it`()
            async throws
        {
            try await Library.kafkaPython.play("moves")
        }
    }
}
