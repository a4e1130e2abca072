import ClusterHarness
import Glibc
import Testing

/// How many moves are disturbed; `MARTLET_CYCLES` changes it.
private let disturbedMoves = Places.count("MARTLET_CYCLES", default: 6)
/// While replicas move and leadership goes from hand to hand, a message may wait this long.
private let waitMillisecondsMax: Int64 = 1_500

extension ClusterTests {
    @Suite("Replicas that move under load")
    struct ReassignTests {
        private static let four: ClusterShape = {
            var shape = ClusterShape()
            shape.brokers = 4
            return shape
        }()

        @Test func `a replica moves to a fourth broker and back, and the leader moves away`()
            async throws
        {
            try await TestCluster.run("move", Self.four) { cluster in
                try await cluster.create("orders", partitions: 1)
                let load = try await Load(on: cluster, topic: "orders", partitions: 1, writers: 2)
                let before = try #require(try await cluster.partitionsInSync("orders").first)
                let home = before.replicas.map(\.id)
                let stranger = try #require((1...4).first { !home.contains($0) })
                let follower = try #require(home.first { $0 != before.leader })
                let away = home.map { $0 == follower ? stranger : $0 }
                let led = [stranger] + home.filter { $0 != before.leader }
                for target in [away, home, led, home] {
                    let time = monotonicMilliseconds()
                    print(try await cluster.reassign("orders/0", to: target), terminator: "")
                    let took = monotonicMilliseconds() - time
                    _ = try await load.untilWritten(after: monotonicMilliseconds())
                    let wait = load.longestWait(after: time)
                    #expect(wait <= waitMillisecondsMax, "a message waited \(wait) ms")
                    let now = try #require(try await cluster.partitionsInSync("orders").first)
                    #expect(now.replicas.map(\.id).sorted() == target.sorted())
                    #expect(target.contains(now.leader))
                    try await cluster.expectOnly(target)
                    print(
                        "moved to \(target) in \(took) ms, leader \(now.leader); "
                            + "no message waited longer than \(wait) ms"
                    )
                }
                print(try await load.endAndCheck(), terminator: "")
                try await cluster.requireEqualReplicas(of: "orders", partitions: 1)
            }
        }

        @Test func `a broker that lost its disk is filled again, and its vote counts`()
            async throws
        {
            try await TestCluster.run("disk") { cluster in
                // More than are filled at the same time.
                try await cluster.create("wide", partitions: 60)
                try await cluster.create("orders", partitions: 3)
                let load = try await Load(on: cluster, topic: "orders", partitions: 3, writers: 2)
                for victim in cluster.brokers.prefix(2) {
                    let before = load.acknowledged
                    try await eventually("load") { load.acknowledged > before + 500 }
                    victim.send(SIGKILL)
                    Places.remove(victim.dataDirectory)
                    let time = monotonicMilliseconds()
                    try victim.start()
                    try await victim.waitUntilReady()
                    try await cluster.untilFilledAgain(victim, partitions: 63)
                    let took = monotonicMilliseconds() - time
                    // Without the broker that was filled again there is no majority now.
                    let other = cluster.broker(3)
                    other.send(SIGKILL)
                    _ = try await load.untilWritten(after: monotonicMilliseconds())
                    try other.start()
                    try await other.waitUntilReady()
                    _ = try await cluster.partitionsInSync("orders")
                    print("broker \(victim.number) was filled again after \(took) ms")
                }
                print(try await load.endAndCheck(), terminator: "")
                try await cluster.requireEqualReplicas(of: "orders", partitions: 3)
            }
        }

        @Test func `a broker whose log is damaged is filled again`() async throws {
            try await TestCluster.run("damage") { cluster in
                try await cluster.create("orders", partitions: 3)
                let load = try await Load(on: cluster, topic: "orders", partitions: 3, writers: 2)
                let before = load.acknowledged
                try await eventually("load") { load.acknowledged > before + 500 }
                let victim = cluster.broker(2)
                victim.send(SIGKILL)
                try LogDamage.spoilLog(in: victim.dataDirectory)
                let time = monotonicMilliseconds()
                try victim.start()
                try await victim.waitUntilReady()
                try await cluster.untilFilledAgain(victim, partitions: 3)
                print("filled again after \(monotonicMilliseconds() - time) ms")
                // The new replicas are trusted, also after another start, and their votes count.
                victim.send(SIGKILL)
                _ = try await load.untilWritten(after: monotonicMilliseconds())
                try victim.start()
                try await victim.waitUntilReady()
                _ = try await cluster.partitionsInSync("orders")
                cluster.broker(3).send(SIGKILL)
                _ = try await load.untilWritten(after: monotonicMilliseconds())
                try cluster.broker(3).start()
                try await cluster.broker(3).waitUntilReady()
                try await cluster.untilFilledAgain(victim, partitions: 3)
                print(try await load.endAndCheck(), terminator: "")
                try await cluster.requireEqualReplicas(of: "orders", partitions: 3)
            }
        }

