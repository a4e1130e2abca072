import Model
import NIOCore
import Raft
import RaftHost
import Testing

@testable import BrokerServer

/// The log of one partition of `__consumer_offsets`, played by a test.
final class FakeGroupLog: GroupLogAccess {
    var leadership = Leadership.unknown
    /// Every batch that was committed.
    private(set) var committed: [[UInt8]] = []
    /// Batches that were appended and wait for their commit.
    private var waiting: [(batch: [UInt8], completion: (ProposalOutcome) -> Void)] = []
    var commitsAtOnce = true
    var refuses = false
    var table: GroupTable?

    func append(_ batch: [UInt8], completion: @escaping (ProposalOutcome) -> Void) {
        if refuses { return completion(.refused("full")) }
        guard leadership.isLeader else { return completion(.notLeader(.none)) }
        waiting.append((batch, completion))
        if commitsAtOnce { commit() }
    }

    func commit() {
        let batches = waiting
        waiting = []
        for (batch, completion) in batches {
            table?.replay(batch, baseOffset: Offset(Int64(committed.count)))
            committed.append(batch)
            completion(.done(baseOffset: 0, index: 1, term: leadership.term))
        }
    }

    func readBarrier(_ completion: @escaping (Bool) -> Void) { completion(leadership.isLeader) }

    func lead(term: Term, confirmed: Bool = true) {
        leadership = Leadership(role: .leader, term: term, leader: 1, isConfirmed: confirmed)
        table?.leadershipChanged(leadership)
    }

    func follow(term: Term) {
        leadership = Leadership(role: .follower, term: term, leader: 2, isConfirmed: false)
        let lost = waiting
        waiting = []
        for one in lost { one.completion(.notLeader(.none)) }
        table?.leadershipChanged(leadership)
    }
}

/// A table on a fake log, with a clock that the test moves.
final class TableDriver {
    let log = FakeGroupLog()
    let table: GroupTable
    private let clock: Clock
    private var driver = GroupDriver()

    final class Clock { var seconds: UInt64 = 1_000_000 }

    init(_ settings: GroupSettings = .quick, replaying batches: [[UInt8]] = []) {
        let clock = Clock()
        self.clock = clock
        table = GroupTable(partition: 0, log: log, settings: settings) {
            GroupTime(
                uptime: .uptimeNanoseconds(clock.seconds * 1_000_000_000),
                unixMilliseconds: Int64(clock.seconds * 1_000)
            )
        }
        log.table = table
        for batch in batches { table.replay(batch, baseOffset: 0) }
    }

    func wait(seconds: UInt64) {
        clock.seconds += seconds
        table.tick()
    }

    func join(_ memberID: String = "", in id: String = "g") -> Answer<JoinAnswer> {
        let answer = Answer<JoinAnswer>()
        table.join(id, driver.request(memberID, version: 3)) { answer.value = $0 }
        return answer
    }

    func sync(_ memberID: String, generation: Int32) -> Answer<SyncAnswer> {
        let answer = Answer<SyncAnswer>()
        let request = SyncRequest(
            memberID: memberID,
            instanceID: nil,
            generation: generation,
            assignments: [(memberID, Array("all".utf8))]
        )
        table.sync("g", request) { answer.value = $0 }
        return answer
    }

    func commit(
        _ offset: Int64,
        in id: String = "g",
        topic: String = "t",
        member: String = "",
        generation: Int32 = -1,
        metadata: String = ""
    ) -> Answer<[GroupError?]> {
        let answer = Answer<[GroupError?]>()
        let one = OffsetToCommit(
            topic: topic,
            partition: 0,
            offset: CommittedOffset(
                offset: offset,
                leaderEpoch: 3,
                metadata: metadata,
                commitTimestamp: Int64(clock.seconds * 1_000)
            )
        )
        let committer = Committer(memberID: member, instanceID: nil, generation: generation)
        table.commit(id, [one], by: committer) { answer.value = $0 }
        return answer
    }

    func fetch(_ id: String = "g") -> Result<GroupStore.Group?, GroupError>? {
        var found: Result<GroupStore.Group?, GroupError>?
        table.fetchOffsets(id) { found = $0 }
        return found
    }

    /// A group of one stable member; its id.
    func stableMember() -> String {
        let joined = join()
        let id = joined.value?.memberID ?? ""
        #expect(sync(id, generation: 1).value?.error == nil)
        return id
    }
}

