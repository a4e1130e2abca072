import KafkaProtocol
import Logging
import Model
import NIOCore
import NIOEmbedded
import RaftHost
import Testing

@testable import BrokerServer

/// A service with all of its partitions on fake logs.
final class ServiceDriver {
    final class Clock { var seconds: UInt64 = 1_000_000 }

    let loop = EmbeddedEventLoop()
    let clock = Clock()
    let service: GroupService
    var logs: [FakeGroupLog] = []
    static let partitions: Int32 = 4

    init(leading: Bool = true, hasTopic: Bool = true) {
        let clock = clock
        let surroundings = GroupService.Surroundings(
            partitionCount: { hasTopic ? Self.partitions : nil },
            partitionExists: { topic, partition in topic == "t" && (0..<3).contains(partition) },
            clock: {
                GroupTime(
                    uptime: .uptimeNanoseconds(clock.seconds * 1_000_000_000),
                    unixMilliseconds: Int64(clock.seconds * 1_000)
                )
            }
        )
        service = GroupService(
            eventLoop: loop,
            settings: .quick,
            surroundings: surroundings,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        for partition in 0..<Self.partitions {
            let log = FakeGroupLog()
            log.table = service.makeState(of: PartitionID(partition), log: log) as? GroupTable
            logs.append(log)
            if leading { log.lead(term: 1) }
        }
    }

    func client(_ version: Int16) -> GroupClient {
        GroupClient(apiVersion: version, clientID: "app", clientHost: "/10.0.0.1")
    }

    func join(_ memberID: String = "", version: Int16 = 7) -> JoinGroupResponse? {
        var request = JoinGroupRequest()
        request.groupId = "g"
        request.memberId = memberID
        request.sessionTimeoutMs = 10_000
        request.rebalanceTimeoutMs = 30_000
        request.protocolType = "consumer"
        var range = JoinGroupRequest.JoinGroupRequestProtocol()
        range.name = "range"
        range.metadata = ByteBuffer(string: "topics")
        request.protocols = [range]
        var response: JoinGroupResponse?
        service.joinGroup(request, client(version)) { response = $0 }
        return response
    }

    func sync(_ memberID: String) -> SyncGroupResponse? {
        var request = SyncGroupRequest()
        request.groupId = "g"
        request.memberId = memberID
        request.generationId = 1
        var share = SyncGroupRequest.SyncGroupRequestAssignment()
        share.memberId = memberID
        share.assignment = ByteBuffer(string: "all")
        request.assignments = [share]
        var response: SyncGroupResponse?
        service.syncGroup(request, client(5)) { response = $0 }
        return response
    }

    func commit(
        _ places: [(String, Int32)],
        group: String = "g",
        member: String = "",
        generation: Int32 = -1
    ) -> OffsetCommitResponse? {
        var request = OffsetCommitRequest()
        request.groupId = group
        request.memberId = member
        request.generationIdOrMemberEpoch = generation
        request.topics = places.map { name, partition in
            var topic = OffsetCommitRequest.OffsetCommitRequestTopic()
            topic.name = name
            var one = OffsetCommitRequest.OffsetCommitRequestTopic.OffsetCommitRequestPartition()
            one.partitionIndex = partition
            one.committedOffset = 10 + Int64(partition)
            one.committedMetadata = nil
            topic.partitions = [one]
            return topic
        }
        var response: OffsetCommitResponse?
        service.offsetCommit(request, client(8)) { response = $0 }
        return response
    }

    func fetch(_ topics: [(String, [Int32])]?, version: Int16 = 7) -> OffsetFetchResponse? {
        var request = OffsetFetchRequest()
        request.groupId = "g"
        request.topics = topics?.map { name, partitions in
            var topic = OffsetFetchRequest.OffsetFetchRequestTopic()
            topic.name = name
            topic.partitionIndexes = partitions
            return topic
        }
        var response: OffsetFetchResponse?
        service.offsetFetch(request, client(version)) { response = $0 }
        return response
    }
}

@Suite("The group APIs")
struct GroupsServiceTests {
    @Test func `a client joins, gets its share, and leaves`() throws {
        let driver = ServiceDriver()
        let first = try #require(driver.join())
        #expect(first.errorCode == KafkaError.memberIDRequired.rawValue)
        #expect(first.memberId.hasPrefix("app-"))
        let second = try #require(driver.join(first.memberId))
        #expect(second.errorCode == 0)
        #expect(second.leader == first.memberId)
        #expect(second.members.map(\.metadata) == [ByteBuffer(string: "topics")])
        #expect(second.protocolType == "consumer")
        #expect(second.protocolName == "range")
        #expect(driver.sync(first.memberId)?.assignment == ByteBuffer(string: "all"))

        var leave = LeaveGroupRequest()
        leave.groupId = "g"
        leave.memberId = first.memberId
        var left: LeaveGroupResponse?
        driver.service.leaveGroup(leave, driver.client(1)) { left = $0 }
        #expect(left?.errorCode == 0)
        driver.service.leaveGroup(leave, driver.client(1)) { left = $0 }
        #expect(left?.errorCode == KafkaError.unknownMemberID.rawValue)
    }

