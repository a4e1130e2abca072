import NIOCore
import Testing

@testable import BrokerServer

@Suite("Static members (KIP-345)")
struct GroupsStaticMemberTests {
    /// A stable group of two static members, "a" leading "b", and their ids.
    private func stable(
        _ subscription: String = "topics"
    ) -> (driver: GroupDriver, a: String, b: String) {
        var driver = GroupDriver()
        let protocols = [("range", subscription)]
        let a = driver.join(driver.request(instance: "a", protocols: protocols))
        let aID = driver.joins[a]?.memberID ?? ""
        driver.sync(aID, instance: "a", [aID: "all"])
        let b = driver.join(driver.request(instance: "b", protocols: protocols))
        driver.join(driver.request(aID, instance: "a", protocols: protocols))
        let bID = driver.joins[b]?.memberID ?? ""
        driver.sync(bID, instance: "b")
        driver.sync(aID, instance: "a", [aID: "0", bID: "1"])
        #expect(driver.group.state == .stable)
        return (driver, aID, bID)
    }

    @Test func `a static member joins without a detour for an id`() {
        var driver = GroupDriver()
        let ticket = driver.join(driver.request(instance: "a"))
        #expect(driver.joins[ticket]?.error == nil)
        #expect(driver.joins[ticket]?.generation == 1)
    }

    @Test func `a static member that comes back takes its place without a rebalance`() {
        var (driver, a, b) = stable()
        let ticket = driver.join(driver.request(instance: "b"))
        let answer = driver.joins[ticket]
        #expect(answer?.error == nil)
        #expect(answer?.generation == 2)
        #expect(answer?.memberID != b)
        #expect(answer?.leader == a)
        #expect(driver.group.state == .stable)
        let sync = driver.sync(answer?.memberID ?? "", instance: "b")
        #expect(driver.syncs[sync]?.assignment == Array("1".utf8))
    }

    @Test func `the former holder of a static place is fenced`() {
        var (driver, _, b) = stable()
        driver.join(driver.request(instance: "b"))
        #expect(driver.heartbeat(b, instance: "b") == .fencedInstanceID)
        #expect(driver.leave(b, instance: "b") == .fencedInstanceID)
        let sync = driver.sync(b, instance: "b")
        #expect(driver.syncs[sync]?.error == .fencedInstanceID)
    }

    @Test func `a leader that comes back keeps its share and does not share out again`() {
        var (driver, a, _) = stable()
        let ticket = driver.join(driver.request(instance: "a"))
        #expect(driver.joins[ticket]?.members.isEmpty == true)
        #expect(driver.joins[ticket]?.leader == a)
        #expect(driver.group.leader == driver.joins[ticket]?.memberID)
        var (modern, _, _) = stable()
        let newer = modern.join(modern.request(instance: "a", version: 9))
        #expect(modern.joins[newer]?.skipsAssignment == true)
        #expect(modern.joins[newer]?.leader == modern.joins[newer]?.memberID)
        #expect(modern.joins[newer]?.members.count == 2)
    }

    @Test func `a returning member is answered after its new id is committed`() {
        var (driver, _, b) = stable()
        driver.storesAtOnce = false
        let ticket = driver.join(driver.request(instance: "b"))
        #expect(driver.joins[ticket] == nil)
        #expect(driver.stores.first?.image.members.contains { $0.id == b } == false)
        driver.answerStore(nil)
        #expect(driver.joins[ticket]?.error == nil)
    }

    @Test func `other topics ask for a rebalance, other owned partitions do not`() {
        func subscription(_ topic: String, owned: String) -> String {
            "\u{0}\u{1}\u{0}\u{0}\u{0}\u{1}\u{0}\u{1}\(topic)\(owned)"
        }
        var (driver, _, _) = stable(subscription("t", owned: "x"))
        driver.join(
            driver.request(
                instance: "b",
                protocols: [("range", subscription("t", owned: "yy"))]
            )
        )
        #expect(driver.group.state == .stable)
        driver.join(
            driver.request(
                instance: "b",
                protocols: [("range", subscription("u", owned: "yy"))]
            )
        )
        #expect(driver.group.state == .preparingRebalance)
    }

    @Test func `a static member that is away keeps its place until its session ends`() {
        var (driver, a, b) = stable()
        let third = driver.join(driver.request(instance: "c"))
        driver.join(driver.request(a, instance: "a"))
        driver.wait(.seconds(5))
        #expect(driver.joins[third] == nil)
        #expect(driver.group.index(of: b) != nil)
        driver.wait(.seconds(6))
        #expect(driver.joins[third]?.generation == 3)
        #expect(driver.group.index(of: b) == nil)
    }

    @Test func `an administrator removes a static member by its instance alone`() {
        var (driver, _, b) = stable()
        #expect(driver.leave("", instance: "b") == nil)
        #expect(driver.group.index(of: b) == nil)
        #expect(driver.leave("", instance: "b") == .unknownMemberID)
    }

    @Test func `damaged subscriptions are not read past their end`() {
        #expect(subscribedTopics([]) == nil)
        #expect(subscribedTopics([0, 1, 0xff, 0xff, 0xff, 0xff]) == nil)
        #expect(subscribedTopics([0, 1, 0, 0, 0, 1, 0, 9, 1]) == nil)
        #expect(subscribedTopics([0, 1, 0, 0, 0, 1, 0, 1, 7, 9, 9]) == [[7]])
    }
}