        @Test func `moves come to their end whoever is killed on the way`() async throws {
            var shape = Self.four
            shape.controllers = 3
            try await TestCluster.run("disturbed", shape) { cluster in
                try await cluster.create("orders", partitions: 3)
                let load = try await Load(on: cluster, topic: "orders", partitions: 3, writers: 2)
                var random = SystemRandomNumberGenerator()
                for cycle in 0..<disturbedMoves {
                    let target = Array((1...4).shuffled(using: &random).prefix(3))
                    try await cluster.reassign("orders/\(cycle % 3)", to: target, waits: false)
                    // Anywhere between the first step and the last.
                    try await Task.sleep(for: .milliseconds(Int.random(in: 0...400)))
                    let time = monotonicMilliseconds()
                    var victim = "everything"
                    if cycle % 3 == 2 {
                        cluster.killAll()
                    } else {
                        let server = try #require(cluster.servers.randomElement(using: &random))
                        server.send(SIGKILL)
                        victim = "\(server.program)\(server.number)"
                        _ = try await load.untilWritten(after: time)
                    }
                    try await cluster.startAll()
                    let pause = try await load.untilWritten(after: time)
                    try await cluster.untilNothingMoves()
                    let now = try await cluster.partitionsInSync("orders")[cycle % 3]
                    #expect(now.replicas.map(\.id).sorted() == target.sorted())
                    print("moved to \(target), killed \(victim), writes waited \(pause) ms")
                }
                print(try await load.endAndCheck(), terminator: "")
                try await cluster.requireEqualReplicas(of: "orders", partitions: 3)
            }
        }
    }
}

extension TestCluster {
    private func martlet(_ arguments: [String]) async throws -> CommandResult {
        try await runCommand(
            Places.product("martlet-cluster"),
            arguments + ["--bootstrap", bootstrap],
            in: directory
        )
    }

    /// Orders a move, and returns what the tool has said about it.
    @discardableResult
    func reassign(
        _ place: String,
        to brokers: [Int],
        waits: Bool = true
    ) async throws -> String {
        let list = brokers.map(String.init).joined(separator: ",")
        let result = try await martlet(
            ["reassign", place, "--to", list] + (waits ? [] : ["--no-wait"])
        )
        try #require(result.isSuccess, "\(result.report)")
        return result.output
    }

    /// Waits until the leading controller knows of no reassignment under way.
    ///
    /// Brokers may not have heard yet of one that has just begun.
    func untilNothingMoves() async throws {
        try await eventually("no reassignment is under way", within: .seconds(60)) {
            for controller in controllers
            where try await controller.metric("controller_leader") == 1 {
                return try await controller.metric("partitions_reassigning") == 0
            }
            return false
        }
    }

    /// Waits until a broker has lost its replicas and has new ones that are up to date.
    func untilFilledAgain(_ broker: ServerProcess, partitions: Int) async throws {
        let line = "on broker \(broker.number) is lost or damaged"
        try await eventually("the replicas on broker \(broker.number) are replaced") {
            let logs = controllers.map { readFile($0.logFile) }.joined()
            return logs.split(separator: "\n").count { $0.contains(line) } == partitions
        }
        try await untilNothingMoves()
        _ = try await partitionsInSync("orders")
    }

    /// Waits until these brokers have data of the only partition that there is, and no others.
    func expectOnly(_ numbers: [Int]) async throws {
        try await eventually("only brokers \(numbers) hold a replica") {
            brokers.allSatisfy { broker in
                let held = Places.directories(below: "\(broker.dataDirectory)/partitions")
                return held.isEmpty != numbers.contains(broker.number)
            }
        }
    }
}