    @Test func `a refused join of an old client has a name of no length`() throws {
        let driver = ServiceDriver(leading: false)
        let answer = try #require(driver.join(version: 5))
        #expect(answer.errorCode == KafkaError.notCoordinator.rawValue)
        #expect(answer.protocolName == "")
        #expect(driver.join(version: 7)?.protocolName == nil)
    }

    @Test func `each partition of a commit gets its own answer, in its place`() throws {
        let driver = ServiceDriver()
        let places: [(String, Int32)] = [("t", 0), ("unknown", 0), ("t", 7), ("t", 2)]
        let answer = try #require(driver.commit(places))
        #expect(answer.topics.map { $0.partitions[0].errorCode } == [0, 3, 3, 0])
        let found = try #require(driver.fetch(nil))
        #expect(found.topics.map(\.name) == ["t"])
        #expect(found.topics[0].partitions.map(\.partitionIndex) == [0, 2])
        #expect(found.topics[0].partitions.map(\.committedOffset) == [10, 12])
    }

    @Test func `a partition without a commit answers minus one`() throws {
        let driver = ServiceDriver()
        _ = driver.commit([("t", 0)])
        let found = try #require(driver.fetch([("t", [0, 1])]))
        #expect(found.topics[0].partitions.map(\.committedOffset) == [10, -1])
        #expect(found.topics[0].partitions.map(\.errorCode) == [0, 0])
        #expect(found.topics[0].partitions.map(\.metadata) == ["", ""])
    }

    @Test func `a fetch at the wrong broker is an error, in version 1 at each partition`() throws {
        let driver = ServiceDriver(leading: false)
        let code = KafkaError.notCoordinator.rawValue
        #expect(driver.fetch([("t", [0])])?.errorCode == code)
        #expect(driver.fetch([("t", [0])])?.topics.isEmpty == true)
        #expect(driver.fetch([("t", [0])], version: 1)?.topics[0].partitions[0].errorCode == code)
    }

    @Test func `without the offsets topic there is no coordinator`() {
        let driver = ServiceDriver(hasTopic: false)
        #expect(driver.join()?.errorCode == KafkaError.coordinatorNotAvailable.rawValue)
        let commit = driver.commit([("t", 0)])
        #expect(commit?.topics[0].partitions[0].errorCode == 15)
    }

    @Test func `groups are described and listed as Kafka does`() throws {
        let driver = ServiceDriver()
        let id = try #require(driver.join()).memberId
        _ = driver.join(id)
        _ = driver.sync(id)
        _ = driver.commit([("t", 0)], group: "simple")
        var request = DescribeGroupsRequest()
        request.groups = ["g", "simple", "none"]
        var described: DescribeGroupsResponse?
        driver.service.describeGroups(request, driver.client(5)) { described = $0 }
        let groups = try #require(described?.groups)
        #expect(groups.map(\.groupState) == ["Stable", "Empty", "Dead"])
        #expect(groups[0].protocolData == "range")
        #expect(groups[0].members.map(\.clientId) == ["app"])
        #expect(groups[0].members.map(\.clientHost) == ["/10.0.0.1"])
        #expect(groups[0].members[0].memberAssignment == ByteBuffer(string: "all"))

        var listed: ListGroupsResponse?
        driver.service.listGroups(ListGroupsRequest(), driver.client(4)) { listed = $0 }
        #expect(Set(listed?.groups.map(\.groupId) ?? []) == ["g", "simple"])
        var filter = ListGroupsRequest()
        filter.statesFilter = ["stable"]
        driver.service.listGroups(filter, driver.client(4)) { listed = $0 }
        #expect(listed?.groups.map(\.groupId) == ["g"])
        #expect(listed?.groups.map(\.groupState) == ["Stable"])
    }

    @Test func `time passes for every group`() throws {
        let driver = ServiceDriver()
        let id = try #require(driver.join()).memberId
        _ = driver.join(id)
        _ = driver.sync(id)
        driver.clock.seconds += 11
        driver.service.tick()
        var beat = HeartbeatRequest()
        beat.groupId = "g"
        beat.memberId = id
        beat.generationId = 1
        var answer: HeartbeatResponse?
        driver.service.heartbeat(beat, driver.client(4)) { answer = $0 }
        #expect(answer?.errorCode == KafkaError.unknownMemberID.rawValue)
    }

    @Test func `a group's name must fit into a record`() {
        let driver = ServiceDriver()
        let long = String(repeating: "g", count: 32_768)
        let answer = driver.commit([("t", 0)], group: long)
        #expect(answer?.topics[0].partitions[0].errorCode == KafkaError.invalidGroupID.rawValue)
    }

    @Test func `deleted topics lose their commits`() throws {
        let driver = ServiceDriver()
        _ = driver.commit([("t", 0)])
        driver.service.topicsDeleted(["t"])
        #expect(driver.fetch(nil)?.topics.isEmpty == true)
    }
}
