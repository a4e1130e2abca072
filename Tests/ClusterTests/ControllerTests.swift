import ClusterHarness
import Glibc
import Testing

extension ClusterTests {
    @Suite("Controllers that come, are lost and go")
    struct ControllerTests {
        @Test func `of three empty controllers the one with the lowest number begins the cluster`()
            async throws
        {
            var shape = ClusterShape()
            shape.controllers = 3
            try await TestCluster.run("begin", shape) { cluster in
                try await cluster.untilControllers([1, 2, 3])
                for controller in cluster.controllers {
                    let lines = readFile(controller.logFile).split(separator: "\n")
                    let begun = lines.filter { $0.contains("Created cluster") }
                    #expect(
                        begun.count == (controller.number == 1 ? 1 : 0),
                        "\(controller.logTail)"
                    )
                    let waits = lines.filter { $0.contains("draws the cluster's identity") }
                    #expect(waits.allSatisfy { $0.contains("controller 1 draws") }, "\(waits)")
                }
            }
        }

        @Test func `one controller becomes three under load, and the first one may die then`()
            async throws
        {
            try await TestCluster.run("grow") { cluster in
                try await cluster.create("orders", partitions: 3)
                let load = try await Load(on: cluster, topic: "orders", partitions: 3, writers: 2)
                let others = try cluster.makeControllers([2, 3])
                for other in others {
                    try other.start()
                    // It is ready: what it waits for is a person.
                    try await other.waitUntilReady()
                    try await other.untilLogged(
                        "martlet cluster add-controller \(other.number)@127.0.0.1:"
                    )
                }
                let first = monotonicMilliseconds()
                print(try await cluster.martlet(["add-controller"] + others.map(\.endpoint)))
                print("three controllers after \(monotonicMilliseconds() - first) ms")
                // Again, and it is so already.
                _ = try await cluster.martlet(["add-controller"] + others.map(\.endpoint))
                try await cluster.untilControllers([1, 2, 3])
                try await cluster.untilBrokersKnow([1, 2, 3])

                // The settings of the brokers and of the first controller still name the first one.
                let time = monotonicMilliseconds()
                cluster.controllers[0].send(SIGKILL)
                try await cluster.create("later", partitions: 3)
                print("a topic was created \(monotonicMilliseconds() - time) ms after the kill")
                let restarted = cluster.broker(1)
                restarted.send(SIGKILL)
                try restarted.start()
                try await restarted.waitUntilReady()
                _ = try await load.untilWritten(after: monotonicMilliseconds())
                try await cluster.create("afterwards", partitions: 1)

                // The first one comes back with its old settings, and follows.
                try cluster.controllers[0].start()
                try await cluster.controllers[0].waitUntilReady()
                try await cluster.untilControllers([1, 2, 3])
                print(try await load.endAndCheck(), terminator: "")
                try await cluster.requireEqualReplicas(of: "orders", partitions: 3)
            }
        }

