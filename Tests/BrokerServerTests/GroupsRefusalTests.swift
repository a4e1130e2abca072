import NIOCore
import Testing

@testable import BrokerServer

@Suite("What a consumer group refuses")
struct GroupsRefusalTests {
    @Test(arguments: [TimeAmount.seconds(5), .minutes(31)])
    func `a session timeout out of bounds is refused`(session: TimeAmount) {
        var driver = GroupDriver()
        let ticket = driver.join(driver.request(session: session))
        #expect(driver.joins[ticket]?.error == .invalidSessionTimeout)
    }

    @Test func `a member with no protocol in common is refused`() {
        var (driver, _, _) = GroupDriver.twoStable()
        let other = driver.join(driver.request(protocols: [("sticky", "topics")]))
        #expect(driver.joins[other]?.error == .inconsistentProtocol)
        let type = driver.join(driver.request(type: "connect"))
        #expect(driver.joins[type]?.error == .inconsistentProtocol)
        let none = driver.join(driver.request(protocols: []))
        #expect(driver.joins[none]?.error == .inconsistentProtocol)
    }

    @Test func `the protocol that most members prefer among the common ones is chosen`() {
        var driver = GroupDriver()
        let first = driver.joinNew(protocols: [("range", "a"), ("sticky", "b")])
        driver.sync(first.id, [first.id: ""])
        let second = driver.joinNew(protocols: [("sticky", "c"), ("range", "d")])
        let third = driver.joinNew(protocols: [("odd", ""), ("sticky", "e"), ("range", "f")])
        driver.join(driver.request(first.id, protocols: [("range", "a"), ("sticky", "b")]))
        #expect(driver.joins[second.ticket]?.protocolName == "sticky")
        #expect(driver.joins[third.ticket]?.protocolName == "sticky")
        #expect(driver.group.members.map { $0.metadata(for: "sticky") }.count == 3)
    }

    @Test func `a full group refuses newcomers and keeps its members`() {
        var settings = GroupSettings.quick
        settings.membersMax = 1
        var driver = GroupDriver(settings)
        let first = driver.joinNew()
        let ticket = driver.join(driver.request())
        #expect(driver.joins[ticket]?.error == .groupMaxSizeReached)
        driver.sync(first.id, [first.id: "all"])
        driver.join(driver.request(first.id))
        #expect(driver.group.generation == 2)
    }

    @Test func `a group's bytes are bounded`() {
        var settings = GroupSettings.quick
        settings.groupBytesMax = 1_000
        var driver = GroupDriver(settings)
        let big = String(repeating: "x", count: 1_001)
        let ticket = driver.join(driver.request(protocols: [("range", big)]))
        #expect(driver.joins[ticket]?.error == .groupMaxSizeReached)
        let first = driver.joinNew()
        let sync = driver.sync(first.id, [first.id: big])
        #expect(driver.syncs[sync]?.error == .unknownServerError)
        #expect(driver.stores.isEmpty)
    }

    @Test func `a request of another generation is refused`() {
        var (driver, leader, _) = GroupDriver.twoStable()
        #expect(driver.heartbeat(leader, generation: 1) == .illegalGeneration)
        let ticket = driver.sync(leader, generation: 1)
        #expect(driver.syncs[ticket]?.error == .illegalGeneration)
        #expect(driver.commit(leader, generation: 1) == .illegalGeneration)
        #expect(driver.commit(leader, generation: 2) == nil)
    }

    @Test func `a stranger is refused`() {
        var (driver, _, _) = GroupDriver.twoStable()
        #expect(driver.heartbeat("nobody") == .unknownMemberID)
        #expect(driver.leave("nobody") == .unknownMemberID)
        #expect(driver.commit("nobody", generation: 2) == .unknownMemberID)
        let join = driver.join(driver.request("nobody"))
        #expect(driver.joins[join]?.error == .unknownMemberID)
        let sync = driver.sync("nobody")
        #expect(driver.syncs[sync]?.error == .unknownMemberID)
    }

    @Test func `a sync with another protocol than the group's is refused`() {
        var (driver, leader, _) = GroupDriver.twoStable()
        let request = SyncRequest(
            memberID: leader,
            instanceID: nil,
            generation: 2,
            protocolType: "consumer",
            protocolName: "sticky",
            assignments: []
        )
        let ticket = GroupTicket(rawValue: 1_000)
        driver.perform(driver.group.sync(request, ticket: ticket, now: driver.now))
        #expect(driver.syncs[ticket]?.error == .inconsistentProtocol)
    }

    @Test func `an empty group takes commits without a member, and a group in use does not`() {
        var driver = GroupDriver()
        #expect(driver.commit("", generation: -1) == nil)
        let (busy, _, _) = GroupDriver.twoStable()
        driver = busy
        #expect(driver.commit("", generation: -1) == .unknownMemberID)
    }

    @Test func `commits wait for the end of a rebalance once the members are gathered`() {
        var driver = GroupDriver()
        let first = driver.joinNew()
        #expect(driver.group.state == .completingRebalance)
        #expect(driver.commit(first.id, generation: 1) == .rebalanceInProgress)
        driver.sync(first.id, [first.id: "all"])
        _ = driver.joinNew()
        #expect(driver.group.state == .preparingRebalance)
        #expect(driver.commit(first.id, generation: 1) == nil)
    }

    @Test func `an ended group answers everybody who waits`() {
        var driver = GroupDriver()
        let first = driver.joinNew()
        driver.sync(first.id, [first.id: "all"])
        let second = driver.joinNew()
        driver.perform(driver.group.die(.notCoordinator))
        #expect(driver.joins[second.ticket]?.error == .notCoordinator)
        #expect(driver.heartbeat(first.id) == .coordinatorNotAvailable)
        #expect(driver.leave(first.id) == .coordinatorNotAvailable)
    }

    @Test func `giving back an unused id disturbs nobody`() {
        var (driver, _, _) = GroupDriver.twoStable()
        let ticket = driver.join(driver.request())
        let id = driver.joins[ticket]?.memberID ?? ""
        #expect(driver.leave(id) == nil)
        #expect(driver.group.state == .stable)
    }
}