final class Answer<Value> { var value: Value? }

@Suite("The groups of an offsets partition")
struct GroupsTableTests {
    @Test func `a commit is answered once it is committed, and read back`() throws {
        let driver = TableDriver()
        driver.log.lead(term: 1)
        driver.log.commitsAtOnce = false
        let answer = driver.commit(42, metadata: "note")
        #expect(answer.value == nil)
        #expect(try driver.fetch()?.get() == nil)
        driver.log.commit()
        #expect(answer.value == [nil])
        let stored = try #require(try driver.fetch()?.get())
        #expect(stored.offsets["t"]?[0]?.offset == 42)
        #expect(stored.offsets["t"]?[0]?.metadata == "note")
        #expect(stored.offsets["t"]?[0]?.leaderEpoch == 3)
    }

    @Test func `a new leader knows what the former one had committed`() throws {
        let old = TableDriver()
        old.log.lead(term: 1)
        let member = old.stableMember()
        #expect(old.commit(7, member: member, generation: 1).value == [nil])
        let new = TableDriver(replaying: old.log.committed)
        new.log.lead(term: 2)
        let stored = try #require(try new.fetch()?.get())
        #expect(stored.offsets["t"]?[0]?.offset == 7)
        // The member goes on as if nothing had happened.
        let beat = new.table.heartbeat("g", memberID: member, instanceID: nil, generation: 1)
        #expect(beat == nil)
        #expect(new.commit(8, member: member, generation: 1).value == [nil])
        #expect(new.table.describe("g")?.state == .stable)
        #expect(new.table.describe("g")?.protocolName == "range")
    }

    @Test func `members that do not come to the new leader lose their place there`() {
        let old = TableDriver()
        old.log.lead(term: 1)
        let member = old.stableMember()
        let new = TableDriver(replaying: old.log.committed)
        new.log.lead(term: 2)
        new.wait(seconds: 11)
        let beat = new.table.heartbeat("g", memberID: member, instanceID: nil, generation: 1)
        #expect(beat == .unknownMemberID)
        #expect(new.table.describe("g")?.state == .empty)
        #expect(new.table.describe("g")?.generation == 2)
    }

    @Test func `a leader that is not confirmed asks for patience, and a follower sends away`() {
        let driver = TableDriver()
        #expect(driver.join().value?.error == .notCoordinator)
        driver.log.lead(term: 1, confirmed: false)
        #expect(driver.join().value?.error == .loadInProgress)
        #expect(driver.sync("m", generation: 1).value?.error == .rebalanceInProgress)
        let beat = driver.table.heartbeat("g", memberID: "m", instanceID: nil, generation: 1)
        #expect(beat == nil)
        #expect(driver.commit(1).value == [.loadInProgress])
        #expect(driver.fetch() == .failure(.loadInProgress))
        driver.log.lead(term: 1)
        #expect(driver.join().value?.error == nil)
    }

    @Test func `whoever waits is sent away when leadership is lost`() {
        let driver = TableDriver()
        driver.log.lead(term: 1)
        let member = driver.stableMember()
        let second = driver.join()
        #expect(second.value == nil)
        driver.log.commitsAtOnce = false
        let commit = driver.commit(5, member: member, generation: 1)
        driver.log.follow(term: 2)
        #expect(second.value?.error == .notCoordinator)
        #expect(commit.value == [.notCoordinator])
        #expect(driver.commit(5, member: member, generation: 1).value == [.notCoordinator])
        #expect(driver.fetch() == .failure(.notCoordinator))
    }

    @Test func `a share that was not committed is not handed out by a former leader`() {
        let driver = TableDriver()
        driver.log.lead(term: 1)
        let joined = driver.join()
        driver.log.commitsAtOnce = false
        let synced = driver.sync(joined.value?.memberID ?? "", generation: 1)
        #expect(synced.value == nil)
        driver.log.follow(term: 2)
        #expect(synced.value?.error == .notCoordinator)
    }

    @Test func `nothing is written in a term in which the groups were not loaded`() {
        let driver = TableDriver()
        driver.log.lead(term: 1)
        // The log has moved on, and the table has not been told yet.
        driver.log.leadership.term = 2
        #expect(driver.commit(1).value == [.notCoordinator])
        #expect(driver.log.committed.isEmpty)
    }

