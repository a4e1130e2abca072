import ClusterHarness
import Testing

/// Debian's kcat against the suite's cluster.
struct Kcat {
    let cluster: ClusterInUse

    init() throws { cluster = try #require(ClusterInUse.current) }

    /// Runs kcat to its end.
    func run(_ arguments: String..., input: String? = nil) async throws -> CommandResult {
        try await runCommand(
            "kcat",
            ["-b", cluster.bootstrap] + arguments,
            input: input,
            in: cluster.directory,
            within: .seconds(30)
        )
    }

    /// Creates a topic; kcat itself cannot.
    func create(_ topic: String, partitions: Int = 1) async throws {
        let code = """
            import sys
            from confluent_kafka.admin import AdminClient, NewTopic
            admin = AdminClient({"bootstrap.servers": sys.argv[1]})
            for made in admin.create_topics([NewTopic(sys.argv[2], int(sys.argv[3]), 3)]).values():
                made.result(timeout=20)
            """
        let result = try await runCommand(
            Places.python,
            ["-c", code, cluster.bootstrap, topic, "\(partitions)"],
            in: cluster.directory
        )
        try #require(result.isSuccess, "\(result.report)")
    }

    /// Writes lines into partition 0.
    func write(_ lines: [String], to topic: String, _ options: String...) async throws {
        let result = try await runCommand(
            "kcat",
            ["-b", cluster.bootstrap, "-P", "-t", topic, "-p", "0"] + options,
            input: lines.map { "\($0)\n" }.joined(),
            in: cluster.directory,
            within: .seconds(30)
        )
        try #require(result.isSuccess, "\(result.report)")
    }

    /// Reads partition 0 from an offset to the end.
    func read(_ topic: String, from offset: String = "beginning") async throws -> [String] {
        let result = try await run("-C", "-t", topic, "-p", "0", "-o", offset, "-e", "-q")
        try #require(result.isSuccess, "\(result.report)")
        return result.output.split(separator: "\n").map { String($0) }
    }
}

extension ClientTests {
    @Suite("kcat")
    struct KcatTests {
        private let lines = (0..<200).map { "line \($0) of a text that compresses compresses" }

        @Test func `metadata names brokers and partitions`() async throws {
            let kcat = try Kcat()
            try await kcat.create("kcat-metadata", partitions: 3)
            let result = try await kcat.run("-L", "-t", "kcat-metadata")
            #expect(result.isSuccess, "\(result.report)")
            #expect(result.output.contains("3 brokers:"))
            #expect(result.output.contains("topic \"kcat-metadata\" with 3 partitions:"))
            #expect(result.output.contains("partition 2, leader "))
        }

        @Test(arguments: codecs)
        func `lines are read as they were written, with any acks`(codec: String) async throws {
            let kcat = try Kcat()
            let topic = "kcat-\(codec)"
            try await kcat.create(topic)
            for acks in ["0", "1", "all"] {
                try await kcat.write(lines, to: topic, "-z", codec, "-X", "acks=\(acks)")
            }
            try await kcat.write(lines, to: topic, "-z", codec, "-X", "enable.idempotence=true")
            #expect(try await kcat.read(topic) == lines + lines + lines + lines)
        }

        @Test func `reading starts at an offset, before the end and at the end`() async throws {
            let kcat = try Kcat()
            try await kcat.create("kcat-positions")
            try await kcat.write(lines, to: "kcat-positions")
            #expect(try await kcat.read("kcat-positions", from: "150") == Array(lines[150...]))
            #expect(try await kcat.read("kcat-positions", from: "-5") == Array(lines[195...]))
            #expect(try await kcat.read("kcat-positions", from: "end") == [])
        }

        @Test func `a group resumes where it has committed`() async throws {
            let kcat = try Kcat()
            let topic = "kcat-group"
            try await kcat.create(topic)
            try await kcat.write(lines, to: topic)
            func consume(_ count: Int) async throws -> [String] {
                let result = try await kcat.run(
                    "-G",
                    "kcat-group",
                    "-q",
                    "-c",
                    "\(count)",
                    "-X",
                    "auto.offset.reset=earliest",
                    "-X",
                    "session.timeout.ms=6000",
                    topic
                )
                #expect(result.isSuccess, "\(result.report)")
                return result.output.split(separator: "\n").map { String($0) }
            }
            #expect(try await consume(50) == Array(lines[..<50]))
            #expect(try await consume(150) == Array(lines[50...]))
        }

        @Test func `an unknown topic is an error`() async throws {
            let kcat = try Kcat()
            let result = try await kcat.run(
                "-P",
                "-t",
                "kcat-unknown",
                "-X",
                "message.timeout.ms=4000",
                input: "lost\n"
            )
            #expect(!result.isSuccess)
            #expect(result.errors.contains("Unknown topic") || result.errors.contains("timed out"))
        }

        @Test func `a message over the limit is refused`() async throws {
            let kcat = try Kcat()
            try await kcat.create("kcat-large")
            let large = String(repeating: "x", count: 2_000_000)
            let result = try await kcat.run(
                "-P",
                "-t",
                "kcat-large",
                "-X",
                "message.max.bytes=10000000",
                input: large
            )
            #expect(!result.isSuccess || result.errors.contains("too large"), "\(result.report)")
            #expect(result.errors.lowercased().contains("too large"), "\(result.report)")
            #expect(try await kcat.read("kcat-large") == [])
        }
    }
}