        @Test func `a controller that lost its disk is replaced, and its vote counts`()
            async throws
        {
            var shape = ClusterShape()
            shape.controllers = 3
            try await TestCluster.run("replace", shape) { cluster in
                try await cluster.create("orders", partitions: 3)
                try await cluster.untilControllers([1, 2, 3])
                let load = try await Load(on: cluster, topic: "orders", partitions: 3, writers: 2)
                // A follower, then the leader of that time.
                for isLeader in [false, true] {
                    let leader = try await cluster.leadingController()
                    let victim = try #require(
                        cluster.controllers.first { ($0.number == leader) == isLeader }
                    )
                    victim.send(SIGKILL)
                    Places.remove(victim.dataDirectory)
                    try victim.start()
                    try await victim.waitUntilReady()
                    try await victim.untilLogged(
                        "martlet cluster replace-controller \(victim.number)@"
                    )
                    let time = monotonicMilliseconds()
                    print(try await cluster.martlet(["replace-controller", "\(victim.number)"]))
                    print("replaced after \(monotonicMilliseconds() - time) ms")
                    _ = try await cluster.martlet(["replace-controller", "\(victim.number)"])
                    try await cluster.untilControllers([1, 2, 3])
                    // Without the one that was replaced there is no majority now.
                    let third = try #require(
                        cluster.controllers.first {
                            $0.number != victim.number && $0.number != leader
                        } ?? cluster.controllers.first { $0.number != victim.number }
                    )
                    third.send(SIGKILL)
                    try await cluster.create("with-\(victim.number)", partitions: 1)
                    try third.start()
                    try await third.waitUntilReady()
                    try await cluster.untilControllers([1, 2, 3])
                }
                print(try await load.endAndCheck(), terminator: "")
                try await cluster.requireEqualReplicas(of: "orders", partitions: 3)
            }
        }

        @Test func `a controller whose log is damaged ends and says what helps`() async throws {
            var shape = ClusterShape()
            shape.controllers = 3
            try await TestCluster.run("spoilt", shape) { cluster in
                try await cluster.create("orders", partitions: 3)
                try await cluster.untilControllers([1, 2, 3])
                let leader = try await cluster.leadingController()
                let victim = try #require(cluster.controllers.first { $0.number != leader })
                victim.send(SIGKILL)
                try LogDamage.spoilLog(in: victim.dataDirectory)
                try victim.start()
                #expect(try await victim.untilEnded() == .status(74), "\(victim.logTail)")
                try await victim.untilLogged(
                    """
                    move \(victim.dataDirectory) away, start controllerd again and run \
                    martlet cluster replace-controller \(victim.number)
                    """
                )
                Places.remove(victim.dataDirectory)
                try victim.start()
                try await victim.waitUntilReady()
                print(try await cluster.martlet(["replace-controller", "\(victim.number)"]))
                try await cluster.untilControllers([1, 2, 3])
                try await cluster.create("later", partitions: 1)
            }
        }

        @Test func `the leader is removed, and one too many is refused`() async throws {
            var shape = ClusterShape()
            shape.controllers = 3
            try await TestCluster.run("remove", shape) { cluster in
                try await cluster.untilControllers([1, 2, 3])
                let leader = try await cluster.leadingController()
                let rest = [1, 2, 3].filter { $0 != leader }
                // One is away: the other follower cannot go too.
                let silent = cluster.controllers[rest[0] - 1]
                silent.send(SIGKILL)
                try await cluster.untilControllers([1, 2, 3], away: rest[0])
                let refused = try await cluster.tryMartlet(["remove-controller", "\(rest[1])"])
                #expect(refused.exit == .status(1), "\(refused.report)")
                #expect(
                    refused.errors.contains(
                        """
                        without controller \(rest[1]) only 1 of 2 controllers would answer, and 2 \
                        are needed: first bring back, remove or replace controller \(rest[0])
                        """
                    ),
                    "\(refused.report)"
                )
                try silent.start()
                try await silent.waitUntilReady()
                try await cluster.untilControllers([1, 2, 3])

                print(try await cluster.martlet(["remove-controller", "\(leader)"]))
                _ = try await cluster.martlet(["remove-controller", "\(leader)"])
                try await cluster.untilControllers(rest)
                // It runs on, and finds out by itself that nobody counts on it.
                let former = cluster.controllers[leader - 1]
                try await former.untilLogged("is no member of the cluster's controllers any more")
                try await cluster.create("orders", partitions: 1)

                // The one that was removed comes back empty, and is added again.
                former.send(SIGKILL)
                Places.remove(former.dataDirectory)
                try former.start()
                try await former.waitUntilReady()
                _ = try await cluster.martlet(["add-controller", former.endpoint])
                try await cluster.untilControllers([1, 2, 3])
                try await cluster.create("later", partitions: 1)
            }
        }

        @Test func `whoever is killed on the way, the same command completes the change`()
            async throws
        {
            try await TestCluster.run("disturbed") { cluster in
                try await cluster.create("orders", partitions: 1)
                let others = try cluster.makeControllers([2, 3])
                for other in others {
                    try other.start()
                    try await other.waitUntilReady()
                }
                var random = SystemRandomNumberGenerator()
                for (cycle, other) in others.enumerated() {
                    _ = try await cluster.tryMartlet([
                        "add-controller", other.endpoint, "--no-wait",
                    ])
                    // Anywhere between the first step and the last.
                    try await Task.sleep(for: .milliseconds(Int.random(in: 0...300)))
                    let victim = cycle == 0 ? cluster.controllers[0] : other
                    victim.send(SIGKILL)
                    try victim.start()
                    try await victim.waitUntilReady()
                    let added = try await cluster.martlet(["add-controller", other.endpoint])
                    #expect(added.contains("controller \(other.number) votes"))
                }
                try await cluster.untilControllers([1, 2, 3])
                let removed = try #require([1, 2, 3].randomElement(using: &random))
                _ = try await cluster.tryMartlet([
                    "remove-controller", "\(removed)", "--timeout", "1",
                ])
                cluster.killAll()
                try await cluster.startAll()
                _ = try await cluster.martlet(["remove-controller", "\(removed)"])
                try await cluster.untilControllers([1, 2, 3].filter { $0 != removed })
                try await cluster.create("later", partitions: 1)
            }
        }
    }
}

