import NIOCore
import Testing

@testable import BrokerServer

/// Plays the part of the table around one group: a clock, tickets, and a log that obeys.
struct GroupDriver {
    var group: ConsumerGroup
    var uptime: NIODeadline = .uptimeNanoseconds(1_000_000_000_000)
    var joins: [GroupTicket: JoinAnswer] = [:]
    var syncs: [GroupTicket: SyncAnswer] = [:]
    /// Writes that the group asked for and that were not answered.
    var stores: [(image: GroupImage, id: StoreID)] = []
    /// Whether writes succeed at once.
    var storesAtOnce = true
    private var lastTicket: UInt64 = 0
    private var lastID = 0

    init(_ settings: GroupSettings = .quick) {
        let now = GroupTime(uptime: uptime, unixMilliseconds: 0)
        group = ConsumerGroup(id: "g", settings: settings, now: now)
    }

    var now: GroupTime {
        GroupTime(
            uptime: uptime,
            unixMilliseconds: Int64(uptime.uptimeNanoseconds / 1_000_000)
        )
    }

    mutating func request(
        _ memberID: String = "",
        instance: String? = nil,
        protocols: [(String, String)] = [("range", "topics")],
        type: String = "consumer",
        session: TimeAmount = .seconds(10),
        version: Int = 5
    ) -> JoinRequest {
        lastID += 1
        return JoinRequest(
            memberID: memberID,
            instanceID: instance,
            clientID: "client",
            clientHost: "/127.0.0.1",
            sessionTimeout: session,
            rebalanceTimeout: .seconds(30),
            protocolType: type,
            protocols: protocols.map { GroupProtocol(name: $0.0, metadata: Array($0.1.utf8)) },
            freshMemberID: "m\(lastID)",
            mustReturnWithID: version >= 4,
            understandsSkip: version >= 9
        )
    }

    mutating func perform(_ actions: [GroupAction]) {
        for action in actions {
            switch action {
            case .answerJoin(let ticket, let answer):
                #expect(joins.updateValue(answer, forKey: ticket) == nil, "answered twice")
            case .answerSync(let ticket, let answer):
                #expect(syncs.updateValue(answer, forKey: ticket) == nil, "answered twice")
            case .store(let image, let id):
                stores.append((image, id))
                if storesAtOnce { answerStore(nil) }
            }
        }
    }

    mutating func answerStore(_ error: GroupError?) {
        let store = stores.removeFirst()
        perform(group.stored(store.id, error: error, now: now))
    }

    @discardableResult
    mutating func join(_ request: JoinRequest) -> GroupTicket {
        lastTicket += 1
        let ticket = GroupTicket(rawValue: lastTicket)
        perform(group.join(request, ticket: ticket, now: now))
        return ticket
    }

    /// Joins as current clients do: asks for an id first, and comes back with it.
    mutating func joinNew(
        protocols: [(String, String)] = [("range", "topics")]
    ) -> (id: String, ticket: GroupTicket) {
        let first = join(request(protocols: protocols))
        let id = joins[first]?.memberID ?? ""
        #expect(joins[first]?.error == .memberIDRequired)
        return (id, join(request(id, protocols: protocols)))
    }

    @discardableResult
    mutating func sync(
        _ memberID: String,
        instance: String? = nil,
        generation: Int32? = nil,
        _ assignments: [String: String] = [:]
    ) -> GroupTicket {
        lastTicket += 1
        let ticket = GroupTicket(rawValue: lastTicket)
        let request = SyncRequest(
            memberID: memberID,
            instanceID: instance,
            generation: generation ?? group.generation,
            assignments: assignments.map { ($0.key, Array($0.value.utf8)) }
        )
        perform(group.sync(request, ticket: ticket, now: now))
        return ticket
    }

    mutating func heartbeat(
        _ memberID: String,
        instance: String? = nil,
        generation: Int32? = nil
    ) -> GroupError? {
        group.heartbeat(
            memberID,
            instanceID: instance,
            generation: generation ?? group.generation,
            now: now
        )
    }

    mutating func leave(_ memberID: String, instance: String? = nil) -> GroupError? {
        let leaving = [LeavingMember(memberID: memberID, instanceID: instance)]
        let (results, actions) = group.leave(leaving, now: now)
        perform(actions)
        return results[0]
    }

    mutating func commit(_ memberID: String, generation: Int32) -> GroupError? {
        group.mayCommit(memberID, instanceID: nil, generation: generation, now: now)
    }

    mutating func wait(_ time: TimeAmount) {
        uptime = uptime + time
        perform(group.tick(now))
    }

    /// A stable group of two members, the first of which leads.
    static func twoStable() -> (driver: GroupDriver, leader: String, follower: String) {
        var driver = GroupDriver()
        let first = driver.joinNew()
        driver.sync(first.id, [first.id: "all"])
        let second = driver.joinNew()
        #expect(driver.heartbeat(first.id) == .rebalanceInProgress)
        driver.join(driver.request(first.id))
        driver.sync(second.id)
        driver.sync(first.id, [first.id: "0", second.id: "1"])
        #expect(driver.group.state == .stable)
        return (driver, first.id, second.id)
    }
}

extension GroupSettings {
    /// Without the delay of a group's first generation.
    static var quick: GroupSettings {
        var settings = GroupSettings()
        settings.initialRebalanceDelay = .zero
        return settings
    }
}