    @Test func `a log that is full asks to try again`() {
        let driver = TableDriver()
        driver.log.lead(term: 1)
        driver.log.refuses = true
        #expect(driver.commit(1).value == [.coordinatorNotAvailable])
    }

    @Test func `a note over the limit is refused and the rest is committed`() throws {
        let driver = TableDriver()
        driver.log.lead(term: 1)
        let long = String(repeating: "n", count: 4_097)
        #expect(driver.commit(1, metadata: long).value == [.offsetMetadataTooLarge])
        let exact = String(repeating: "n", count: 4_096)
        #expect(driver.commit(2, metadata: exact).value == [nil])
    }

    @Test func `a group without members takes commits, one that never was has no generation`() {
        let driver = TableDriver()
        driver.log.lead(term: 1)
        #expect(driver.commit(1, in: "simple").value == [nil])
        #expect(driver.commit(1, in: "none", generation: 4).value == [.illegalGeneration])
        let member = driver.stableMember()
        #expect(driver.commit(1).value == [.unknownMemberID])
        #expect(driver.commit(1, member: member, generation: 2).value == [.illegalGeneration])
        #expect(driver.table.list().map(\.id) == ["g", "simple"])
        #expect(driver.table.list().map(\.state) == [.stable, .empty])
    }

    @Test func `an empty group keeps its offsets for the retention time and then goes`() throws {
        let driver = TableDriver()
        driver.log.lead(term: 1)
        let member = driver.stableMember()
        _ = driver.commit(9, member: member, generation: 1)
        _ = try driver.table.leave("g", [LeavingMember(memberID: member)]).get()
        let day: UInt64 = 24 * 3_600
        driver.wait(seconds: 6 * day)
        driver.table.expireOffsets()
        #expect(try driver.fetch()?.get()?.offsetCount == 1)
        driver.wait(seconds: day)
        driver.table.expireOffsets()
        #expect(try driver.fetch()?.get() == nil)
        #expect(driver.table.list().isEmpty)
        #expect(TableDriver(replaying: driver.log.committed).table.store == GroupStore())
    }

    @Test func `offsets of a group with members do not expire`() throws {
        let driver = TableDriver()
        driver.log.lead(term: 1)
        let member = driver.stableMember()
        _ = driver.commit(9, member: member, generation: 1)
        for _ in 0..<10 {
            driver.wait(seconds: 8)
            _ = driver.table.heartbeat("g", memberID: member, instanceID: nil, generation: 1)
        }
        driver.table.expireOffsets()
        #expect(try driver.fetch()?.get()?.offsetCount == 1)
    }

    @Test func `offsets of a deleted topic are deleted`() throws {
        let driver = TableDriver()
        driver.log.lead(term: 1)
        _ = driver.commit(1, topic: "gone")
        _ = driver.commit(2, topic: "stays")
        driver.table.topicsDeleted(["gone"])
        #expect(try driver.fetch()?.get()?.offsets.keys.sorted() == ["stays"])
    }

    @Test func `each member of a batch that leaves gets its own answer`() throws {
        let driver = TableDriver()
        driver.log.lead(term: 1)
        let member = driver.stableMember()
        let leaving = [LeavingMember(memberID: "nobody"), LeavingMember(memberID: member)]
        #expect(try driver.table.leave("g", leaving).get() == [.unknownMemberID, nil])
    }

    @Test func `groups nobody uses leave nothing behind`() {
        let driver = TableDriver()
        driver.log.lead(term: 1)
        #expect(driver.join("stranger").value?.error == .unknownMemberID)
        var requests = GroupDriver()
        driver.table.join("g", requests.request(version: 4)) { _ in }
        driver.wait(seconds: 11)
        #expect(driver.table.list().isEmpty)
        #expect(driver.log.committed.isEmpty)
    }

    @Test func `the number of groups is bounded`() {
        var settings = GroupSettings.quick
        settings.groupsMax = 1
        let driver = TableDriver(settings)
        driver.log.lead(term: 1)
        #expect(driver.join(in: "a").value?.error == nil)
        #expect(driver.join(in: "b").value?.error == .groupMaxSizeReached)
        #expect(driver.join(in: "").value?.error == .invalidGroupID)
    }
}
