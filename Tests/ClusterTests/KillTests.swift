import ClusterHarness
import Glibc
import Testing

/// How often a leader is killed; `MARTLET_CYCLES` changes it.
private let cycles = Places.count("MARTLET_CYCLES", default: 20)
/// How often the whole cluster is killed; `MARTLET_POWER_CUTS` changes it.
private let powerCuts = Places.count("MARTLET_POWER_CUTS", default: 5)
/// Writes must be acknowledged again this soon after a leader was killed.
private let resumeMillisecondsMax: Int64 = 3_000

extension ClusterTests {
    @Suite("kill -9 under load")
    struct KillTests {
        @Test func `leaders are killed and no acknowledged message is lost, doubled or moved`()
            async throws
        {
            try await TestCluster.run("leaders") { cluster in
                try await cluster.create("orders", partitions: 3)
                let load = try await Load(on: cluster, topic: "orders", partitions: 3, writers: 2)
                var pauses: [Int64] = []
                for cycle in 0..<cycles {
                    let partitions = try await cluster.partitionsInSync("orders")
                    let victim = cluster.broker(partitions[cycle % 3].leader)
                    let time = monotonicMilliseconds()
                    victim.send(SIGKILL)
                    let pause = try await load.untilWritten(after: time)
                    pauses.append(pause)
                    try #require(
                        pause <= resumeMillisecondsMax,
                        "cycle \(cycle): writes resumed after \(pause) ms; so far \(pauses)"
                    )
                    try victim.start()
                    try await victim.waitUntilReady()
                }
                _ = try await cluster.partitionsInSync("orders")
                let verdict = try await load.endAndCheck()
                try await cluster.requireEqualReplicas(of: "orders", partitions: 3)
                print("writes resumed after \(pauses.sorted()) ms; \(verdict)", terminator: "")
            }
        }

        @Test func `the whole cluster is killed at once and loses nothing`() async throws {
            try await TestCluster.run("power") { cluster in
                try await cluster.create("orders", partitions: 3)
                let load = try await Load(on: cluster, topic: "orders", partitions: 3, writers: 2)
                for _ in 0..<powerCuts {
                    let before = load.acknowledged
                    try await eventually("load") { load.acknowledged > before + 200 }
                    cluster.killAll()
                    let time = monotonicMilliseconds()
                    try await cluster.startAll()
                    _ = try await load.untilWritten(after: time, within: .seconds(60))
                }
                _ = try await cluster.partitionsInSync("orders")
                let verdict = try await load.endAndCheck()
                try await cluster.requireEqualReplicas(of: "orders", partitions: 3)
                print(verdict, terminator: "")
            }
        }

        @Test func `a leader that stands still is replaced, and its late answers do no harm`()
            async throws
        {
            try await TestCluster.run("stopped") { cluster in
                try await cluster.create("orders", partitions: 3)
                let load = try await Load(on: cluster, topic: "orders", partitions: 3, writers: 2)
                for cycle in 0..<2 {
                    let partitions = try await cluster.partitionsInSync("orders")
                    let victim = cluster.broker(partitions[cycle].leader)
                    victim.send(SIGSTOP)
                    try await eventually("another leader", within: .seconds(30)) {
                        let now = try await cluster.metadata("orders").topics.first?.partitions
                        let leader = now?.first { $0.partition == cycle }?.leader
                        return leader != nil && leader != victim.number && leader != -1
                    }
                    victim.send(SIGCONT)
                    _ = try await load.untilWritten(after: monotonicMilliseconds())
                }
                print(try await load.endAndCheck(), terminator: "")
            }
        }

        @Test func `brokers that start while no controller lives serve what they have`()
            async throws
        {
            try await TestCluster.run("orphans") { cluster in
                try await cluster.create("orders", partitions: 3)
                // A producer gets its id from the controllers, so this one has it before.
                let load = try await Load(on: cluster, topic: "orders", partitions: 3, writers: 1)
                // What is known is on disk; not every broker need know it yet.
                for broker in cluster.brokers {
                    try await eventually("broker \(broker.number) keeps what it knows") {
                        let kept = readFile("\(broker.dataDirectory)/metadata.journal")
                        let peers = kept.split(separator: "\"peer_address\":\"").dropFirst()
                        return kept.contains("\"orders\"")
                            && Set(peers.map { $0.prefix { $0 != "\"" } }).count == 3
                    }
                }
                cluster.killAll()
                let time = monotonicMilliseconds()
                for broker in cluster.brokers { try broker.start() }
                for broker in cluster.brokers { try await broker.waitUntilReady() }
                _ = try await load.untilWritten(after: time)
                for controller in cluster.controllers { try controller.start() }
                let before = load.acknowledged
                try await eventually("load") { load.acknowledged > before + 200 }
                print(try await load.endAndCheck(), terminator: "")
            }
        }

        @Test func `daemons that are asked to stop do so with status 0 and lose nothing`()
            async throws
        {
            try await TestCluster.run("stop") { cluster in
                try await cluster.create("orders", partitions: 3)
                let load = try await Load(on: cluster, topic: "orders", partitions: 3, writers: 1)
                for server in cluster.servers.reversed() {
                    #expect(try await server.stop() == .status(0), "\(server.logTail)")
                    let time = monotonicMilliseconds()
                    try server.start()
                    try await server.waitUntilReady()
                    _ = try await load.untilWritten(after: time)
                }
                print(try await load.endAndCheck(), terminator: "")
            }
        }
    }
}

extension TestCluster {
    /// Ends the brokers and compares what each of them has stored.
    func requireEqualReplicas(of topic: String, partitions: Int) async throws {
        for broker in brokers {
            #expect(try await broker.stop() == .status(0), "\(broker.logTail)")
        }
        let result = try await runCommand(
            Places.product("martlet-log"),
            ["verify"] + brokers.map(\.dataDirectory),
            in: directory
        )
        try #require(result.isSuccess, "\(result.report)")
    }
}
