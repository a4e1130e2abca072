import Model
import Testing

@Suite struct ModelTests {
    @Test func `a node id packs owner and incarnation`() {
        let node = NodeID(broker: 3, incarnation: 7)
        #expect(node.rawValue == 3 << 32 | 7)
        #expect(node.broker == 3)
        #expect(node.incarnation == 7)
    }

    @Test func `a topic name follows Kafka's rules`() {
        #expect(TopicName("orders.v1_x-2")?.text == "orders.v1_x-2")
        for bad in ["", ".", "..", "a b", "ä", "a/b", String(repeating: "x", count: 250)] {
            #expect(TopicName(bad) == nil, "\(bad) must be refused")
        }
    }

    @Test func `an address is read and printed`() {
        #expect(Address("broker2:9192") == Address(host: "broker2", port: 9192))
        #expect(Address("[::1]:80")?.description == "[::1]:80")
        for bad in ["", "host", ":9", "host:", "host:70000", "::1:80", "host:+1", "host:-1"] {
            #expect(Address(bad) == nil, "\(bad) must be refused")
        }
    }

    @Test func `an identity survives its text form`() {
        var generator = SystemRandomNumberGenerator()
        let id = TopicID(using: &generator)
        #expect(TopicID(text: id.description) == id)
        #expect(TopicID(text: "0123") == nil)
        #expect(UniqueID("00000000-0000-0001-0000-00000000000g") == nil)
        #expect(
            UniqueID("00000000-0000-0001-0000-00000000000f")?.description
                == "00000000-0000-0001-0000-00000000000f"
        )
    }
}
