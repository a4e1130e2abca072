import NIOCore
import Security
import Testing

@Suite struct SecurityTests {
    private func address(_ text: String) throws -> SocketAddress {
        try SocketAddress(ipAddress: text, port: 1)
    }

    @Test func `an address belongs to the networks that contain it`() throws {
        let list = try IPAllowList(texts: ["10.0.0.0/8", "192.168.1.7", "fd00::/8", "::1"])
        for inside in ["10.0.0.1", "10.255.255.255", "192.168.1.7", "fd12::9", "::1"] {
            #expect(list.allows(try address(inside)), "\(inside)")
        }
        for outside in ["11.0.0.1", "9.255.255.255", "192.168.1.8", "fe80::1", "::2", "0.0.0.0"] {
            #expect(!list.allows(try address(outside)), "\(outside)")
        }
    }

    @Test func `an IPv4 address is the same one on an IPv6 socket`() throws {
        let list = try IPAllowList(texts: ["10.0.0.0/8"])
        #expect(list.allows(try address("::ffff:10.1.2.3")))
        #expect(!list.allows(try address("::ffff:11.1.2.3")))
        #expect(!list.allows(try address("::10.1.2.3")))
    }

    @Test func `a zero prefix is everything of its family`() throws {
        let v4 = try IPAllowList(texts: ["0.0.0.0/0"])
        #expect(v4.allows(try address("1.2.3.4")))
        #expect(!v4.allows(try address("2001:db8::1")))
        #expect(try IPAllowList(texts: ["::/0"]).allows(try address("2001:db8::1")))
    }

    @Test func `an empty list allows everyone and any other list no unknown address`() throws {
        #expect(IPAllowList.everyone.allows(nil))
        let list = try IPAllowList(texts: ["127.0.0.1"])
        #expect(!list.allows(nil))
        #expect(!list.allows(try SocketAddress(unixDomainSocketPath: "/tmp/x")))
    }

    @Test func `text that is no network is refused by its text`() {
        for bad in [
            "", "x", "10.0.0.0/33", "10.0.0.1/8", "::/129", "1.2.3/8", "10.0.0.0/", "10.0.0.0/-1",
            "10.0.0.0/8/8", "10.0.0.0/+8", "localhost", "/8",
        ] {
            #expect(throws: SecurityError.notANetwork(bad)) { try IPAllowList(texts: [bad]) }
        }
    }

    @Test func `a network prints as it is written`() {
        for text in ["10.0.0.0/8", "192.168.1.7/32", "0:0:0:0:0:0:0:1/128"] {
            #expect(IPNetwork(text)?.description == text)
        }
    }

    @Test func `a peer listener without TLS stays on loopback`() throws {
        for good in ["127.0.0.1", "127.9.9.9", "::1"] {
            try ListenerPolicy.validate(try address(good), insecurePeers: false)
        }
        for bad in ["0.0.0.0", "10.0.0.1", "::", "::2"] {
            #expect(throws: SecurityError.self, "\(bad)") {
                try ListenerPolicy.validate(try address(bad), insecurePeers: false)
            }
            try ListenerPolicy.validate(try address(bad), insecurePeers: true)
        }
    }
}
