import NIOCore
import Testing

@testable import BrokerServer

@Suite("A consumer group's generations")
struct GroupsRebalanceTests {
    @Test func `a client without an id is given one and must come back with it`() {
        var driver = GroupDriver()
        let ticket = driver.join(driver.request(version: 4))
        #expect(driver.joins[ticket]?.error == .memberIDRequired)
        #expect(driver.joins[ticket]?.memberID == "m1")
        #expect(driver.group.members.isEmpty)
        let second = driver.join(driver.request("m1"))
        #expect(driver.joins[second]?.error == nil)
        #expect(driver.joins[second]?.generation == 1)
    }

    @Test func `an old client joins at once`() {
        var driver = GroupDriver()
        let ticket = driver.join(driver.request(version: 3))
        #expect(driver.joins[ticket]?.error == nil)
        #expect(driver.joins[ticket]?.leader == driver.joins[ticket]?.memberID)
    }

    @Test func `an id that was given out and not used is forgotten after a session timeout`() {
        var driver = GroupDriver()
        let ticket = driver.join(driver.request())
        let id = driver.joins[ticket]?.memberID ?? ""
        driver.wait(.seconds(11))
        let late = driver.join(driver.request(id))
        #expect(driver.joins[late]?.error == .unknownMemberID)
        #expect(driver.group.isIdle)
    }

