import Disk
import InterBrokerProtocol
import KafkaProtocol
import Metadata
import Model
import Testing

@testable import BrokerServer

/// What a broker knows of its cluster while no controller answers.
@Suite struct MetadataJournalTests {
    private static let path = "\(TestBroker.path)/\(MetadataJournal.name)"

    /// What the broker says of a topic, and of sending to it.
    private static func errors(
        of topic: String,
        _ broker: TestBroker
    ) async throws -> (metadata: Int16, produce: Int16) {
        let client = try await broker.client()
        var request = MetadataRequest()
        var asked = MetadataRequest.MetadataRequestTopic()
        asked.name = topic
        request.topics = [asked]
        let answer = try await client.call(.metadata, 9, request, MetadataResponse.self)
        let produced = try await ServingTests.produce(client, topic, testBatch(["m"]))
        return (try #require(answer.topics.first).errorCode, produced.errorCode)
    }

    @Test func `a topic is known and served after a restart without controllers`() async throws {
        let first = try await TestBroker.start()
        try await first.createTopic("t")
        try await first.stop()
        let second = try await TestBroker.start(after: first, answers: false)
        await second.waitForLeaders(of: "t")
        let errors = try await Self.errors(of: "t", second)
        #expect(errors == (0, 0))
        try await second.stop()
    }

    @Test func `a topic that it lacks is not denied before a controller was heard`() async throws {
        let first = try await TestBroker.start()
        try await first.createTopic("t")
        try await first.stop()
        let second = try await TestBroker.start(after: first, answers: false)
        let leaderNotAvailable = KafkaError.leaderNotAvailable.rawValue
        let notLeader = KafkaError.notLeaderOrFollower.rawValue
        let errors = try await Self.errors(of: "newer", second)
        #expect(errors == (leaderNotAvailable, notLeader))
        try await second.reference.run { $0.metadata.confirm() }
        let unknown = KafkaError.unknownTopicOrPartition.rawValue
        let after = try await Self.errors(of: "newer", second)
        #expect(after == (unknown, unknown))
        try await second.stop()
    }

    @Test func `a request for what is unknown is answered when a controller is heard`()
        async throws
    {
        let broker = try await TestBroker.start(answers: false)
        let client = try await broker.client()
        let answer = Task {
            try await client.call(.metadata, 9, MetadataRequest(), MetadataResponse.self)
        }
        try await broker.reference.run { $0.use(TestController($0, nil)) }
        #expect(try await answer.value.brokers.map(\.nodeId) == [1])
        try await broker.stop()
    }

    @Test(arguments: ["", "{", "another cluster"])
    func `a copy that is of no use counts as missing`(content: String) async throws {
        let first = try await TestBroker.start()
        try await first.createTopic("t")
        try await first.stop()
        var bytes = Array(content.utf8)
        if content == "another cluster" {
            var other = ClusterMetadata()
            let id = ClusterID(UniqueID(high: 9, low: 9))
            _ = other.apply(.setClusterID(id), at: 7)
            bytes = MetadataJournalContent.beginning(with: .snapshot(other.json, at: 7))
        }
        try first.files.replace(MetadataJournal.name, in: TestBroker.path, with: bytes)
        let second = try await TestBroker.start(after: first, answers: false)
        #expect(try await second.reference.run { $0.metadata.version } == 0)
        let isNamed = second.log.texts.contains { $0.contains("cannot be read") }
        #expect(isNamed == (content != "another cluster"))
        try await second.stop()
    }

    @Test func `what follows a gap is not written; what fills it is`() async throws {
        let broker = try await TestBroker.start()
        try await broker.createTopic("t")
        let known = try await broker.reference.run { $0.metadata.version }
        let command = String(decoding: MetadataCommand.allocateProducerIDs(5).json, as: UTF8.self)
        let late = try MetadataUpdate(
            MetadataChangedRequest(
                version: known + 2,
                fromVersion: known + 1,
                commands: [VersionedCommand(version: known + 2, command: command)]
            )
        )
        try await broker.reference.run { $0.apply(late) }
        #expect(try await Self.stored(by: broker).metadata.version == known)
        try await broker.createTopic("u")
        #expect(try await Self.stored(by: broker).metadata.topics.map(\.name.text) == ["t", "u"])
        try await broker.stop()
    }

    /// What is on disk once a broker has written all that it knows.
    private static func stored(by broker: TestBroker) async throws -> MetadataJournalContent {
        _ = await broker.reference.wait { (broker, done: @escaping @Sendable (Bool) -> Void) in
            broker.storeMetadata { done(true) }
        }
        return try MetadataJournalContent(of: broker.files.open(path, .read))
    }

    @Test func `every change is on disk once the broker has stopped`() async throws {
        let broker = try await TestBroker.start()
        for number in 0..<5 { try await broker.createTopic("t\(number)") }
        try await broker.stop()
        let file = try broker.files.open(Self.path, .read)
        let stored = try MetadataJournalContent(of: file)
        #expect(stored.damage == nil)
        #expect(stored.metadata.topics.map(\.name.text) == (0..<5).map { "t\($0)" })
        #expect(broker.files.kind(of: "\(Self.path).new") == nil)
    }
}
