import ClusterHarness
import Testing

/// The cluster that the tests of a suite share.
struct ClusterInUse: Sendable {
    let bootstrap: String
    let directory: String

    @TaskLocal static var current: ClusterInUse?
}

/// Starts a cluster before the first test of a suite and ends it after the last.
struct RunningCluster: SuiteTrait, TestScoping {
    func provideScope(
        for test: Test,
        testCase: Test.Case?,
        performing function: @Sendable () async throws -> Void
    ) async throws {
        var shape = ClusterShape()
        shape.brokerSettings["message_bytes_max"] = "1048576"
        try await TestCluster.run("clients", shape) { cluster in
            let current = ClusterInUse(
                bootstrap: cluster.bootstrap,
                directory: cluster.directory
            )
            try await ClusterInUse.$current.withValue(current) { try await function() }
        }
    }
}

extension Trait where Self == RunningCluster {
    /// A cluster of one controller and three brokers for the whole suite.
    static var runningCluster: Self { RunningCluster() }
}
