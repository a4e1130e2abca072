import ClusterHarness
import Glibc
import Testing

extension ClusterTests {
    @Suite("Daemons that are asked to stop")
    struct StopTests {
        private static func shape(waiting milliseconds: Int) -> ClusterShape {
            var shape = ClusterShape()
            shape.brokerSettings["stop_wait_ms"] = "\(milliseconds)"
            return shape
        }

        @Test func `with all there a broker stops at once; with one away it waits for that one`()
            async throws
        {
            try await TestCluster.run("safe", Self.shape(waiting: 600_000)) { cluster in
                try await cluster.create("orders", partitions: 3)
                let (first, second) = (cluster.broker(1), cluster.broker(2))
                #expect(try await cluster.canStop(2).exit == .status(0))
                #expect(try await first.stop() == .status(0), "\(first.logTail)")
                #expect(!readFile(first.logFile).contains("would lose the quorum"))
                try await cluster.untilAway(1)
                try await eventually("broker 2 says that it must not stop") {
                    let answer = try await cluster.canStop(2, asking: 2)
                    return answer.exit == .status(1)
                        && answer.output.contains("no: 3 partitions would lose the quorum")
                        && answer.output.contains("  orders-0 (away or behind: 1)")
                }

                second.send(SIGTERM)
                try await second.untilLogged(
                    "waits before it stops: without this broker 3 partitions would lose the quorum "
                        + "while broker 1 is away: orders-0, orders-1, orders-2"
                )
                // It serves on meanwhile.
                let load = try await Load(on: cluster, topic: "orders", partitions: 3, writers: 1)
                _ = try await load.untilWritten(after: monotonicMilliseconds())
                #expect(second.isRunning)
                try first.start()
                try await first.waitUntilReady()
                #expect(try await second.untilEnded(within: .seconds(30)) == .status(0))
                #expect(!readFile(second.logFile).contains("waits no longer"))
                _ = try await load.untilWritten(after: monotonicMilliseconds())
                try second.start()
                try await second.waitUntilReady()
                _ = try await cluster.partitionsInSync("orders")
                print(try await load.endAndCheck(), terminator: "")
            }
        }

        @Test func `systemd is told of the wait, which ends with its time or when asked again`()
            async throws
        {
            try await TestCluster.run("late", Self.shape(waiting: 3_000)) { cluster in
                try await cluster.create("orders", partitions: 1)
                cluster.broker(1).send(SIGKILL)
                try await cluster.untilAway(1)
                try await eventually("broker 2 says that it must not stop") {
                    try await cluster.canStop(2, asking: 2).exit == .status(1)
                }
                let second = cluster.broker(2)
                #expect(try await second.stop() == .status(0), "\(second.logTail)")
                #expect(readFile(second.logFile).contains("waits no longer: its time is over"))

                try second.start()
                let notify = try await second.waitUntilReady()
                try await eventually("both are up to date") {
                    notify.receive()
                    let found = try await cluster.metadata("orders").topics.first?.partitions.first
                    return found.map { $0.leader > 0 && $0.isrs.count == 2 } ?? false
                }
                second.send(SIGTERM)
                try await eventually("the status tells of the wait") {
                    notify.receive()
                    return notify.status.hasPrefix("waits to stop: without this broker 1 partition")
                        && notify.extensions > 0
                }
                second.send(SIGTERM)
                try await eventually("the end of the wait") {
                    notify.receive()
                    return readFile(second.logFile).contains("waits no longer: it was asked again")
                }
                try await eventually("the end of broker 2") {
                    notify.receive()
                    return !second.isRunning
                }
            }
        }

        @Test func `a controller waits for another one too`() async throws {
            var shape = ClusterShape()
            shape.controllers = 3
            shape.brokers = 1
            shape.controllerStopWait = 600_000
            try await TestCluster.run("safe-c", shape) { cluster in
                try await cluster.untilControllers([1, 2, 3])
                cluster.controllers[0].send(SIGKILL)
                for other in cluster.controllers.dropFirst() {
                    try await eventually("can-stop says no to controller \(other.number)") {
                        let answer = try await cluster.canStop(other.number, ["--controller"])
                        return answer.exit == .status(1) && answer.output.contains("(away: 1)")
                    }
                }
                let third = cluster.controllers[2]
                third.send(SIGTERM)
                try await third.untilLogged("the controllers would lose their quorum")
                try cluster.controllers[0].start()
                #expect(try await third.untilEnded(within: .seconds(30)) == .status(0))
            }
        }

        @Test func `brokers that are asked at once stop one after another`() async throws {
            try await TestCluster.run("roll", Self.shape(waiting: 600_000)) { cluster in
                try await cluster.create("orders", partitions: 3)
                let load = try await Load(on: cluster, topic: "orders", partitions: 3, writers: 1)
                try await Self.roll(cluster.brokers)
                _ = try await load.untilWritten(after: monotonicMilliseconds())
                print(try await load.endAndCheck(), terminator: "")
            }
        }

        @Test func `controllers that are asked at once stop one after another`() async throws {
            var shape = ClusterShape()
            shape.controllers = 3
            shape.brokers = 1
            shape.controllerStopWait = 600_000
            try await TestCluster.run("roll-c", shape) { cluster in
                try await cluster.untilControllers([1, 2, 3])
                try await Self.roll(cluster.controllers)
                try await cluster.untilControllers([1, 2, 3])
            }
        }

        @Test func `where all are asked and none comes back, all stop before long`() async throws {
            try await TestCluster.run("all", Self.shape(waiting: 600_000)) { cluster in
                try await cluster.create("orders", partitions: 3)
                for broker in cluster.brokers { broker.send(SIGTERM) }
                for broker in cluster.brokers {
                    #expect(try await broker.untilEnded(within: .seconds(60)) == .status(0))
                }
            }
        }

        /// Asks all to stop at the same time, starts again who has stopped, and holds that no two
        /// are away together.
        private static func roll(_ servers: [ServerProcess]) async throws {
            for server in servers { server.send(SIGTERM) }
            var left = Set(servers.map(\.number))
            while !left.isEmpty {
                var gone: [ServerProcess] = []
                try await eventually("another one stops", within: .seconds(60)) {
                    gone = servers.filter { !$0.isRunning }
                    return !gone.isEmpty
                }
                #expect(gone.count == 1)
                for server in gone {
                    #expect(left.remove(server.number) != nil, "nobody stops twice")
                    try server.start()
                    try await server.waitUntilReady()
                }
            }
        }
    }
}

extension TestCluster {
    /// Asks `martlet cluster can-stop`.
    func canStop(
        _ number: Int,
        _ options: [String] = [],
        asking broker: Int? = nil
    ) async throws -> CommandResult {
        let all = bootstrap.split(separator: ",").map(String.init)
        return try await runCommand(
            Places.product("martlet-cluster"),
            ["can-stop", "\(number)", "--bootstrap", broker.map { all[$0 - 1] } ?? bootstrap]
                + options,
            in: directory
        )
    }

    /// Waits until every broker that lives knows that one is away.
    func untilAway(_ number: Int) async throws {
        try await eventually("broker \(number) is away") {
            let brokers = try await metadata().brokers
            return !brokers.isEmpty && !brokers.contains { $0.id == number }
        }
    }
}
