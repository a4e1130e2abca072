import ClusterHarness
import Glibc
import Testing

/// Every partition of a new topic must take a message this soon after the topic was asked for.
private let writableSecondsMax = 5.0

extension ClusterTests {
    @Suite("Topics and controllers")
    struct TopicTests {
        @Test func `100 partitions are writable within 5 s, and deleted with their directories`()
            async throws
        {
            try await TestCluster.run("hundred") { cluster in
                let before = cluster.brokers.map { Places.directories(below: $0.dataDirectory) }
                let written = try await cluster.script(
                    script("write_everywhere.py"),
                    [cluster.bootstrap, "wide", "100", "3"]
                )
                try #require(written.isSuccess, "\(written.report)")
                let seconds = written.output.split(separator: " ").last.flatMap {
                    Double($0.filter { !$0.isWhitespace })
                }
                print("100 partitions: \(written.output)", terminator: "")
                #expect(try #require(seconds) <= writableSecondsMax, "\(written.output)")

                let absent = cluster.broker(3)
                absent.send(SIGKILL)
                let deleted = try await cluster.script(
                    script("delete_topic.py"),
                    [cluster.bootstrap, "wide"]
                )
                try #require(deleted.isSuccess, "\(deleted.report)")
                func leftovers(_ number: Int) -> [String] {
                    Places.directories(below: cluster.broker(number).dataDirectory)
                        .filter { !before[number - 1].contains($0) }
                }
                for number in [1, 2] {
                    try await eventually("broker \(number) has deleted everything") {
                        leftovers(number).isEmpty
                    }
                }
                try #require(!leftovers(3).isEmpty, "the broker that is down cannot have deleted")
                try absent.start()
                try await absent.waitUntilReady()
                try await eventually("broker 3 has deleted everything, once it is back") {
                    leftovers(3).isEmpty
                }
            }
        }

        @Test(arguments: [1, 3])
        func `topics are made while controllers are killed one after the other`(
            controllers: Int
        ) async throws {
            var shape = ClusterShape()
            shape.controllers = controllers
            try await TestCluster.run("ctl\(controllers)", shape) { cluster in
                try await cluster.create("first", partitions: 3)
                let load = try await Load(on: cluster, topic: "first", partitions: 3, writers: 1)
                for victim in cluster.controllers {
                    victim.send(SIGKILL)
                    // Messages need no controller.
                    let time = monotonicMilliseconds()
                    let pause = try await load.untilWritten(after: time)
                    #expect(pause <= 1_000, "writing waited \(pause) ms for a controller")
                    if controllers > 1 {
                        try await cluster.create("without\(victim.number)", partitions: 3)
                    }
                    try victim.start()
                    try await victim.waitUntilReady()
                    try await cluster.create("with\(victim.number)", partitions: 3)
                }
                print(try await load.endAndCheck(), terminator: "")
            }
        }
    }
}