    @Test func `the leader alone sees the members, and everybody gets its share`() {
        let (driver, leader, follower) = GroupDriver.twoStable()
        #expect(driver.group.generation == 2)
        #expect(driver.group.leader == leader)
        let answers = driver.joins.values.filter { $0.generation == 2 }
        #expect(answers.count == 2)
        #expect(
            answers.first { $0.memberID == leader }?.members.map(\.memberID)
                == [leader, follower]
        )
        #expect(answers.first { $0.memberID == follower }?.members == [])
        let shares = driver.syncs.values.map { String(decoding: $0.assignment, as: UTF8.self) }
        #expect(shares.sorted() == ["0", "1", "all"])
    }

    @Test func `shares are handed out only after the record is committed`() {
        var driver = GroupDriver()
        driver.storesAtOnce = false
        let first = driver.joinNew()
        let ticket = driver.sync(first.id, [first.id: "all"])
        #expect(driver.syncs[ticket] == nil)
        #expect(driver.group.state == .completingRebalance)
        #expect(driver.stores.count == 1)
        #expect(driver.stores.first?.image.members.first?.assignment == Array("all".utf8))
        driver.answerStore(nil)
        #expect(driver.syncs[ticket]?.error == nil)
        #expect(driver.group.state == .stable)
    }

    @Test func `a failed write sends everybody back to joining`() {
        var driver = GroupDriver()
        driver.storesAtOnce = false
        let first = driver.joinNew()
        let ticket = driver.sync(first.id, [first.id: "all"])
        driver.answerStore(.coordinatorNotAvailable)
        #expect(driver.syncs[ticket]?.error == .coordinatorNotAvailable)
        #expect(driver.group.state == .preparingRebalance)
        #expect(driver.heartbeat(first.id) == .rebalanceInProgress)
    }

    @Test func `a write that returns after the next rebalance began changes nothing`() {
        var driver = GroupDriver()
        driver.storesAtOnce = false
        let first = driver.joinNew()
        let ticket = driver.sync(first.id, [first.id: "all"])
        let second = driver.joinNew()
        #expect(driver.syncs[ticket]?.error == .rebalanceInProgress)
        driver.answerStore(nil)
        #expect(driver.group.state == .preparingRebalance)
        #expect(driver.joins[second.ticket] == nil)
    }

    @Test func `a leader that leaves is followed by the next member`() {
        var (driver, leader, follower) = GroupDriver.twoStable()
        #expect(driver.leave(leader) == nil)
        #expect(driver.group.state == .preparingRebalance)
        #expect(driver.heartbeat(follower) == .rebalanceInProgress)
        let ticket = driver.join(driver.request(follower))
        #expect(driver.joins[ticket]?.leader == follower)
        #expect(driver.joins[ticket]?.generation == 3)
        #expect(driver.heartbeat(leader) == .unknownMemberID)
    }

    @Test func `the last member that leaves leaves an empty group, and that is stored`() {
        var driver = GroupDriver()
        let first = driver.joinNew()
        driver.sync(first.id, [first.id: "all"])
        driver.storesAtOnce = false
        #expect(driver.leave(first.id) == nil)
        #expect(driver.group.state == .empty)
        #expect(driver.stores.first?.image.members.isEmpty == true)
        #expect(driver.stores.first?.image.generation == 2)
    }

    @Test func `a member that stays silent loses its place`() {
        var (driver, leader, follower) = GroupDriver.twoStable()
        driver.wait(.seconds(6))
        #expect(driver.heartbeat(leader) == nil)
        driver.wait(.seconds(6))
        #expect(driver.group.members.map(\.id) == [leader])
        #expect(driver.heartbeat(follower) == .unknownMemberID)
        #expect(driver.heartbeat(leader) == .rebalanceInProgress)
    }

    @Test func `a member that does not join again in time is left behind`() {
        var (driver, leader, follower) = GroupDriver.twoStable()
        let third = driver.joinNew()
        let ticket = driver.join(driver.request(leader))
        for _ in 0..<4 {
            driver.wait(.seconds(8))
            if driver.group.state == .preparingRebalance {
                #expect(driver.heartbeat(follower) == .rebalanceInProgress)
            }
        }
        #expect(driver.joins[ticket]?.generation == 3)
        #expect(driver.joins[third.ticket]?.generation == 3)
        #expect(driver.heartbeat(follower) == .unknownMemberID)
    }

    @Test func `a member that joins and never syncs is thrown out`() {
        var driver = GroupDriver()
        let first = driver.joinNew()
        driver.sync(first.id, [first.id: "all"])
        let second = driver.joinNew()
        driver.join(driver.request(first.id))
        driver.sync(first.id, [first.id: "0", second.id: "1"])
        for _ in 0..<5 {
            driver.wait(.seconds(7))
            _ = driver.heartbeat(first.id)
            _ = driver.heartbeat(second.id)
        }
        #expect(driver.group.members.map(\.id) == [first.id])
        #expect(driver.group.state == .preparingRebalance)
    }

    @Test func `members that start together join the same first generation`() {
        var settings = GroupSettings()
        settings.initialRebalanceDelay = .seconds(3)
        var driver = GroupDriver(settings)
        let first = driver.joinNew()
        driver.wait(.seconds(2))
        let second = driver.joinNew()
        driver.wait(.seconds(1))
        #expect(driver.joins[first.ticket] == nil)
        driver.wait(.seconds(3))
        #expect(driver.joins[first.ticket]?.generation == 1)
        #expect(driver.joins[second.ticket]?.generation == 1)
        #expect(driver.joins[first.ticket]?.members.count == 2)
    }

    @Test func `a repeated join of a follower is answered with the running generation`() {
        var (driver, leader, follower) = GroupDriver.twoStable()
        let ticket = driver.join(driver.request(follower))
        #expect(driver.joins[ticket]?.generation == 2)
        #expect(driver.joins[ticket]?.leader == leader)
        #expect(driver.group.state == .stable)
    }

    @Test func `a join of the leader asks for a new generation`() {
        var (driver, leader, _) = GroupDriver.twoStable()
        let ticket = driver.join(driver.request(leader))
        #expect(driver.joins[ticket] == nil)
        #expect(driver.group.state == .preparingRebalance)
    }

    @Test func `a changed subscription asks for a new generation`() {
        var (driver, _, follower) = GroupDriver.twoStable()
        driver.join(driver.request(follower, protocols: [("range", "other topics")]))
        #expect(driver.group.state == .preparingRebalance)
    }

    @Test func `a new member waits minutes for its first generation, not a session`() {
        var driver = GroupDriver()
        let first = driver.joinNew()
        driver.sync(first.id, [first.id: "all"])
        let second = driver.joinNew()
        driver.wait(.seconds(9))
        #expect(driver.heartbeat(first.id) == .rebalanceInProgress)
        driver.wait(.seconds(9))
        #expect(driver.joins[second.ticket] == nil)
        #expect(driver.group.members.map(\.id) == [first.id, second.id])
    }
}
