import ClusterHarness
import Glibc
import Testing

/// Commits must be confirmed again this soon after the coordinator was killed.
private let groupResumeMillisecondsMax: Int64 = 10_000

extension ClusterTests {
    @Suite("Consumer groups when brokers die")
    struct GroupTests {
        /// The partition of `__consumer_offsets` for this group: Java's hash of one letter is its
        /// code, and the harness gives the topic four partitions.
        private let group = "g"
        private let groupPartition = 103 % 4

        @Test func `a group goes on when its coordinator is killed, and no commit is lost`()
            async throws
        {
            try await TestCluster.run("groups") { cluster in
                try await cluster.create("orders", partitions: 3)
                let load = try await Load(on: cluster, topic: "orders", partitions: 3, writers: 1)
                let path = "\(cluster.directory)/commits.log"
                let member = try ChildProcess(
                    Places.python,
                    [script("keep_consuming.py"), cluster.bootstrap, "orders", group, path],
                    environment: commandEnvironment(),
                    output: "\(cluster.directory)/member.out",
                    errors: "\(cluster.directory)/member.out"
                )
                func committed(after time: Int64) async throws -> Int64 {
                    try await eventually("commits are confirmed", within: .seconds(40)) {
                        if let exit = member.poll() {
                            throw HarnessError("the member ended: \(exit)")
                        }
                        return lastCommit(path).flatMap { $0 > time ? $0 - time : nil }
                    }
                }
                _ = try await committed(after: 0)
                for _ in 0..<3 {
                    let partitions = try await cluster.partitionsInSync("__consumer_offsets")
                    let place = partitions.first { $0.partition == groupPartition }
                    let victim = cluster.broker(try #require(place).leader)
                    let time = monotonicMilliseconds()
                    victim.send(SIGKILL)
                    // A commit that was under way may still be answered a moment later.
                    let pause = try await committed(after: time + 200)
                    #expect(
                        pause <= groupResumeMillisecondsMax,
                        "commits resumed after \(pause) ms"
                    )
                    try victim.start()
                    try await victim.waitUntilReady()
                }
                member.send(SIGTERM)
                let exit = try await member.waitForExit(within: .seconds(60))
                let said = readFile("\(cluster.directory)/member.out")
                try #require(exit == .status(0), "\(said)")
                print(said, try await load.endAndCheck(), terminator: "")
            }
        }

        /// When the latest commit was confirmed; nil if none was.
        private func lastCommit(_ path: String) -> Int64? {
            let line = readFile(path).split(separator: "\n").last { $0.hasPrefix("C ") }
            return line?.split(separator: " ").dropFirst().first.flatMap { Int64($0) }
        }
    }
}