extension ServerProcess {
    /// Waits for words in this daemon's log.
    func untilLogged(_ words: String) async throws {
        try await eventually("\(program)\(number) says: \(words)") {
            readFile(logFile).contains(words)
        }
    }
}

extension TestCluster {
    fileprivate func tryMartlet(_ arguments: [String]) async throws -> CommandResult {
        try await runCommand(
            Places.product("martlet-cluster"),
            arguments + ["--bootstrap", bootstrap],
            in: directory
        )
    }

    /// Runs a verb of `martlet cluster` that has to succeed, and returns what it has said.
    fileprivate func martlet(_ arguments: [String]) async throws -> String {
        let result = try await tryMartlet(arguments)
        try #require(result.isSuccess, "\(arguments): \(result.report)")
        return result.output
    }

    /// The controllers as `martlet cluster status` shows them: number and role.
    private func shownControllers() async throws -> [(number: Int, role: String)] {
        let status = try await tryMartlet(["status"])
        guard status.isSuccess else { return [] }
        let lines = status.output.split(separator: "\n").drop { !$0.hasPrefix("controller ") }
        return lines.dropFirst().prefix { !$0.hasPrefix("broker ") }.compactMap { line in
            let words = line.split(separator: " ").map(String.init)
            guard words.count >= 4, let number = Int(words[0]) else { return nil }
            return (number, words[2...].dropLast().joined(separator: " "))
        }
    }

    /// Waits until these controllers vote and are led, and no others are there; all but one answer.
    func untilControllers(_ numbers: [Int], away: Int? = nil) async throws {
        try await eventually("the controllers are \(numbers)") {
            let shown = try await shownControllers()
            return shown.map(\.number) == numbers
                && shown.count { $0.role == "leader" } == 1
                && shown.allSatisfy { number, role in
                    role == "leader" || role == (number == away ? "follower (away)" : "follower")
                }
        }
    }

    fileprivate func leadingController() async throws -> Int {
        try await eventually("the controllers have a leader") {
            try await shownControllers().first { $0.role == "leader" }?.number
        }
    }

    /// Waits until every broker has noted where these controllers are.
    fileprivate func untilBrokersKnow(_ numbers: [Int]) async throws {
        try await eventually("the brokers know the controllers \(numbers)") {
            brokers.allSatisfy { broker in
                let text = readFile("\(broker.dataDirectory)/broker.json")
                return controllers.filter { numbers.contains($0.number) }.allSatisfy {
                    text.contains("\"\($0.endpoint.drop { $0 != "@" }.dropFirst())\"")
                }
            }
        }
    }
}
