import ClusterHarness
import Glibc
import Testing

extension ClusterTests {
    @Suite("Sockets that outlive a daemon")
    struct SocketTests {
        @Test func `a client that connects while the broker is dead is answered by the next one`()
            async throws
        {
            try await Self.withStoppedBroker("kept") { cluster, broker in
                try broker.start()
                let kept = try await Self.keptSocket(of: broker)
                defer { close(kept) }
                broker.send(SIGKILL)
                // What systemd would keep is here: the connection waits in its queue.
                let port = try #require(UInt16(cluster.bootstrap.split(separator: ":")[1]))
                let client = try RawConnection(port: port)
                try client.sendApiVersions(correlation: 7)
                try broker.start(passing: ("clients", kept))
                let notify = try await broker.waitUntilReady()
                #expect(notify.kept.isEmpty, "what is kept already is not stored again")
                #expect(try client.answeredCorrelation() == 7)
                try await eventually("the cluster answers") {
                    try await cluster.metadata().brokers.count == 1
                }
            }
        }

        @Test func `a passed socket that listens elsewhere is not taken, and forgotten`()
            async throws
        {
            try await Self.withStoppedBroker("other") { cluster, broker in
                let other = try RawConnection.listener(port: UInt16(try Ports.free()))
                defer { close(other) }
                try broker.start(passing: ("clients", other))
                let notify = try await broker.waitUntilReady()
                #expect(notify.kept.map(\.name) == ["clients"])
                #expect(notify.forgotten == ["clients"])
                try await eventually("the cluster answers") {
                    try await cluster.metadata().brokers.count == 1
                }
            }
        }

        @Test func `a reload says when it began, and is answered also when it is refused`()
            async throws
        {
            try await Self.withStoppedBroker("reload") { _, broker in
                try broker.start()
                let notify = try await broker.waitUntilReady()
                let since = monotonicMilliseconds()
                try broker.addSetting("nonsense: 1")
                broker.send(SIGHUP)
                try await eventually("READY with the reason") {
                    notify.receive()
                    return notify.messages.last { $0.hasPrefix("READY=1") }?
                        .contains("unknown key \"nonsense\"") ?? false
                }
                let begin = try #require(
                    notify.messages.first { $0.hasPrefix("RELOADING=1\nMONOTONIC_USEC=") }
                )
                let time = try #require(begin.split(separator: "=").last.flatMap { Int64($0) })
                #expect(time / 1_000 >= since && time / 1_000 <= monotonicMilliseconds())
            }
        }

        /// A cluster whose only broker has been stopped, so that the body starts it as it likes.
        private static func withStoppedBroker(
            _ name: String,
            _ body: (TestCluster, ServerProcess) async throws -> Void
        ) async throws {
            var shape = ClusterShape()
            shape.brokers = 1
            try await TestCluster.run(name, shape) { cluster in
                let broker = cluster.broker(1)
                _ = try await broker.stop()
                try await body(cluster, broker)
            }
        }

        /// What the broker has given to its service manager, as a descriptor of our own.
        private static func keptSocket(of broker: ServerProcess) async throws -> Int32 {
            let notify = try await broker.waitUntilReady()
            try #require(notify.kept.map(\.name) == ["clients"])
            return dup(notify.kept[0].descriptor)
        }
    }
}
