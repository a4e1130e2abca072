import ClusterHarness
import Testing

/// Every test with several real daemons stands below this suite: one after the other, since each
/// wants the machine for itself.
@Suite(
    "Real daemons that are killed",
    .serialized,
    .enabled(if: Places.isSlowWanted, "needs MARTLET_SLOW=1")
)
struct ClusterTests {}

/// The path of one of this folder's scripts.
func script(_ name: String) -> String {
    "/" + #filePath.split(separator: "/").dropLast().joined(separator: "/") + "/scripts/\(name)"
}

extension TestCluster {
    /// Creates a topic with three replicas and waits until all of them are up to date.
    func create(_ topic: String, partitions: Int) async throws {
        let result = try await script(
            ClusterTests.path("create_topic.py"),
            [bootstrap, topic, "\(partitions)", "3"]
        )
        try #require(result.isSuccess, "\(result.report)")
        _ = try await partitionsInSync(topic)
    }
}

extension ClusterTests {
    static func path(_ name: String) -> String { script(name) }
}
