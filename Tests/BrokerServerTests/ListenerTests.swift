import KafkaProtocol
import Testing

@testable import BrokerServer

@Suite struct ResponseOrderTests {
    @Test func `answers leave in the order of their requests`() {
        var order = ResponseOrder<String>()
        let first = order.open()
        let second = order.open()
        let third = order.open()
        order.fill(third, "c")
        order.fill(second, "b")
        #expect(order.release() == nil)
        order.fill(first, "a")
        #expect(order.release() == "a")
        #expect(order.release() == "b")
        #expect(order.release() == "c")
        #expect(order.count == 0)
    }

    @Test func `a request that is owed no answer holds nothing up`() {
        var order = ResponseOrder<String>()
        let first = order.open()
        let second = order.open()
        order.fill(second, "b")
        order.fill(first, nil)
        #expect(order.release() == "b")
        #expect(order.release() == nil)
        let next = order.open()
        order.fill(next, "c")
        #expect(order.release() == "c")
    }
}

@Suite struct ConnectionLimitsTests {
    @Test func `connections are limited in total and for each address`() {
        var limits = ConnectionLimits(totalMax: 3, perAddressMax: 2)
        #expect(limits.admit("a") == nil)
        #expect(limits.admit("a") == nil)
        #expect(limits.admit("a") == .perAddress(limit: 2))
        #expect(limits.admit("b") == nil)
        #expect(limits.admit("c") == .total(limit: 3))
        limits.leave("a")
        #expect(limits.admit("c") == nil)
        #expect(limits.total == 3)
    }

    @Test func `the last quarter of the descriptors is not for clients`() throws {
        var limits = ConnectionLimits(totalMax: 100, perAddressMax: 100, descriptorLimit: 64)
        #expect(limits.admit("a", descriptor: 47) == nil)
        let admitted = limits.admit("a", descriptor: 48)
        let refusal = try #require(admitted)
        #expect(refusal == .descriptors(limit: 64, kept: 16))
        #expect("\(refusal)".contains("may have 64 files open (LimitNOFILE= of the unit)"))
        #expect(limits.total == 1)
        limits.leave("a")
        #expect(limits.admit("a", descriptor: 12) == nil)
    }

    @Test func `of many descriptors a thousand are kept`() {
        var limits = ConnectionLimits(totalMax: 9, perAddressMax: 9, descriptorLimit: 524_288)
        #expect(limits.admit("a", descriptor: 523_263) == nil)
        #expect(
            limits.admit("a", descriptor: 523_264) == .descriptors(limit: 524_288, kept: 1024)
        )
    }
}

@Suite struct ApiVersionsNameTests {
    @Test(arguments: ["librdkafka", "kafka-python", "a", "2.0.2", "apache-kafka-java", "x.y-z9"])
    func `names of clients are accepted`(name: String) {
        #expect(ApiVersionsHandler.isName(name))
    }

    @Test(arguments: ["", "-a", "a-", ".5", "a b", "ä", "a_b", "a\n"])
    func `other texts are not`(name: String) {
        #expect(!ApiVersionsHandler.isName(name))
    }
}

@Suite struct KafkaRequestTableTests {
    @Test func `every advertised API has a handler, and only those`() {
        let handled = KafkaRequests.all.map(\.api)
        #expect(Set(handled) == Set(ApiKey.allCases))
        #expect(handled.count == Set(handled).count)
        for entry in KafkaRequests.all {
            #expect(KafkaRequests.entry(of: entry.api)?.api == entry.api)
            #expect(entry.advertised.upperBound == entry.served.upperBound)
        }
    }

    @Test func `produce is advertised from version 0 and served from 3`() throws {
        let produce = try #require(KafkaRequests.entry(of: .produce))
        #expect(produce.advertised.lowerBound == 0)
        #expect(produce.served.lowerBound == 3)
    }
}
